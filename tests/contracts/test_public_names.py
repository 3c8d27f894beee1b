"""The public names of every package, so that a change of them is a decision: it is made in ``public_names.txt``."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("public_names.txt")
RENEW = "If that is meant, say it in tests/contracts/public_names.txt, and in CHANGELOG.md."


def listed() -> dict[str, list[str]]:
    """Read the list: a module and a colon, then its names."""
    found: dict[str, list[str]] = {}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if not line.startswith(" "):
            module, _, line = line.partition(":")
            found[module] = []
        found[module] += line.split()
    return found


def public_modules() -> set[str]:
    """Give all modules of the packages whose path has no part that begins with an underscore, and that have names."""
    found = set()
    for file in ROOT.glob("packages/*/src/**/*.py"):
        parts = list(file.parts[file.parts.index("src") + 1 :])
        parts[-1] = parts[-1].removesuffix(".py")
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if any(part.startswith("_") for part in parts) or "configs" in parts:
            continue
        body = ast.parse(file.read_text(encoding="utf-8")).body
        stub = file.with_suffix(".pyi")
        body += ast.parse(stub.read_text(encoding="utf-8")).body if stub.exists() else []
        targets = [t for node in body if isinstance(node, ast.Assign) for t in node.targets]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            found.add(".".join(parts))
    return found


def test_every_public_module_is_listed() -> None:
    assert public_modules() == set(listed()), RENEW


@pytest.mark.parametrize("module", listed())
def test_public_names_are_those_listed(module: str) -> None:
    there = importlib.import_module(module)
    assert sorted(there.__all__) == sorted(listed()[module]), RENEW
    assert all(hasattr(there, name) for name in there.__all__)


def test_the_list_is_in_order() -> None:
    for module, names in listed().items():
        assert len(names) == len(set(names)), module
    assert list(listed()) == sorted(listed())
