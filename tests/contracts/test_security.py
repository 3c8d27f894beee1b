"""What SECURITY.md names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from commands import skip_without_mmdet

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
FLAGS = sorted(set(re.findall(r"`(--[a-z-]+)", TEXT)))


@pytest.fixture(scope="module")
def offered() -> set[str]:
    skip_without_mmdet()
    import typer

    from deep_dissect.cli._main import app

    def options(command: Any) -> set[str]:
        below = [command.get_command(None, name) for name in getattr(command, "commands", ())]
        own = {word for each in command.params for word in each.opts}
        return own.union(*map(options, below))

    return options(typer.main.get_command(app))


def test_flags_are_named() -> None:
    assert {"--trust", "--config", "--custom-imports", "--images", "--force"} <= set(FLAGS)


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_exists(flag: str, offered: set[str]) -> None:
    assert flag in offered


def test_files_and_commands_exist() -> None:
    assert (ROOT / "tests/hostile").is_dir()
    assert "\nfuzz:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "make fuzz" in (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "SECURITY.md" in (ROOT / "README.md").read_text(encoding="utf-8")
