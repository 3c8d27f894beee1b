"""The demo: a shipped study by the pipeline; interrupted it loses nothing, and it touches no files of others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import deep_dissect as dd
import studies
from commands import call
from dissect_core.engine import StopRequest
from dissect_core.progress import no_bar

WORDS = ("demo", "--detector", "detr", "--images", "3", "--repeats", "1", "--out")
FILES = ("results.json", "results.csv", "dose_response.png", "dose_response_giou.png", "detr/report.html")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from deep_dissect.demo import run_demo, write_demo

    out = tmp_path_factory.mktemp("demo") / "whole"
    listener = dd.Listener(bar=no_bar, say=lambda _: None)
    (study,) = run_demo(["detr"], out, n_images=3, repeats=1, listener=listener)
    written = write_demo({"detr": study.measure(replicates=200)}, out)
    assert {path.relative_to(out).as_posix() for path in written} == set(FILES)
    return out


def test_a_stopped_demo_goes_on(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from deep_dissect import demo

    out, stop = tmp_path / "out", StopRequest()
    monkeypatch.setattr(demo, "OPTIONS", replace(demo.OPTIONS, batch_size=1))
    real = demo.run_study

    def stopped(*given: Any, **options: Any) -> dd.Study:
        options["listener"] = dd.Listener(
            bar=no_bar, stop=stop, watch=lambda _: stop.ask(), say=lambda _: None
        )
        return real(*given, **options)

    monkeypatch.setattr(demo, "run_study", stopped)
    status, _, told = call(capsys, *WORDS, out)
    assert status == 130
    assert "interrupted after 1 of 3 batches of DETR; the same command goes on from there" in told
    assert not (out / "results.json").exists()
    monkeypatch.setattr(demo, "run_study", real)
    assert call(capsys, *WORDS, out)[0] == 0
    undisturbed = tmp_path / "undisturbed"
    assert call(capsys, *WORDS, undisturbed)[0] == 0
    assert studies.digests(out / "detr") == studies.digests(undisturbed / "detr")
    for name in FILES:
        assert (out / name).read_bytes() == (undisturbed / name).read_bytes()


def test_the_command_gives_what_the_functions_give(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said, _ = call(capsys, *WORDS, tmp_path / "out")
    assert status == 0
    assert "Deep Dissect demo: DETR on 3 test images" in said
    for name in FILES:
        assert (tmp_path / "out" / name).read_bytes() == (whole / name).read_bytes()
    content = json.loads((whole / "results.json").read_text())
    assert content["studies"]["detr"]["settings"]["score_threshold"] == 0.3
    rows = content["variants"]
    assert [row["no_op"] for row in rows] == [None] * 17
    assert all(row["matched_giou_chance"] < row["matched_giou"] for row in rows if row["kind"] == "baseline")


def test_other_settings_are_refused_in_the_same_folder(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = call(capsys, *WORDS[:-1], "--seed", "5", "--out", whole)
    assert status == 2
    assert "seed" in error


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = {"notes.txt": "mine", "data/test/mine.png": "mine", "results.csv": "mine"}
    for name, text in own.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    status, _, error = call(capsys, *WORDS, tmp_path)
    assert status == 2
    assert "holds files that Deep Dissect did not write" in error
    assert {name: (tmp_path / name).read_text() for name in own} == own
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == len(own)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--device", "cuda:99"), "cuda:99"),
        (("--images", "201"), "`n_images` must be at most 200, as many as demo:scenes has, got 201"),
        (("--detector", "dinosaur"), "demo:dinosaur"),
    ],
)
def test_bad_use_is_found_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    status, _, error = call(capsys, *WORDS, tmp_path / "out", *words)
    assert status == 2
    assert message in " ".join(error.split())
    assert not (tmp_path / "out").exists()


def test_a_draw_without_an_effect_is_marked(whole: Path) -> None:
    from deep_dissect.demo import demo_figure, demo_table

    results = dd.Study.open(whole / "detr").measure(replicates=0)
    for row in results.tables.summary:
        if row["ablation"] == "query embeddings" and row["n_units"] < row["n_available"] / 3:
            row["no_op"] = "its detections are those of the baseline"
    console = Console(width=200, record=True)
    console.print(demo_table({"detr": results}))
    text = " ".join(console.export_text().split())
    assert text.count("*") == 3 + 1  # three metrics of one dose, and what the star means
    assert "*: a draw changed no detection on any image" in text
    drawn = demo_figure({"detr": results}, "AP")
    labels = {line.get_label() for axes in drawn.axes for line in axes.get_lines()}
    assert {"query embeddings (some draws changed nothing)", "decoder self-attention"} <= labels
