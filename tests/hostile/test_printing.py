"""Printing names and signs that the standard output's encoding does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostile import seeds
from hostile.client import Commands, harmless


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-16"])
@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "a.pth"),
        ("inspect", "a.pth", "--json"),
        ("studies",),
        ("--help",),
        ("run", "--help"),
        ("status", "study"),
        ("plan", "s.yaml", "--demo", "detr", "--all"),
        ("export-coco", "study"),
    ],
    ids=" ".join,
)
def test_an_encoding_that_knows_few_letters(
    folder: Path, words: tuple[str, ...], encoding: str, command: Commands
) -> None:
    """An encoding of the terminal is no fault of the file: the letters that it lacks are written as escapes."""
    from hostile import mutate

    seeds.write_checkpoint(folder / "a.pth")
    (folder / "s.yaml").write_bytes(mutate.as_yaml({**seeds.SPEC, "name": "Größe 大きさ"}))
    ended = command(folder, *words, encoding=encoding)
    harmless(ended)
    assert ended.status == 0


def test_a_name_that_no_encoding_knows(tmp_path: Path, command: Commands) -> None:
    content = {"state_dict": {"a\ud800.weight": seeds.weights()["query_embedding.weight"]}}
    seeds.write_checkpoint(tmp_path / "a.pth", content)
    harmless(command(tmp_path, "inspect", "a.pth"))
    harmless(command(tmp_path, "inspect", "a.pth", "--json"))
