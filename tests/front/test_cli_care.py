"""What the command takes care of: nothing overwritten, names that do not meet, one line for each error."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch

from deep_dissect.cli import main
from deep_dissect.cli._main import run_guarded
from dissect_core.torch.replay import ReplayWarning
from dissect_mmdet import load_mmdet_checkpoint
from dissect_mmdet.demo import demo_files
from helpers import DemoData

QUERIES = "query_embedding.weight"
BLOCK = "encoder.layers.0.self_attn.attn"


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_saved_detections_replace_nothing(
    demo_data: DemoData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "own.pth"
    checkpoint.write_bytes(demo_files("detr").checkpoint.read_bytes())
    words = ["evaluate", "-w", checkpoint, "-c", demo_files("detr").config, "-a", demo_data.annotations]
    words += ["-i", demo_data.images, "--limit", 1, "--save-detections"]
    before = checkpoint.read_bytes()
    assert run(*words, checkpoint, "--force") == 2
    assert "is an input of this command" in capsys.readouterr().err
    assert checkpoint.read_bytes() == before
    out = tmp_path / "found.json"
    out.write_text("mine")
    assert run(*words, out) == 2
    assert "exists already: choose another file, or --force" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert run(*words, out, "--force") == 0
    assert json.loads(out.read_text())
    assert run(*words, "/proc/x/found.json") == 2
    assert "--save-detections /proc/x/found.json cannot be written" in capsys.readouterr().err


def test_statistics_of_norms_are_no_components(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ablate", "component", "demo:detr", "backbone.layer1.*", "--out", tmp_path) == 0
    (path,) = tmp_path.glob("*.pth")
    before = load_mmdet_checkpoint(demo_files("detr").checkpoint)["state_dict"]
    after = load_mmdet_checkpoint(path)["state_dict"]
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed
    assert not [name for name in changed if "running_" in name or "num_batches" in name]
    capsys.readouterr()
    assert run("inspect", "demo:detr", "--match", "backbone.layer1.*", "--json") == 0
    assert {c["name"] for c in json.loads(capsys.readouterr().out)["components"]} == changed


def test_runs_that_differ_do_not_meet(tmp_path: Path) -> None:
    words = ["ablate", "units", "demo:detr", QUERIES, "--percent", 20, "--out", tmp_path]
    for more in ([], ["--seed", 1], ["--intervention", "mean"], ["--intervention", "noise", "--seed", 1]):
        assert run(*words, *more) == 0
    component = [
        "ablate",
        "component",
        "demo:detr",
        "encoder.layers.0.self_attn.attn.in_proj_weight",
        "--out",
    ]
    for bias in ("keep", "remove"):
        assert run(*component, tmp_path, "--bias", bias) == 0
    stem = f"{QUERIES}_element_20_0"
    part = "encoder.layers.0.self_attn.attn.in_proj_weight_component"
    names = {stem, f"{stem}_seed1", f"{stem}_mean", f"{stem}_seed1_noise", part, f"{part}_bias"}
    assert {path.stem for path in tmp_path.iterdir()} == names


def test_an_ablated_file_says_where_it_comes_from(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    assert run("ablate", "units", "demo:detr", QUERIES, "--percent", 20, "--out", first) == 0
    (path,) = first.iterdir()
    assert run("ablate", "units", path, QUERIES, "--percent", 50, "--out", second, "--seed", 3) == 0
    (path,) = second.iterdir()
    meta = load_mmdet_checkpoint(path)["meta"]
    record = meta["deep_dissect"]
    assert "test_metrics" not in meta
    assert record["source"] == f"{QUERIES}_element_20_0.pth"
    assert len(record["source_sha256"]) == 64
    assert [earlier["percent"] for earlier in record["history"]] == [20]
    assert record["history"][0]["source"] == demo_files("detr").checkpoint.name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "No such command 'nonsense'; there are inspect, ablate, evaluate, plan"),
        (["ablate", "heads"], "Missing option '--out'"),
        (["inspect"], "a detector is needed: give --checkpoint"),
        (["inspect", "demo:detr", "--depth", "0"], "--depth"),
        (["inspect", "demo:yolo"], "must be one of the bundled ones, demo:detr"),
        (["ablate", "units", "demo:detr", "encoder.*", "--percent", "5", "--out", "o"], "matches 36: "),
        (["ablate", "units", "demo:detr", QUERIES, "-p", "5", "--out", "/proc/x"], "--out /proc/x cannot be made"),
        (
            ["ablate", "units", "demo:detr", QUERIES, "-p", "5", "--unit", "segment", "--segments", "7", "--out", "o"],
            "--segments must divide the",
        ),
        (
            ["ablate", "heads", "demo:detr", BLOCK, "--head", "99", "--out", "o"],
            "--head must be from 0 to 7",
        ),
        (
            ["ablate", "heads", "demo:detr", BLOCK, "--head", "1", "--repeats", "3", "--out", "o"],
            "--repeats must be left out with --head",
        ),
    ],
)  # fmt: skip
def test_every_error_is_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_undefined_numbers_come_with_their_reason(
    demo_data: DemoData, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run("evaluate", "-w", "demo:detr", "-a", demo_data.annotations, "-i", demo_data.images, "--limit", 1)
        == 0
    )
    printed = " ".join(capsys.readouterr().out.split())
    assert "–: APl, ARl: no large truth" in printed


def test_images_of_another_size_are_named(
    demo_data: DemoData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(demo_data.annotations.read_text())
    for image in content["images"]:
        image["width"], image["height"] = 640, 480
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(content))
    assert run("evaluate", "-w", "demo:detr", "-a", wrong, "-i", demo_data.images, "--limit", 2) == 0
    error = " ".join(capsys.readouterr().err.split())
    assert "2 of 2 images have another size than the annotation file says" in error
    assert "instead of 640 × 480" in error


def test_warnings_of_ours_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("two of\n[them] run in full", ReplayWarning, stacklevel=1)
        return 0

    before = warnings.showwarning
    assert run_guarded(work, debug=False) == 0
    assert capsys.readouterr().err == "warning: two of [them] run in full\n"
    assert warnings.showwarning is before
