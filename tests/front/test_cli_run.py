"""``deep-dissect run`` and what looks at its folder, as a user calls them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from commands import call, install_adapter
from deep_dissect.cli import main
from dissect_core.detectors import DetectorRequest
from dissect_core.engine import Listener, RunOptions, StopRequest, run
from dissect_core.progress import no_bar
from dissect_core.spec import DetectorSpec, load_spec
from dissect_core.store import Study
from dissect_eval import Detections, GroundTruth, coco_ap
from dissect_mmdet import image_paths, open_mmdet
from dissect_mmdet.demo import demo_files, write_split

SPEC = """
name: few heads
ablations:
  - name: encoder heads
    target: {unit: head, components: encoder.self_attn}
    select: {by: indices, indices: [1, 9]}
  - name: queries
    target: {unit: query, components: query_embedding}
    select: {by: fraction, fractions: [0.3, 0.9], repeats: 2}
    interventions: [zero, {space: weight, kind: noise}]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "few.yaml").write_text(SPEC)
    write_split(folder / "data", "test", 8)
    return folder


def words(place: Path, out: Path) -> list[object]:
    data = [
        "--images",
        place / "data" / "test",
        "--annotations",
        place / "data/annotations/instances_test.json",
    ]
    return ["run", place / "few.yaml", "-w", "demo:detr", *data, "--out", out, "--batch-size", 4]


@pytest.fixture(scope="module")
def study(place: Path) -> Study:
    with pytest.raises(SystemExit) as ended:
        main([str(w) for w in [*words(place, place / "out"), "--verify", "1", "--replicates", "50"]])
    assert not ended.value.code
    return Study.open(place / "out")


def test_run_writes_tables_and_a_page(study: Study, place: Path) -> None:
    assert study.is_complete
    names = {path.name for path in study.path.iterdir()}
    assert {
        "summary.csv",
        "summary.json",
        "summary.parquet",
        "report.html",
        "truth.json",
        "log.jsonl",
    } <= names
    log = [json.loads(line) for line in (study.path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["verified"] == len(study.variants) * 2, "every pass was compared with a full one"
    told = json.loads((study.path / "summary.json").read_text())
    truth = GroundTruth.from_coco(place / "data/annotations/instances_test.json")
    found = study.found("baseline").by_image().values()
    boxes = Detections.from_arrays(list(found), truth.image_ids.tolist(), sorted(truth.category_names))
    assert told["variants"][0]["AP"] == pytest.approx(coco_ap(truth, boxes, backend="pycocotools").AP)
    assert told["variants"][0]["AP50"] > 0.7


def test_again_it_only_measures(study: Study, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (study.path / "detections/shard-00000.parquet").stat().st_mtime_ns
    status, out, err = call(capsys, *words(place, study.path), "--replicates", 0)
    assert status == 0, err
    assert "few heads: 10 variants, 8 images" in out
    assert "queries: noise" in out
    assert (study.path / "detections/shard-00000.parquet").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--batch-size", 2], "batch_size was 4, is now 2"),
        (["--limit", 4], "it is another one: 8 → 4 images (removed "),
        (["--on-bad-image", "maybe"], "`on_bad_image` must be one of 'fail', 'skip', got 'maybe'"),
        (["--verify", 2], "--verify"),
        (["-w", "demo:dino"], "weights of other values; another config (model"),
    ],
)
def test_what_cannot_go_on_is_one_line(
    study: Study, place: Path, capsys: pytest.CaptureFixture[str], more: list[object], said: str
) -> None:
    status, _, err = call(capsys, *words(place, study.path), *more)
    assert status == 2
    assert said in err
    assert err.strip().count("\n") == 0


@pytest.mark.parametrize("begun_by", ["python", "command"])
def test_both_front_ends_go_on_with_the_same_study(
    study: Study, place: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, begun_by: str
) -> None:
    """As the README teaches either; the detector is named in another way each time."""
    annotations = place / "data/annotations/instances_test.json"
    truth = GroundTruth.from_coco(annotations)
    stop = StopRequest()
    stop.ask()

    def in_python(out: Path, **options: Any) -> Study:
        files = demo_files("detr")
        detector = open_mmdet(config=files.config, checkpoint=files.checkpoint)
        images = image_paths(place / "data/test", truth.file_names)
        return run(
            load_spec(place / "few.yaml"),
            detector,
            images,
            out,
            RunOptions(batch_size=4),
            truth=truth,
            listener=Listener(bar=no_bar, **options),
        )

    def by_command(out: Path) -> None:
        rest = words(place, out)
        status, _, err = call(capsys, *rest[:2], "--demo", "detr", *rest[4:], "--replicates", 0)
        assert status == 0, err

    out = tmp_path / "out"
    if begun_by == "python":
        assert in_python(out, stop=stop).progress() == (1, 2)
        by_command(out)
    else:
        by_command(out)
        (out / "detections/shard-00000.parquet").unlink()
        assert in_python(out).is_complete
    assert Study.open(out).facts == study.facts
    shard = "detections/shard-00000.parquet"
    assert (out / shard).read_bytes() == (study.path / shard).read_bytes()
    assert (out / "truth.json").read_bytes() == (study.path / "truth.json").read_bytes()


def test_a_changed_annotation_file_is_refused(
    study: Study, place: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    content = json.loads((place / "data/annotations/instances_test.json").read_text())
    for one in content["annotations"]:
        one["bbox"][2] /= 2
    (tmp_path / "halved.json").write_text(json.dumps(content))
    rest = ["--annotations", tmp_path / "halved.json"]
    status, _, err = call(capsys, *words(place, study.path), *rest)
    n = len(content["annotations"])
    assert (
        status,
        f"it is another one: truth: other coordinates of {n} of {n} boxes, in 8 of 8 images" in err,
    ) == (2, True)


def test_force_new_begins_another_folder(
    study: Study, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--limit", 2, "--replicates", 0, "--force-new"]
    status, out, err = call(capsys, *words(place, study.path), *more)
    assert status == 0, err
    other = Study.open(place / "out-2")
    assert len(other.images) == 2
    assert str(other.path / "report.html") in out


def test_a_study_needs_images_and_truth(
    place: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, _, err = call(capsys, "run", place / "few.yaml", "-w", "demo:detr", "--out", tmp_path / "out")
    assert (status, "give --images and --annotations, or --coco, or --demo" in err) == (2, True)
    status, _, err = call(capsys, "run", place / "few.yaml", "--out", tmp_path / "out")
    assert (status, "a detector is needed" in err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_bundled_images_go_where_no_study_is_begun_with_them(
    place: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    words = ["run", place / "few.yaml", "--demo", "detr", "--limit", 2, "--out", tmp_path / "out"]
    status, _, err = call(capsys, *words, "--engine", "ray", "--address", "127.0.0.1:9")
    assert (status, "(`--address`) '127.0.0.1:9' is no Ray cluster" in err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_before_anything_is_made(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_given: object, **_named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deep_dissect.cli._run.run_study", interrupted)
    status, out, err = call(capsys, *words(place, tmp_path / "out"))
    assert (status, out, err) == (130, "", "interrupted before the study was begun\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_says_how_to_go_on(place: Path, tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    line = [
        sys.executable,
        "-c",
        "from deep_dissect.cli import main; main()",
        *map(str, words(place, out)),
        "--batch-size",
        "1",
    ]
    child = subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while not list(out.glob("detections/*.parquet")):
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(number)
    told, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert not told
    assert "stopping after this batch" in errors
    last = errors.splitlines()[-1]
    assert re.fullmatch(
        rf"interrupted after \d+ of \d+ batches; the same command goes on from there: {out}", last
    )
    done, wanted = Study.open(out).progress()
    assert 0 < done < wanted


def test_status_report_compare_and_export(
    study: Study, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, _ = call(capsys, "status", study.path)
    assert (status, "complete; not running" in out) == (0, True)
    status, out, _ = call(capsys, "status", study.path, "--json")
    assert json.loads(out)["batches_done"] == 2
    status, out, err = call(
        capsys, "report", study.path, "--metric", "AP", "--replicates", 0, "--figures", "svg", "--latex"
    )
    assert status == 0, err
    assert (study.path / "summary.tex").read_text().startswith(r"\begin{tabular}")
    assert (study.path / "figures" / "dose-response.svg").stat().st_size > 5000
    status, out, _ = call(capsys, "compare", study.path, study.path, "--json", "--jobs", 2)
    told = json.loads(out)
    assert all(row["AP_change"] == 0 for row in told["rows"])
    assert "compared with itself" in told["same"]
    status, out, _ = call(capsys, "compare", study.path, study.path)
    assert f"A and B are one study, {study.path}, compared with itself: every difference is 0." in out
    copy = tmp_path / "copy"
    shutil.copytree(study.path, copy)
    status, out, _ = call(capsys, "compare", study.path, copy)
    assert "A and B are one study in two folders" in out
    target = tmp_path / "baseline.json"
    status, out, _ = call(capsys, "export-coco", study.path, "--variant", "baseline", "--out", target)
    assert status == 0
    entries = json.loads(target.read_text())
    assert len(entries) == len(study.found("baseline").scores)
    assert set(entries[0]) == {"image_id", "category_id", "bbox", "score"}
    for wrong, said in [
        (["status", tmp_path], "no study"),
        (["report", study.path, "--metric", "mAP"], "--metric must be one of AP, AP50"),
        (["report", study.path, "--figures", "gif"], "--figures must be of png, svg, pdf, several"),
        (["export-coco", study.path, "--variant", "basline"], "Near matches: 'baseline'"),
        (["export-coco", study.path, "--out", target], "exists already"),
        (["compare", study.path, tmp_path], "no study"),
    ]:
        status, _, err = call(capsys, *wrong)
        assert (status, said in err) == (2, True), err


def test_an_adapter_that_the_study_names_is_opened(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deep_dissect.cli import _run

    asked: list[DetectorRequest] = []

    def run_study(_spec: object, request: DetectorRequest, *_: object, **__: object) -> Any:
        asked.append(request)
        raise FileNotFoundError("as far as this test goes")

    monkeypatch.setattr(_run, "run_study", run_study)
    install_adapter(tmp_path, monkeypatch)
    (tmp_path / "s.yaml").write_text(SPEC + "detector: {adapter: toy, options: {min_area: 30}}\n")
    data = [
        "--images",
        place / "data" / "test",
        "--annotations",
        place / "data" / "annotations" / "instances_test.json",
    ]
    given = ["run", tmp_path / "s.yaml", "--out", tmp_path / "out", *data]
    call(capsys, *given)
    named = DetectorSpec(adapter="toy", options={"min_area": 30})
    assert asked == [DetectorRequest(named)]
    call(capsys, *given, "--trust", "-o", "min_area=40")
    assert asked[1] == DetectorRequest(named, {"min_area": 40}, trust=True), "the user's own word"
    call(capsys, *given, "--adapter", "toy")
    assert asked[2] == DetectorRequest(named)
    status, _, err = call(capsys, *given, "--allow-missing")
    assert (status, len(asked)) == (2, 3)
    assert err == "error: The detector 'toy' has no option 'allow_missing'. Its options are: min_area.\n"
    call(capsys, *given, "--checkpoint", "demo:detr")
    mine = DetectorSpec(adapter="mmdet", options={})
    assert asked[3] == DetectorRequest(mine, {"checkpoint": "demo:detr"}), "the toy has no checkpoint"


def test_damaged_and_missing_images_stop_the_run_or_are_left_out(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "images"
    shutil.copytree(place / "data" / "test", images)
    damaged, missing, *_ = sorted(images.glob("*.png"))
    damaged.write_bytes(b"no image")
    call_words = [
        word if word != place / "data" / "test" else images for word in words(place, tmp_path / "out")
    ]
    code, _, err = call(capsys, *call_words, "--replicates", 0)
    assert code == 2
    assert f"{damaged} cannot be decoded" in err
    assert "begin the study with --on-bad-image skip." in err
    missing.unlink()
    code, _, err = call(capsys, *call_words, "--replicates", 0)
    assert code == 2
    assert missing.name in err
    skipping = [*call_words, "--replicates", 0, "--on-bad-image", "skip", "--force-new"]
    code, out, _ = call(capsys, *skipping)
    assert code == 0
    assert "note: images that are left out everywhere: 2" in out
    assert Study.open(tmp_path / "out-2").bad_images() == [0, 1]
