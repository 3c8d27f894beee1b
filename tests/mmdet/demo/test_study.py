"""The demo's study: interrupted it loses nothing, and it never touches files that are not its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deep_dissect.cli import main
from dissect_mmdet.demo import _study, write_split
from dissect_mmdet.errors import DissectMMDetError


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


WORDS = ("demo", "--detector", "detr", "--images", "3", "--repeats", "1", "--out")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "whole"
    assert run(*WORDS, out) == 0
    return out


@pytest.mark.parametrize("after", [0, 1, 9])
def test_interrupted_it_goes_on(
    after: int,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, real = tmp_path / "out", _study.measure
    calls = 0

    def interrupted(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(_study, "measure", interrupted)
    assert run(*WORDS, out) == 130
    assert f"Interrupted: {after} of 17 variants are kept" in capsys.readouterr().out.replace("\n", " ")
    assert (out / "results.json").exists() == bool(after)

    measured = 0

    def counted(*args: Any) -> Any:
        nonlocal measured
        measured += 1
        return real(*args)

    monkeypatch.setattr(_study, "measure", counted)
    assert run(*WORDS, out) == 0
    assert measured == 17 - after
    for name in ("results.json", "results.csv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_other_settings_begin_anew(whole: Path, tmp_path: Path) -> None:
    content = json.loads((whole / "results.json").read_text())
    assert content["settings"]["images"] == 3
    assert content["settings"]["score_threshold"] == 0.3
    assert len(content["settings"]["weights_sha256"]["detr"]) == 64
    assert all(row["chance_giou"] < row["mean_giou"] for row in content["variants"] if row["dose"] == 0)


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = {"notes.txt": "mine", "data/test/mine.png": "mine", "results.csv": "mine"}
    for name, text in own.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert run(*WORDS, tmp_path) == 2
    assert "holds files that Deep Dissect did not write" in capsys.readouterr().err
    assert {name: (tmp_path / name).read_text() for name in own} == own
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == len(own)


def test_a_missing_device_is_found_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*WORDS, tmp_path / "out", "--device", "cuda:99") == 2
    assert "cuda:99" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["test/mine.png", "annotations/instances_test.json"])
def test_scenes_replace_nothing_of_others(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(DissectMMDetError, match=r"choose (a new|another)"):
        write_split(str(tmp_path), "test", 1)
    assert path.read_text() == "{}"


def test_own_images_beside_the_scenes_stay(tmp_path: Path) -> None:
    images, _ = write_split(tmp_path, "test", 2)
    (images / "mine.png").write_text("mine")
    write_split(tmp_path, "test", 1)
    assert sorted(path.suffix for path in images.iterdir() if path.name != ".deep-dissect") == [
        ".png",
        ".png",
    ]
    assert (images / "mine.png").read_text() == "mine"


def test_a_draw_without_an_effect_is_marked() -> None:
    """Rows of zeros, say: the weights reported to have changed do not decide, the detections do."""
    from rich.console import Console

    from dissect_mmdet.demo._report import figure, table

    numbers = _study.Measurement(0.5, 0.6, 0.7, 0.8, 0.9, 0.1)
    outcomes = [
        _study.Outcome("detr/baseline", "baseline", 0.0, 0, 0, 0, numbers, True),
        _study.Outcome("detr/a", "queries", 0.5, 0, 3, 12, numbers, True),
        _study.Outcome("detr/b", "heads", 0.5, 0, 3, 0, numbers, False),
    ]
    console = Console(width=200, record=True)
    console.print(table({"detr": outcomes}))
    text = " ".join(console.export_text().split())
    assert text.count("0.500*") == 1
    assert "*: a draw changed no detection on any image" in text
    drawn = figure({"detr": outcomes}, "AP")
    labels = {line.get_label() for axes in drawn.axes for line in axes.get_lines()}
    assert "queries (some draws changed nothing)" in labels
    assert "heads" in labels


def test_detections_are_compared_bit_for_bit(whole: Path) -> None:
    rows = json.loads((whole / "results.json").read_text())["variants"]
    assert [row["same_detections"] for row in rows] == [True] + [False] * (len(rows) - 1)
