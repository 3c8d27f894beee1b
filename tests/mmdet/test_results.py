"""A study's tables hold what other ways of counting give, and its page is whole and safe."""

import csv
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import studies
from deep_dissect.report import latex_table, write_report, write_results
from dissect_core import StudyError
from dissect_core.detectors import ImageDetections
from dissect_core.spec import load_spec
from dissect_core.store import ImageRef, Study
from dissect_eval import (
    Detections,
    GroundTruth,
    SettingError,
    bootstrap,
    coco_ap,
    detection_metrics,
    error_types,
)
from dissect_eval.errors import StudyDataError
from dissect_eval.study import (
    TRUTH,
    Settings,
    StudyTables,
    compare,
    examples,
    figures,
    in_processes,
    kept_truth,
    measure,
    summary_rows,
    truth_file,
)
from toy_detector import ToyDetector, write_scenes

N = 12
FAST = Settings(n_replicates=100)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """Scenes, and an annotation file that holds more than the study's images."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    scenes = write_scenes(folder / "images", N + 2)
    content: dict[str, Any] = {
        "images": [
            {"id": 100 + i, "file_name": s.path.name, "width": 96, "height": 64} for i, s in enumerate(scenes)
        ],
        "annotations": [],
        "categories": [{"id": 7 + i, "name": name} for i, name in enumerate(ToyDetector.class_names)],
    }
    for i, scene in enumerate(scenes):
        for (x, y, right, bottom), label in zip(scene.boxes.tolist(), scene.labels.tolist(), strict=True):
            box = [x, y, right - x, bottom - y]
            one = {"id": len(content["annotations"]) + 1, "image_id": 100 + i, "category_id": 7 + label}
            outline = [[x, y, right, y, right, bottom]]
            area = {"area": box[2] * box[3], "iscrowd": 0, "segmentation": outline}
            content["annotations"].append({**one, "bbox": box, **area})
    annotations = folder / "truth.json"
    annotations.write_text(json.dumps(content))
    return [scene.path for scene in scenes[:N]], annotations


def run_with_truth(data: tuple[list[Path], Path], out: Path, detector: Any = None, **options: Any) -> Study:
    images, annotations = data
    truth = GroundTruth.from_coco(annotations).subset([100 + i for i in range(N)])
    refs = [ImageRef(path.name, 100 + i) for i, path in enumerate(images)]
    files = {TRUTH: truth_file(annotations, truth)}
    return studies.run_toy(images, out, detector, refs=refs, files=files, **options)


@pytest.fixture(scope="module")
def study(data: tuple[list[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Study:
    return run_with_truth(data, tmp_path_factory.mktemp("results") / "study")


@pytest.fixture(scope="module")
def results(study: Study) -> Any:
    return measure(study, settings=FAST)


def by_hand(data: tuple[list[Path], Path], variant: str, images: list[int] | None = None) -> tuple[Any, Any]:
    """Truth and detections of a variant, from the detector itself."""
    from dissect_core.plan import plan

    chosen = list(range(N)) if images is None else images
    detector = ToyDetector()
    (one,) = [v for v in plan(studies.toy_spec(), detector.anatomy) if v.id == variant]
    with detector.ablated(one):
        found = [detector.predict_batch(next(detector.prepare([data[0][i]])))[0] for i in chosen]
    ids = [100 + i for i in chosen]
    truth = GroundTruth.from_coco(data[1]).subset(ids)
    return truth, Detections.from_arrays(found, ids, [7, 8, 9])


def test_processes_measure_the_same(study: Study, results: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study.path.parent)
    elsewhere = measure(Study.open(study.path.name), settings=FAST, spread=in_processes(2))
    assert StudyTables.of(elsewhere).files() == StudyTables.of(results).files()
    assert list(elsewhere.errors) == list(elsewhere.chance) == list(study.variants)


VARIANTS = ["baseline", "channels/channel/each/features:1", "weights/element/0.6/1/noise"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_numbers_are_those_of_other_ways(data: Any, results: Any, variant: str) -> None:
    truth, found = by_hand(data, variant)
    row = next(row for row in summary_rows(results) if row["id"] == variant)
    ap = coco_ap(truth, found, backend="pycocotools")
    for name in ("AP", "AP50", "AP75", "APs", "APm", "AR100"):
        np.testing.assert_allclose(row[name], getattr(ap, name), atol=1e-12)
    detection = detection_metrics(truth, found)
    assert row["f1"] == pytest.approx(detection.micro.f1)
    assert row["recall"] == pytest.approx(detection.micro.recall)
    assert row["n_detections"] == found.n_boxes
    assert results.errors[variant].counts == error_types(truth, found).counts
    baseline = coco_ap(truth, by_hand(data, "baseline")[1], backend="pycocotools")
    assert row["AP_difference"] == pytest.approx(ap.AP - baseline.AP)


def test_intervals_are_the_paired_bootstraps(data: Any, results: Any) -> None:
    variant = VARIANTS[1]
    truth, found = by_hand(data, variant)
    baseline = by_hand(data, "baseline")[1]
    expected = bootstrap(truth, baseline, found, metrics=["AP50"], n_replicates=100, seed=0)
    row = next(row for row in summary_rows(results) if row["id"] == variant)
    (one,) = (
        [r for r in expected if r.category_id is None]
        if not isinstance(expected, dict)
        else [expected["AP50"]]
    )
    assert (row["AP50_low"], row["AP50_high"]) == pytest.approx((one.low, one.high))


def test_tables_agree_in_all_formats_and_come_again_byte_for_byte(
    results: Any, study: Study, tmp_path: Path
) -> None:
    files = write_results(results, tmp_path)
    contents = {path.name: path.read_bytes() for path in files}
    assert sorted(contents) == sorted(
        [f"{n}.{k}" for n in ("summary", "per_class", "errors", "repeats") for k in ("csv", "parquet")]
        + ["summary.json"]
    )
    write_results(measure(study, settings=FAST), tmp_path)
    assert {path.name: path.read_bytes() for path in files} == contents
    rows = list(csv.DictReader(contents["summary.csv"].decode().splitlines()))
    table = pq.read_table(tmp_path / "summary.parquet").to_pylist()
    told = json.loads(contents["summary.json"])
    assert [row["id"] for row in rows] == list(study.variants) == [row["id"] for row in told["variants"]]
    for text, typed, plain in zip(rows, table, told["variants"], strict=True):
        for name in ("AP", "AP50_difference", "output_change", "APl"):
            value = None if text[name] == "" else float(text[name])
            assert value == typed[name] == plain[name]
    assert rows[0]["APl"] == "", "no large object: undefined, not 0"
    assert told["n_images"] == N
    classes = list(csv.DictReader(contents["per_class.csv"].decode().splitlines()))
    assert {row["category"] for row in classes} == {"red", "green", "blue"}


def test_repeats_are_means_over_draws(results: Any) -> None:
    values = {row["id"]: row["AP50"] for row in summary_rows(results)}
    draws = [values[f"weights/element/0.6/{i}/noise"] for i in (0, 1)]
    (row,) = [
        r
        for r in results.repeats()
        if (r["ablation"], r["metric"], r["intervention"]) == ("weights", "AP50", "noise") and r["dose"] > 0.5
    ]
    assert (row["variants"], row["n"]) == (2, 2)
    assert row["mean"] == pytest.approx(np.mean(draws))
    assert row["standard_deviation"] == pytest.approx(np.std(draws, ddof=1))


def test_a_bad_image_counts_nowhere(data: Any, tmp_path: Path) -> None:
    images = [tmp_path / path.name for path in data[0]]
    for path, original in zip(images, data[0], strict=True):
        path.write_bytes(original.read_bytes())
    images[3].write_bytes(b"")
    found = measure(
        run_with_truth((images, data[1]), tmp_path / "out", on_bad_image="skip"),
        settings=Settings(n_replicates=0),
    )
    assert found.n_bad_images == 1
    truth, boxes = by_hand(data, "baseline", [i for i in range(N) if i != 3])
    assert summary_rows(found)[0]["AP"] == pytest.approx(coco_ap(truth, boxes).AP)


class Broken(ToyDetector):
    """Gives a NaN for one variant."""

    broken = False

    @contextmanager
    def ablated(self, variant: Any, *, reference: Any = None) -> Iterator[Any]:
        self.broken = variant.id == VARIANTS[1]
        with super().ablated(variant, reference=reference) as report:
            yield report
        self.broken = False

    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        found = super().predict_batch(batch)
        if self.broken:
            found = [ImageDetections(f.boxes * np.nan, f.scores, f.labels) for f in found]
        return found


def test_detections_that_are_not_finite_are_left_out_and_told(data: Any, tmp_path: Path) -> None:
    found = measure(run_with_truth(data, tmp_path / "out", Broken()), settings=Settings(n_replicates=0))
    rows = {row["id"]: row for row in summary_rows(found)}
    assert rows[VARIANTS[1]]["n_not_finite"] > 5
    assert rows[VARIANTS[1]]["n_detections"] == 0
    assert rows[VARIANTS[1]]["AP"] == 0
    assert rows["baseline"]["n_not_finite"] == 0
    assert any(
        f"variants gave detections with NaN or infinity (left out): {rows[VARIANTS[1]]['n_not_finite']} in all, "
        f"first in {VARIANTS[1]}." in note
        for note in found.notes
    )


def test_one_rule_for_degenerate_boxes(data: Any, results: Any, tmp_path: Path) -> None:
    done = run_with_truth(data, tmp_path / "out", studies.DegenerateToy())
    found = measure(done, settings=FAST)
    before, after = (summary_rows(one)[0] for one in (results, found))
    counts = [after[name] for name in ("n_not_finite", "n_negative", "n_degenerate", "n_detections")]
    assert counts == [N, 2 * N, 3 * N, before["n_detections"] + 3 * N]
    # As points they match nothing: the objects found are the same, and each is a false positive.
    assert after["recall"] == before["recall"]
    hits = before["recall"] * found.truth.n_boxes
    assert after["precision"] == pytest.approx(hits / (hits / before["precision"] + 3 * N))
    assert any(
        f"inverted box (max < min: false positives): {2 * N * len(found.variants)} in all" in n
        for n in found.notes
    )
    page = write_report(found).read_text()
    assert "inverted box" in page
    assert "NaN or infinity" in page


def test_degenerate_truth_is_told(data: Any, tmp_path: Path) -> None:
    content = json.loads(data[1].read_text())
    content["annotations"][0]["bbox"][2] = 0
    (tmp_path / "flat.json").write_text(json.dumps(content))
    found = measure(run_with_truth((data[0], tmp_path / "flat.json"), tmp_path / "out"), settings=FAST)
    said = (
        f"1 of {found.truth.n_boxes} true boxes has no area: nothing can match it, and it counts as a miss."
    )
    assert said in found.notes


def test_what_cannot_be_measured_is_an_error(data: Any, study: Study, tmp_path: Path) -> None:
    from dissect_core.engine import StopRequest

    stop = StopRequest()
    stop.ask()
    begun = run_with_truth(data, tmp_path / "begun", stop=stop)
    with pytest.raises(StudyDataError, match="not complete: 1 of 6 batches"):
        measure(begun)
    bare = studies.run_toy(data[0], tmp_path / "bare")
    with pytest.raises(StudyDataError, match="holds no truth"):
        measure(bare)
    assert kept_truth(study).n_images == N
    assert b"segmentation" not in (study.path / TRUTH).read_bytes()


def test_the_page_is_whole_safe_and_shows_examples(results: Any, data: Any, tmp_path: Path) -> None:
    page = write_report(results, tmp_path, images=data[0][0].parent, formats=("png", "svg")).read_text()
    for variant in results.study.variants:
        assert f"<td>{variant}</td>" in page
    assert page.count("<figure>") >= 5
    assert "objects that the baseline finds at score ≥ 0.3 and IoU ≥ 0.5" in page
    sources = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert sources
    assert all(source.startswith("data:image/") for source in sources), "nothing is fetched"
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert "dose-response.png" in names
    assert "dose-response.svg" in names
    hostile = {**studies.SPEC, "name": "<script>alert(1)</script>", "description": "<img src=x>"}
    other = run_with_truth(data, tmp_path / "hostile", spec=load_spec(hostile))
    text = write_report(measure(other, settings=Settings(n_replicates=0))).read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<img src=x>" not in text
    with pytest.raises(StudyError, match=r"`metric` must be one of AP, .* got 'mAP'"):
        write_report(results, tmp_path, metric="mAP")


def test_pictures_show_the_tables_numbers(results: Any) -> None:
    drawn = {figure.name: figure.figure for figure in figures(StudyTables.of(results), "AP50")}
    rows = {row["id"]: row for row in summary_rows(results)}
    axes = drawn["dose-response"].axes[0]
    lines = {line.get_label(): line.get_xydata() for line in axes.get_lines()}
    noise = next(data for label, data in lines.items() if label == "noise")
    expected = np.mean([rows[f"weights/element/0.6/{i}/noise"]["AP50"] for i in (0, 1)])
    assert noise[-1, 1] == pytest.approx(expected)
    assert noise[0].tolist() == [0.0, rows["baseline"]["AP50"]]
    classes = drawn["classes"].axes[0]
    assert [t.get_text() for t in classes.get_xticklabels()] == ["red", "green", "blue"]


def test_tables_read_back_as_what_they_were(results: Any, tmp_path: Path) -> None:
    write_results(results, tmp_path)
    made, read = StudyTables.of(results), StudyTables.read(tmp_path)
    assert json.dumps(made.about) == json.dumps(read.about)
    assert read.metrics == results.settings.metrics
    for name in ("summary", "errors", "repeats"):
        for a, b in zip(getattr(made, name), getattr(read, name), strict=True):
            np.testing.assert_equal(b, a)
    assert read.per_class.num_rows == made.per_class.num_rows
    for a, b in zip(figures(made), figures(read), strict=True):
        assert (a.name, a.caption) == (b.name, b.caption)
    with pytest.raises(SettingError, match=r"`metric` must be one of AP, .* got 'mAP'"):
        next(figures(read, "mAP"))


def test_damaged_tables_are_named(results: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudyDataError, match=r"summary.json cannot be read.*deep-dissect report"):
        StudyTables.read(tmp_path)
    write_results(results, tmp_path)
    (tmp_path / "summary.json").write_text("[]")
    with pytest.raises(StudyDataError, match=r"summary.json cannot be read: it has no `settings`"):
        StudyTables.read(tmp_path)
    monkeypatch.setattr("dissect_eval.study.tables._tables.SECONDS_BETWEEN_READINGS", 0)
    for name in ("summary.json", "summary.parquet", "per_class.parquet"):
        write_results(results, tmp_path)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content.replace(b"0", b"1") if name.endswith("json") else content[:-9])
        with pytest.raises(StudyDataError, match=rf"{name} is damaged: it is not what was written"):
            StudyTables.read(tmp_path)
    write_results(results, tmp_path)
    about = json.loads((tmp_path / "summary.json").read_text())  # as earlier versions wrote it
    old = {key: value for key, value in about.items() if key not in ("files", "sha256")}
    (tmp_path / "summary.json").write_text(json.dumps(old))
    (tmp_path / "per_class.parquet").write_bytes(b"PAR1")
    with pytest.raises(StudyDataError, match=r"per_class.parquet cannot be read"):
        StudyTables.read(tmp_path)
    (tmp_path / "per_class.parquet").write_bytes((tmp_path / "errors.parquet").read_bytes())
    with pytest.raises(StudyDataError, match=r"per_class.parquet must have the columns .* it lacks category"):
        StudyTables.read(tmp_path)


def test_latex_is_a_table(results: Any) -> None:
    text = latex_table(results)
    assert text.count(r"\\") == 1 + 1 + 1 + 2 * 2
    assert r"\begin{tabular}{llrrrrr}" in text
    assert re.search(r"weights & noise & [\d.]+\\,\\% & 2 & 0\.\d{3} \$\\pm\$", text)


def test_comparison_is_of_losses(data: Any, results: Any, tmp_path: Path) -> None:
    same = compare(results, results)
    assert same.by == "variant"
    assert "compared with itself" in same.same
    assert all(row["AP_change"] == 0 for row in same.rows)
    spec = load_spec({**studies.SPEC, "ablations": studies.SPEC["ablations"][1:], "seed": 9})
    other = measure(run_with_truth(data, tmp_path / "other", spec=spec), settings=Settings(n_replicates=0))
    found = compare(results, other, ("AP50",))
    assert found.by == "dose"
    assert not found.same
    assert (len(found.rows), found.only_first, found.only_second) == (4, 1, 0)
    spec = load_spec({**studies.SPEC, "ablations": [{**studies.SPEC["ablations"][0], "name": "else"}]})
    unlike = measure(run_with_truth(data, tmp_path / "unlike", spec=spec), settings=Settings(n_replicates=0))
    with pytest.raises(StudyDataError, match="nothing in common to compare"):
        compare(results, unlike)


def test_the_head_of_a_page_names_what_was_measured(results: Any, study: Study, tmp_path: Path) -> None:
    page = write_report(results, tmp_path).read_text()
    head = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert head["detector"] == "ToyDetector"
    assert head["data"].startswith("truth.json (truth sha256 ")
    assert f"{N} images in images/ (" in head["data"]
    assert f"{results.truth.n_boxes} true boxes" in head["data"]
    assert head["classes"] == "red, green, blue"
    assert head["ablation"].startswith("weights: zero, noise")
    assert "channels: zero; channel of features, selected by each: 6 variants" in page
    assert head["seeds"] == "study 3; bootstrap 0"
    assert head["precision"] == "full, batches of 2"
    assert f"numpy {np.__version__}" in head["versions"]


def test_two_runs_give_the_same_bytes_of_page_and_pictures(
    data: Any, results: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    kinds = ("png", "svg", "pdf")
    monkeypatch.setattr(time, "strftime", lambda *_: "2031-05-07 08:09:10 +0000")
    again = measure(run_with_truth(data, tmp_path / "again"), settings=FAST)
    assert (
        again.study.environment["incidental"]["started"] != results.study.environment["incidental"]["started"]
    )
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder, one in zip(folders, (results, again), strict=True):
        folder.mkdir()
        write_report(one, folder, formats=kinds)
    written = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in folders
    ]
    assert {path.suffix for path in written[0]} == {".html", ".png", ".svg", ".pdf"}
    assert written[0] == written[1]
    write_report(results, tmp_path / "first")
    assert (tmp_path / "first" / "report.html").read_bytes() == written[0][Path("report.html")]
    with pytest.raises(StudyError, match="`formats` must be of png, svg, pdf, got gif"):
        write_report(results, tmp_path, formats=("gif",))


def test_examples_lose_something_or_say_that_nothing_is_lost(results: Any, data: Any, tmp_path: Path) -> None:
    found = list(examples(results, data[0][0].parent))
    assert {one.figure is None for one in found} == {True, False}
    for one in found:
        if one.figure is None:
            assert (one.lost, one.file_name) == (0, "")
            assert one.caption.endswith("on any of 12 images.")
        else:
            assert one.lost > 0
            assert f"{one.lost} of the" in one.caption
            assert one.file_name in {path.name for path in data[0]}
    elsewhere = list(examples(results, tmp_path))
    assert all(one.figure is None for one in elsewhere)
    assert any("cannot be shown: there is no such file." in one.caption for one in elsewhere)
    strict = measure(results.study, settings=Settings(n_replicates=0, score_threshold=1.0))
    nothing = list(examples(strict, data[0][0].parent))
    assert all(one.figure is None and one.lost == 0 for one in nothing)
    assert all("loses no object that the baseline finds at score ≥ 1" in one.caption for one in nothing)
    assert "loses no object" in write_report(strict, tmp_path, images=data[0][0].parent).read_text()


def test_a_page_without_resamples_does_not_speak_of_intervals(study: Study, tmp_path: Path) -> None:
    page = write_report(measure(study, settings=Settings(n_replicates=0)), tmp_path).read_text()
    assert "No intervals and no p: measured without resamples." in page
    assert "bootstrap interval" not in page


def test_controls_are_no_findings(data: Any, tmp_path: Path) -> None:
    """They are measured, and neither tested nor compared."""
    channels = {"unit": "channel", "components": "features"}
    select = {"by": "indices", "indices": [0, 1]}
    ablation = {"name": "two", "target": channels, "select": select, "control": {"repeats": 3}}
    found = []
    for seed in (0, 1):
        spec = load_spec({"name": "controlled", "seed": seed, "ablations": [ablation]})
        study = run_with_truth(data, tmp_path / f"seed-{seed}", spec=spec)
        found.append(measure(study, settings=FAST))
    assert found[0].n_tests == 1
    rows = summary_rows(found[0])
    assert [row["kind"] for row in rows] == ["baseline", "ablation", *["control"] * 3]
    assert np.isfinite([row["AP_low"] for row in rows[1:]]).all()
    assert np.isnan([row["AP_p"] for row in rows[2:]]).all()
    (own,) = found[0].table.select(variant=rows[1]["id"], metric="AP", category_id=None)
    assert own.p_adjusted == own.p_value, "one variant alone is one test"
    both = compare(*found)
    assert [(row["name"], both.by, both.same) for row in both.rows] == [(rows[1]["id"], "variant", "")]


def test_a_page_counts_one_as_one_and_says_what_is_missing(study: Study, tmp_path: Path) -> None:
    one = measure(study, settings=Settings(n_replicates=20), images=[study.images[0].image_id])
    page = write_report(one, tmp_path, metric="AP").read_text(encoding="utf-8")
    assert "<b>1</b> image</li>" in page
    assert not re.search(r"\b1 (images|variants|objects|boxes)\b", page)
    assert "No intervals and no p: resamples of a single image are all the same." in page
    assert f"({study.images[0].file_name})" in page, "not of all images of the study"
    part = replace(one, batches=(1, 2))
    assert "the study is not complete: 1 of 2 batches" in write_report(part, tmp_path).read_text(
        encoding="utf-8"
    )


def test_a_page_shows_images_only_of_a_folder_that_the_user_names(
    results: Any, data: Any, tmp_path: Path
) -> None:
    """A study's folder may name any picture of whoever reads it, and the page is passed on."""
    assert results.study.image_folder == data[0][0].parent
    page = write_report(results, tmp_path).read_text(encoding="utf-8")
    assert "data:image/jpeg" not in page
    assert "no folder of images was named" in page
    assert "<code>--images FOLDER</code>" in page
    page = write_report(results, tmp_path, images=data[0][0].parent).read_text(encoding="utf-8")
    assert "data:image/jpeg" in page


def test_examples_of_a_part_are_of_its_images(study: Study, data: Any) -> None:
    chosen = study.images[2:5]
    part = measure(study, settings=Settings(n_replicates=0), images=[one.image_id for one in chosen])
    found = list(examples(part, data[0][0].parent))
    assert found
    for one in found:
        assert one.file_name in {"", *(image.file_name for image in chosen)}
        assert re.search(r"of (any of )?3 images", one.caption)


def test_latex_takes_any_name(results: Any) -> None:
    rows = [{**row, "ablation": "50 % ~ a\\b^2 <c> $x_1$"} for row in results.variants]
    table = latex_table(replace(results, variants=rows))
    assert (
        r"50 \% \textasciitilde{} a\textbackslash{}b\textasciicircum{}2 \textless{}c\textgreater{} \$x\_1\$"
        in table
    )


class Wide(ToyDetector):
    """Has names for classes that nobody has seen."""

    class_names = (*ToyDetector.class_names, "guessed", "idle")


def test_of_very_many_classes_those_without_anything_have_no_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = write_scenes(tmp_path, 4)
    truth = GroundTruth.from_arrays(
        [(scene.boxes, scene.labels) for scene in made],
        range(1, 5),
        Wide.class_names,
        file_names=[scene.path.name for scene in made],
    )
    study = studies.run_toy([scene.path for scene in made], tmp_path / "study", Wide(), truth=truth)
    whole = measure(study, settings=FAST)
    assert not whole.n_idle_classes
    monkeypatch.setattr("dissect_eval.study.stored._detections.IDLE_AT_MOST", 2)
    few = measure(study, settings=FAST)
    assert few.n_idle_classes == 1
    assert {row.category for row in whole.table} - {row.category for row in few.table} == {"idle"}
    assert any("no rows in tables: 1" in note for note in few.notes)
    for one, other in zip(summary_rows(few), summary_rows(whole), strict=True):
        for name, value in one.items():
            assert value == other[name] or value == pytest.approx(other[name], nan_ok=True)
    write_results(few)
    assert "no rows in tables: 1" in write_report(few).read_text()
