"""The workflow for a public host calls the make targets that there are, on every Python that the packages take."""

import re
from pathlib import Path
from typing import Any

import yaml

from quick import LONG

ROOT = Path(__file__).parents[2]
WORKFLOW: dict[str, Any] = yaml.safe_load(
    (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Give every command of the workflow, once for each value of the matrix that it names."""
    found = []
    for job in WORKFLOW["jobs"].values():
        targets = job["strategy"]["matrix"].get("target", [""])
        for step in job["steps"]:
            found += [
                step["run"].replace("${{ matrix.target }}", target) for target in targets if "run" in step
            ]
    return found


def test_every_command_is_a_make_target_that_there_is() -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))
    asked = {re.fullmatch(r"make ([a-z]+)( PYTHON=python)?", command) for command in commands()}
    assert None not in asked
    assert {match[1] for match in asked if match} <= targets
    assert {match[1] for match in asked if match} >= {"test", "random", "fuzz", "browser", "cluster", "demo"}


def test_what_ci_runs_here_runs_there() -> None:
    here = set(re.findall(r"make ([a-z]+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8")))
    assert here <= {command.split()[1] for command in commands()}


def test_systems_and_pythons() -> None:
    matrix = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == ["3.10", "3.11", "3.12", "3.13"]
    for project in ROOT.glob("packages/*/pyproject.toml"):
        assert 'requires-python = ">=3.10"' in project.read_text(encoding="utf-8")


def test_what_quick_leaves_out_is_there() -> None:
    stems = {
        file.stem
        for folder in ("core", "eval", "contracts")
        for file in (ROOT / "tests" / folder).glob("*.py")
    }
    assert stems >= LONG
