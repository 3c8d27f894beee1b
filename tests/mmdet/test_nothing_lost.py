"""What does nothing is said to do nothing, and a baseline at chance to be at chance: wherever a study is told."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toy_split
from commands import call
from deep_dissect.report import latex_table, write_report, write_results
from dissect_core.detectors import ImageDetections
from dissect_core.engine import RandomDetectorWarning
from dissect_core.store import Study
from dissect_eval.study import (
    Settings,
    StudyResults,
    StudyTables,
    compare,
    dose_curves,
    figures,
    measure,
    summary_rows,
)
from toy_detector import ToyDetector

FAST = Settings(n_replicates=50)
IDLE = "channels/channel/each/features:2"
NOISE = "weights/element/0.6/1/noise"


class Idle(ToyDetector):
    """Reports what it was asked to remove, and removes nothing of some of it: a part that inference does not use."""

    idle = (IDLE, NOISE, "weights/element/0.6/0/noise")

    @contextmanager
    def ablated(self, variant: Any, *, reference: Any = None) -> Iterator[Any]:
        with super().ablated(variant, reference=reference) as report:
            ablated, self.arrays = (
                self.arrays,
                ToyDetector().arrays if variant.id in self.idle else self.arrays,
            )
            try:
                yield report
            finally:
                self.arrays = ablated


class Untrained(ToyDetector):
    """Finds boxes that have nothing to do with the image."""

    def detect(self, image: Any) -> ImageDetections:
        rng = np.random.default_rng(int(image.sum()) + int(abs(self.arrays["classifier.weight"]).sum() * 10))
        low = rng.uniform(0, 40, (20, 2))
        boxes = np.concatenate([low, low + rng.uniform(4, 24, (20, 2))], 1)
        return ImageDetections(boxes, -np.sort(-rng.random(20)), rng.integers(0, 3, 20))


class Blind(ToyDetector):
    """Finds nothing."""

    def detect(self, image: Any) -> ImageDetections:
        return ImageDetections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))


class Misnamed(ToyDetector):
    """Its names are in another order than its classifier's outputs."""

    class_names = ("green", "blue", "red")


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> toy_split.Split:
    return toy_split.write_split(tmp_path_factory.mktemp("split"), 12)


def results_of(detector: Any, split: toy_split.Split, folder: Path) -> StudyResults:
    results = measure(Study.open(toy_split.write_study(split, folder / "study", detector)), settings=FAST)
    write_results(results)
    return results


@pytest.fixture(scope="module")
def idle(split: toy_split.Split, tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    return results_of(Idle(), split, tmp_path_factory.mktemp("idle"))


@pytest.fixture(scope="module")
def untrained(split: toy_split.Split, tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    return results_of(Untrained(), split, tmp_path_factory.mktemp("untrained"))


def test_equal_detections_decide_whatever_is_reported(idle: StudyResults) -> None:
    rows = {row["id"]: row for row in summary_rows(idle)}
    flagged = {name for name, row in rows.items() if row["no_op"]}
    assert flagged == set(Idle.idle)
    assert rows[IDLE]["changed"] > 0
    assert rows[IDLE]["no_op"] == (
        "its detections are those of the baseline on all 12 images: what it removes is not used, or nothing was "
        "removed."
    )
    # Compared with what is stored, image by image.
    found = idle.study
    columns = ("counts", "boxes", "scores", "labels")
    before = found.found("baseline")
    for name in found.variants[1:]:
        after = found.found(name)
        same = all(np.array_equal(getattr(before, column), getattr(after, column)) for column in columns)
        assert same == (name in flagged)


def test_detections_that_differ_are_no_no_op(split: toy_split.Split, tmp_path: Path) -> None:
    """A variant that reports no change and differs all the same has an effect."""

    class Silent(ToyDetector):
        @contextmanager
        def ablated(self, variant: Any, *, reference: Any = None) -> Iterator[Any]:
            from dissect_core.edits import AblationReport

            with super().ablated(variant, reference=reference):
                yield AblationReport(())

    rows = summary_rows(results_of(Silent(), split, tmp_path))
    assert not any(row["no_op"] for row in rows)


def test_every_table_tells_no_ops(idle: StudyResults) -> None:
    tables = StudyTables.of(idle)
    for rows, key in ((tables.errors, "variant"), (tables.per_class.to_pylist(), "variant")):
        assert {row[key] for row in rows if row["no_op"]} == set(Idle.idle)
    counts = {
        (row["ablation"], row["intervention"], round(row["dose"], 1)): row["n_no_op"]
        for row in tables.repeats
        if row["metric"] == "AP"
    }
    assert {key: n for key, n in counts.items() if n} == {
        ("channels", "zero", 0.2): 1,
        ("weights", "noise", 0.6): 2,
    }
    again = StudyTables.read(idle.study.path)
    assert [row["no_op"] for row in again.summary] == [row["no_op"] for row in tables.summary]
    assert "(2 changed nothing)" in latex_table(idle)


def test_pictures_do_not_rank_no_ops_and_mark_them(idle: StudyResults) -> None:
    tables = StudyTables.of(idle)
    drawn = {one.name: one for one in figures(tables, "AP")}
    assert not set(Idle.idle) & {row[0] for row in drawn["worst"].data.rows}
    (doses,) = dose_curves(tables, "AP")
    curves = {row[1] for row in doses.data.rows}
    assert curves == {"zero", "noise (2 of 4 changed nothing)"}
    assert any("(changed nothing)" in str(row[0]) for row in drawn["classes-channels"].data.rows)


def test_the_page_and_the_terminal_tell_no_ops(
    idle: StudyResults, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from deep_dissect.cli._results import print_summary

    page = write_report(idle).read_text()
    assert "3 variants say nothing about robustness" in page
    assert page.count("its detections are those of the baseline on all 12 images") == 4
    print_summary(Console(width=80), idle)
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "channels (1 of 6 changed nothing): zero" in out or "channels: zero (1 of 6 changed nothing)" in out
    )
    assert (
        "3 variants say nothing about robustness, such as channels/channel/each/features:2: its detections"
        in out
    )
    assert "…" not in out, "numbers are not cut"
    worst = out.split("largest losses")[1].split("note:")[0]
    assert IDLE not in worst
    n_ablated = sum(row["kind"] == "ablation" and not row["no_op"] for row in summary_rows(idle))
    assert f"chosen on the same images, with intervals for all {n_ablated} together:" in worst


def test_compare_tells_no_ops_and_chance(
    idle: StudyResults, untrained: StudyResults, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compare(idle, untrained)
    by_name = {row["name"]: (row["no_op_first"], row["no_op_second"]) for row in found.rows}
    assert {name for name, (first, _) in by_name.items() if first} == set(Idle.idle)
    assert [bool(text) for text in found.at_chance] == [False, True]
    status, out, _ = call(capsys, "compare", idle.study.path, untrained.study.path)
    assert status == 0
    assert "warning: B: The detector is no better than chance in 12 images" in out
    assert f"{IDLE} (changed nothing: 1 of A" in out
    assert "12 images, baseline AP" in out
    _, out, _ = call(capsys, "compare", idle.study.path, untrained.study.path, "--json", "--metric", "APs")
    assert "NaN" not in out


def test_compare_tells_of_the_noise_of_a_detector(
    split: toy_split.Split, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Noisy(ToyDetector):
        rng = np.random.default_rng(0)

        def predict_batch(self, batch: Any) -> list[ImageDetections]:
            return [
                ImageDetections(f.boxes, f.scores * self.rng.uniform(0.2, 1, len(f.scores)), f.labels)
                for f in super().predict_batch(batch)
            ]

    with pytest.warns(RandomDetectorWarning):
        results = results_of(Noisy(), split, tmp_path)
    note = "note: B: the detector is not deterministic: over the same images its AP differs by up to"
    _, out, _ = call(capsys, "compare", results.study.path, results.study.path)
    assert note in out
    page = write_report(results, tmp_path).read_text()
    assert page.count("nothing removed: the detector's own noise") == 10
    assert "and the baseline 10 times more</li>" in page
    drawn = list(figures(StudyTables.of(results), "AP"))
    assert not any("baseline/again" in f"{one.caption} {one.data.rows}" for one in drawn)


KINDS = {"boxes": Untrained, "nothing": Blind, "classes": Misnamed}


@pytest.mark.parametrize("kind", KINDS)
def test_a_baseline_at_chance_is_told_first(
    kind: str, split: toy_split.Split, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = results_of(KINDS[kind](), split, tmp_path)
    verdict = results.better_than_chance
    assert verdict.at_chance == kind
    rows = summary_rows(results)
    assert {row["baseline_at_chance"] for row in rows} == {kind}
    folder = results.study.path
    with (folder / "summary.csv").open() as file:
        assert {row["baseline_at_chance"] for row in csv.DictReader(file)} == {kind}
    assert json.loads((folder / "summary.json").read_text())["at_chance"] == verdict.text

    tables = StudyTables.read(folder)
    assert tables.at_chance == verdict.text
    assert "worst" not in {one.name for one in figures(tables, "AP")}

    page = write_report(results, images=split.images).read_text()
    head, _, rest = page.partition("<h2>")
    assert verdict.text.replace("'", "&#39;") in head
    assert "lost most" not in rest
    assert "that the baseline finds" not in rest

    from rich.console import Console

    from deep_dissect.cli._results import print_summary

    print_summary(Console(width=400), results)
    out = capsys.readouterr().out
    assert out.splitlines()[1] == f"warning: {verdict.text}"
    assert "largest losses" not in out

    status, _, err = call(capsys, "report", folder, "--replicates", 0)
    assert status == 0
    assert verdict.text in err
    if kind == "nothing":
        assert all(row["no_op"] for row in rows[1:])
        assert rows[1]["no_op"] == "its detections are those of the baseline on all 12 images: none."


def test_a_detector_that_works_is_not_at_chance(idle: StudyResults) -> None:
    assert (idle.better_than_chance.at_chance, StudyTables.of(idle).at_chance) == (None, "")
    assert {row["baseline_at_chance"] for row in summary_rows(idle)} == {None}


def test_tables_of_older_studies_open(idle: StudyResults, tmp_path: Path) -> None:
    """Those of 1.0 know neither the verdict nor the new columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file, content in StudyTables.of(idle).files().items():
        (tmp_path / file).write_bytes(content)
    about = json.loads((tmp_path / "summary.json").read_text())
    for name in ("at_chance", "files", "sha256"):
        del about[name]
    (tmp_path / "summary.json").write_text(json.dumps(about))
    new = {"summary": "baseline_at_chance", "repeats": "n_no_op", "errors": "no_op", "per_class": "no_op"}
    for name, gone in new.items():
        table: pa.Table = pq.read_table(tmp_path / f"{name}.parquet").drop_columns([gone])
        pq.write_table(table, tmp_path / f"{name}.parquet")
    tables = StudyTables.read(tmp_path)
    assert tables.at_chance == ""
    assert {one.name for one in figures(tables, "AP")} >= {"worst", "dose-response"}


def test_the_panel_tells_both(idle: StudyResults, untrained: StudyResults) -> None:
    widgets = pytest.importorskip("dissect_widgets")
    model = widgets.ResultsModel(idle.study.path)
    assert model.remarks == ()
    model.view = "worst"
    assert not {one.variant for one in model.points()} & set(Idle.idle)
    model.view = "doses"
    labels = {one.variant: one.label for one in model.points()}
    assert all((": changed nothing" in label) == (name in Idle.idle) for name, label in labels.items())
    other = widgets.ResultsModel(untrained.study.path)
    assert other.remarks == (untrained.better_than_chance.text,)
    assert "worst" not in other.views


def test_evaluate_tells_chance_first(
    split: toy_split.Split, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bundled weights on images that are not theirs: nothing of the annotations is found."""
    from dissect_mmdet.demo import write_split

    images, annotations = write_split(tmp_path / "data", "test", 8)
    content = json.loads(annotations.read_text())
    words = [
        "evaluate",
        "-w",
        "demo:detr",
        "--annotations",
        annotations,
        "--images",
        images,
        "--batch-size",
        4,
    ]
    status, out, _ = call(capsys, *words)
    assert (status, "chance in" in out) == (0, False)

    names = [image["file_name"] for image in content["images"]]
    for image, name in zip(content["images"], names[1:] + names[:1], strict=True):
        image["file_name"] = name  # the annotations of another image
    annotations.write_text(json.dumps(content))
    status, out, _ = call(capsys, *words)
    assert status == 0
    assert out.startswith("warning: The detector is no better than chance in 8 images")
    status, out, err = call(capsys, *words, "--json")
    assert json.loads(out)["better_than_chance"]["at_chance"] == "boxes"
    assert "warning: The detector is no better than chance in 8 images" in err
