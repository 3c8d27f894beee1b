"""What commands and files say of weights: how much was loaded, and at the head of everything what was missing."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from commands import call
from deep_dissect.cli import main
from dissect_core.detectors import open_detector
from dissect_core.engine import run, weights_sha256
from dissect_core.plan import plan
from dissect_core.spec import DetectorSpec, load_spec
from dissect_core.store import Study
from dissect_core.torch import save_safetensors
from dissect_eval import GroundTruth
from dissect_eval.study import StudyTables
from dissect_mmdet import load_mmdet_checkpoint, open_mmdet
from dissect_mmdet.demo import demo_files, write_split

CONFIG = demo_files("detr").config
SPEC = """
name: heads of a block
ablations:
  - name: encoder heads
    target: {unit: head, components: encoder.layers.0.self_attn.attn}
    select: {by: each}
"""
NOTE = "weights: 903 of the model's 1,217,659 parameters and buffers (< 0.1 %) are random numbers of seed 0, "
NOTE += "not the checkpoint's: 2 entries missing, first bbox_head.fc_cls.weight"
BLOCK = "encoder.layers.0.self_attn.attn"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, a study, a checkpoint without its classifier, and whole ones as other tools write them."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "study.yaml").write_text(SPEC)
    write_split(folder / "data", "test", 3)
    whole = load_mmdet_checkpoint(demo_files("detr").checkpoint)
    state = whole["state_dict"]
    less = {name: value for name, value in state.items() if "fc_cls" not in name}
    torch.save({"meta": whole["meta"], "state_dict": less}, folder / "less.pth")
    parallel = {f"module.{name}": value for name, value in state.items()}
    torch.save(parallel, folder / "bare.pth")
    save_safetensors(parallel, folder / "parallel.safetensors")
    student = {f"student.{name}": value + 1 for name, value in state.items()}
    both = {f"teacher.{name}": value for name, value in state.items()} | student
    torch.save({"meta": whole["meta"], "state_dict": both}, folder / "semi.pth")
    return folder


def data(place: Path) -> list[object]:
    return ["-i", place / "data/test", "-a", place / "data/annotations/instances_test.json"]


@pytest.fixture(scope="module")
def folder(place: Path) -> Path:
    """A study that was begun with missing weights."""
    given = ["run", place / "study.yaml", "-w", place / "less.pth", "--allow-missing", *data(place)]
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in [*given, "--out", place / "out", "--replicates", "0"]])
    assert not ended.value.code
    return place / "out"


@pytest.mark.parametrize(
    "words",
    [
        ["inspect"],
        ["ablate", "heads", BLOCK, "--head", "1", "--out", "out"],
        ["evaluate"],
        ["plan"],
        ["run", "--out", "out"],
        ["export", "*", "--out", "out"],
    ],
)
def test_every_command_refuses_missing_weights_in_one_line(
    place: Path,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = call(capsys, *command(place, words, place / "less.pth"))
    assert status == 2
    assert err.startswith("error: checkpoint ")
    assert "--allow-missing" in err
    assert (err.count("\n"), out) == (1, "")
    assert not list(tmp_path.iterdir())


def command(place: Path, words: list[str], checkpoint: Path) -> list[object]:
    """Words of a command with a checkpoint, a study and data as far as it takes them."""
    name, *rest = words
    if name == "inspect":
        return [name, checkpoint, *rest]
    if name == "ablate":
        return [name, rest[0], checkpoint, *rest[1:]]
    study = [] if name == "evaluate" else [place / "study.yaml"]
    images = data(place) if name in ("evaluate", "run") else []
    return [name, *study, *rest, "-w", checkpoint, *images]


def test_what_was_missing_is_at_the_head_of_every_output(
    place: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    less = [place / "less.pth", "--allow-missing"]
    for words in (
        ["evaluate", "-w", *less, *data(place)],
        ["inspect", *less],
        ["plan", place / "study.yaml", "-w", *less],
        ["status", folder],
        ["run", place / "study.yaml", "-w", *less, *data(place), "--out", folder, "--replicates", "0"],
    ):
        status, out, err = call(capsys, *words)
        assert (status, out.splitlines()[:1]) == (0, [f"warning: {NOTE}"]), (words[0], err)
        if words[0] != "status":
            assert (
                "less.pth: 191 of the model's 193 entries loaded, > 99.9 % of its 1,217,659 parameters and buffers; "
                + NOTE
                in err
            )
    _, out, _ = call(capsys, "compare", folder, folder)
    assert out.splitlines()[:2] == [f"warning: A: {NOTE}", f"warning: B: {NOTE}"]
    _, _, err = call(capsys, "report", folder, "--latex", "--replicates", "0")
    assert f"warning: {NOTE}" in err
    assert (folder / "summary.tex").read_text().startswith(f"% {NOTE}")


def test_json_holds_what_was_missing_and_nothing_else(
    place: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    less = [place / "less.pth", "--allow-missing", "--json"]
    for words in (["evaluate", "-w", *less, *data(place)], ["inspect", *less]):
        told = json.loads(call(capsys, *words)[1])["missing_weights"]
        assert told["missing"] == ["bbox_head.fc_cls.weight", "bbox_head.fc_cls.bias"]
        assert (told["filled"], told["note"]) == (903, NOTE)
    for words in (["status", folder, "--json"], ["compare", folder, folder, "--json"]):
        assert json.loads(call(capsys, *words)[1])["missing_weights"] in (NOTE, [NOTE, NOTE])
    whole = call(capsys, "evaluate", "-w", "demo:detr", *data(place), "--json")
    assert "missing_weights" not in json.loads(whole[1])
    assert (
        "detr.pth: 193 of the model's 193 entries loaded, 100 % of its 1,217,659 parameters and buffers\n"
        in whole[2]
    )


def test_tables_report_and_environment_say_what_was_missing(folder: Path) -> None:
    frozen = json.loads((folder / "environment.json").read_text())["frozen"]["detector"]
    assert frozen["missing_weights"]["note"] == NOTE
    tables = ("summary", "per_class", "errors", "repeats")
    for name in tables:
        with (folder / f"{name}.csv").open(newline="") as file:
            assert {row["missing_weights"] for row in csv.DictReader(file)} == {NOTE}
        assert set(pq.read_table(folder / f"{name}.parquet").column("missing_weights").to_pylist()) == {NOTE}
    assert json.loads((folder / "summary.json").read_text())["missing_weights"] == NOTE
    read = StudyTables.read(folder)
    assert read.missing_weights == NOTE
    assert read.files()["summary.parquet"] == (folder / "summary.parquet").read_bytes()
    page = (folder / "report.html").read_text()
    assert page.index("of the model&#39;s 1,217,659 parameters and buffers") < page.index(
        '<ul class="facts">'
    )


def test_a_study_with_missing_weights_is_another_one(
    place: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["run", place / "study.yaml", *data(place), "--out", folder, "-w"]
    status, _, err = call(capsys, *given, "demo:detr")
    assert status == 2
    assert "missing_weights" in err or "weights" in err


def test_workers_fill_in_the_same_numbers(place: Path, folder: Path, tmp_path: Path) -> None:
    """A cluster's worker opens the detector by its spec: it takes part only if its weights are the same."""
    opened = open_mmdet(checkpoint=place / "less.pth", allow_missing=True)
    options = {"checkpoint": str(place / "less.pth"), "allow_missing": True}
    again = open_detector(DetectorSpec(adapter="mmdet", options=options))
    assert weights_sha256(again.model) == weights_sha256(opened.model)
    truth = GroundTruth.from_coco(place / "data/annotations/instances_test.json")
    paths = [place / "data/test" / name for name in truth.file_names]
    spec = load_spec(place / "study.yaml")
    begun = run(spec, opened, paths, tmp_path / "study", truth=truth)
    assert begun.facts["detector"]["missing_weights"]["filled"] == 903
    assert begun.facts["detector"]["weights_sha256"] == Study.open(folder).facts["detector"]["weights_sha256"]


def test_checkpoints_made_of_such_files_load_again(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = sorted((place / "data/test").glob("*.png"))
    whole = open_mmdet(checkpoint="demo:detr")
    spec = load_spec(place / "study.yaml")
    variant = next(v for v in plan(spec, whole.anatomy) if v.id.endswith("/1") or v.kind == "ablation")
    with whole.ablated(variant):
        expected = whole.predict(images[0])
    for number, more in enumerate(
        (
            ["bare.pth", "-c", CONFIG],
            ["parallel.safetensors", "-c", CONFIG],
            ["semi.pth", "--weights-prefix", "teacher."],
        )
    ):
        name, *options = more
        out = tmp_path / str(number)
        status, _, err = call(
            capsys, "export", place / "study.yaml", variant.id, "-w", place / name, *options, "--out", out
        )
        assert status == 0, err
        assert "100 % of its 1,217,659 parameters and buffers" in err
        (file,) = out.iterdir()
        prefix = "teacher." if name == "semi.pth" else ""
        found = open_mmdet(config=CONFIG, checkpoint=file, weights_prefix=prefix).predict(images[0])
        assert np.array_equal(found.boxes, expected.boxes)
        for kind, words in (
            ("units", ["query_embedding.weight", "-p", "5"]),
            ("component", ["query_embedding.weight"]),
            ("layers", ["self_attn.attn.in_proj_weight"]),
        ):
            prefixed = [] if not prefix else ["--weights-prefix", prefix]
            status, _, err = call(
                capsys, "ablate", kind, place / name, *words, *prefixed, "--out", out / kind
            )
            assert status == 0, err
            for file in (out / kind).iterdir():
                detector = open_mmdet(config=CONFIG, checkpoint=file, weights_prefix=prefix)
                assert detector.fit.is_whole
                assert weights_sha256(detector.model) != weights_sha256(whole.model)


def test_two_sets_of_weights_are_not_guessed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["inspect", place / "semi.pth"], ["evaluate", "-w", place / "semi.pth", *data(place)]):
        status, _, err = call(capsys, *words)
        assert status == 2
        assert "`teacher.` (193 of the model's 193), `student.` (193 of" in err
