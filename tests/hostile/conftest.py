"""The process that runs commands, one for all tests of this folder, and intact files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import skip_without_mmdet
from hostile.client import Commands


@pytest.fixture(scope="session")
def command() -> Iterator[Commands]:
    skip_without_mmdet()
    pytest.importorskip("pyarrow")
    commands = Commands()
    yield commands
    commands.close()


@pytest.fixture(scope="session")
def intact(command: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of the toy detector in `study`, with its images."""
    folder = tmp_path_factory.mktemp("intact")
    ended = command.function(folder, "hostile.work.make_study")
    assert ended.status == 0, ended.err
    return folder


@pytest.fixture
def folder(intact: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(intact, tmp_path / "here"))
