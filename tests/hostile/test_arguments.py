"""Odd words on the command line: each is refused with one line, soon."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from hostile import seeds
from hostile.client import Commands, harmless, refused

PATHS = {
    "empty": "",
    "5,000 characters": "a" * 5000,
    "5,000 folders": "a/" * 5000,
    "a lone surrogate": "\udcff.pth",
    "a newline": "a\nerror: b",
    "an escape": "\x1b[2Ja.pth",
    "markup": "[red]a[/red]",
    "dash": "-",
    "a folder": ".",
    "root": "/",
    "a device": "/dev/zero",
    "a tilde": "~nobody/a",
    "an address": "https://localhost:1/a.pth",
    "a bucket": "s3://",
    "demo:": "demo:../../a",
}
PLACES = {
    "inspect": ("inspect", "{}"),
    "inspect --config": ("inspect", "a.pth", "--config", "{}"),
    "plan": ("plan", "{}", "--demo", "detr"),
    "plan --checkpoint": ("plan", "layer_knockout", "--checkpoint", "{}"),
    "plan --class-map": ("plan", "layer_knockout", "--demo", "detr", "--class-map", "{}"),
    "status": ("status", "{}"),
    "report": ("report", "{}"),
    "report --annotations": ("report", "study", "--replicates", "0", "--annotations", "{}"),
    "compare": ("compare", "study", "{}"),
    "export-coco": ("export-coco", "{}"),
    "evaluate --annotations": ("evaluate", "-w", "demo:detr", "-i", "images", "-a", "{}"),
    "evaluate --images": ("evaluate", "-w", "demo:detr", "-a", "truth.json", "-i", "{}"),
    "evaluate --checkpoint": ("evaluate", "-i", "images", "-a", "truth.json", "-w", "{}"),
    "simplify": ("simplify", "{}", "channels"),
    "export --out": ("export", "layer_knockout", "*", "-w", "a.pth", "--out", "{}"),
    "ablate heads": ("ablate", "heads", "{}"),
    "run --images": (
        "run",
        "layer_knockout",
        "--demo",
        "detr",
        "--out",
        "new",
        "-a",
        "truth.json",
        "-i",
        "{}",
    ),
}


@pytest.fixture(scope="module")
def place(intact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study, a checkpoint and a truth."""
    folder = Path(shutil.copytree(intact, tmp_path_factory.mktemp("place") / "here"))
    seeds.write_checkpoint(folder / "a.pth")
    (folder / "truth.json").write_text(json.dumps(seeds.truth()))
    return folder


def some(values: Iterable[Any], number: int) -> list[Any]:
    """A fourth of some values, another one for each number: all of them meet each other's kinds, and soon."""
    return [value for i, value in enumerate(values) if i % 4 == number % 4]


@pytest.mark.parametrize("number", range(len(PLACES)), ids=PLACES)
def test_paths(place: Path, number: int, command: Commands) -> None:
    words = list(PLACES.values())[number]
    for path in some(PATHS.values(), number):
        if (words[0], path) != ("export", "."):  # a folder is what it wants
            refused(command(place, *(word.replace("{}", path) for word in words)))


HUGE = "1" + "0" * 400
NUMBERS = ("", "nan", "inf", "-inf", "1e400", "-1", "-0.5", "0x10", "1,000", "None")
OPTIONS = {
    "--limit": ("plan", "layer_knockout", "--demo", "detr", "--limit"),
    "--replicates": ("report", "study", "--replicates"),
    "--score-threshold": ("report", "study", "--replicates", "0", "--score-threshold"),
    "--iou-threshold": ("report", "study", "--replicates", "0", "--iou-threshold"),
    "--jobs": ("report", "study", "--replicates", "0", "--jobs"),
    "--depth": ("inspect", "a.pth", "--depth"),
    "--batch-size": ("evaluate", "-w", "demo:detr", "-a", "truth.json", "-i", "images", "--batch-size"),
    "--max-loss": ("simplify", "study", "channels", "--max-loss"),
    "--port": ("app", "--no-browser", "--port"),
    "--seed": ("ablate", "units", "a.pth", "--seed"),
    "--images": ("demo", "--out", "new", "--images"),
    "--shard-images": ("run", "layer_knockout", "--demo", "detr", "--out", "new", "--shard-images"),
    "--verify": ("run", "layer_knockout", "--demo", "detr", "--out", "new", "--verify"),
}


@pytest.mark.parametrize("at", range(len(OPTIONS)), ids=OPTIONS)
def test_numbers(place: Path, at: int, command: Commands) -> None:
    option, words = list(OPTIONS.items())[at]
    for number in some(NUMBERS, at):
        refused(command(place, *words, number))
    ended = command(place, *words, HUGE)
    harmless(ended) if option in ("--depth", "--seed", "--max-loss") else refused(ended)


GLOBS = (
    "[[[",
    "**" * 1000,
    "*a" * 2000 + "b",
    "[!" * 500,
    "\\" * 999,
    "",
    "\n",
    "[red]",
    "\x1b[31m",
    "*" * 5000,
    "(a+)+$",
    "?" * 5000,
    "[z-a]",
    "\udcff",
)


@pytest.mark.parametrize("glob", GLOBS, ids=range(len(GLOBS)))
def test_globs(place: Path, glob: str, command: Commands) -> None:
    ended = command(place, "inspect", "a.pth", "--match", glob)
    refused(ended) if glob.strip("*") else harmless(ended)
    harmless(command(place, "export-coco", "study", "--variant", glob))
    harmless(command(place, "export", "layer_knockout", glob, "-w", "a.pth", "--out", "out"))


TEXTS = ("", "\n", "a" * 100_000, "\x1b[2J", "\udcff", "AP\nerror: x", "[red]", "%s%n", "*")
WORDS = (
    ("report", "study", "--replicates", "0", "--metric", "{}"),
    ("compare", "study", "study", "--metric", "{}"),
    ("report", "study", "--replicates", "0", "--figures", "x{}"),
    ("simplify", "study", "{}"),
    ("evaluate", "-w", "demo:detr", "-a", "truth.json", "-i", "images", "--device", "{}"),
    ("plan", "layer_knockout", "--demo", "{}"),
    ("inspect", "a.pth", "--weights-prefix", "x{}"),
    ("{}",),
    ("inspect", "--{}"),
    ("inspect", "a.pth", "{}"),
)


@pytest.mark.parametrize("at", range(len(WORDS)), ids=map(" ".join, WORDS))
def test_texts(place: Path, at: int, command: Commands) -> None:
    for text in some(TEXTS, at):
        refused(command(place, *(word.replace("{}", text) for word in WORDS[at])))
