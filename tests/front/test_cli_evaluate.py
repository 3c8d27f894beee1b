"""What ``deep-dissect evaluate`` says of its input and of its results, and a few messages nearby."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import dissect_mmdet
from deep_dissect.cli import main
from dissect_mmdet import load_config, load_mmdet_checkpoint
from dissect_mmdet.demo import demo_files
from dissect_mmdet.detector import available_device
from dissect_mmdet.errors import ConfigError, DeviceError
from helpers import DemoData

QUERIES = "query_embedding.weight"
UNITS = ["units", "demo:detr", QUERIES, "-p", "5", "--out"]
HEADS = ["heads", "demo:detr", "encoder.layers.0.self_attn.attn", "--out", "o"]


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def evaluate(data: DemoData, *words: object, images: Path | None = None) -> int:
    return run("evaluate", "-w", "demo:detr", "-a", data.annotations, "-i", images or data.images, *words)


def test_tables_fit_eighty_columns(
    demo_data: DemoData, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert evaluate(demo_data, "--limit", 2) == 0
    tables = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("–")]
    assert max(map(len, tables)) <= 80
    for name in ("circle", "square", "triangle"):
        assert sum(line.split()[:1] == [name] for line in tables) == 1


def test_long_class_names_are_whole(
    demo_data: DemoData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = "a circle " * 6 + "[/b]"
    checkpoint = load_mmdet_checkpoint(demo_files("detr").checkpoint)
    names = list(checkpoint["meta"]["dataset_meta"]["classes"])
    names[0] = long
    checkpoint["meta"]["dataset_meta"]["classes"] = names
    torch.save(checkpoint, tmp_path / "long.pth")
    content = json.loads(demo_data.annotations.read_text())
    content["categories"][0]["name"] = long
    annotations = tmp_path / "long.json"
    annotations.write_text(json.dumps(content))
    words = ["evaluate", "-w", tmp_path / "long.pth", "-a", annotations, "-i", demo_data.images, "--limit", 1]
    assert run(*words) == 0
    assert long in capsys.readouterr().out


def test_a_dash_has_its_reason(demo_data: DemoData, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(demo_data, "--limit", 1, "--score-threshold", 1) == 0
    out = capsys.readouterr().out
    for reason in (
        "no detection at or above the score cut",
        "class AP, class recall: no object of the class",
        "micro GIoU: no true positive",
    ):
        assert reason in out
    assert "by_size" not in out
    reasons = [line.rpartition(": ")[2] for line in out.splitlines() if line.startswith("–: ")]
    assert len(set(reasons)) == len(reasons)


def test_images_of_another_size_are_named(
    demo_data: DemoData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import cv2

    for path in demo_data.paths:
        shutil.copy(path, tmp_path)
    path = sorted(tmp_path.iterdir())[0]
    picture = cv2.imread(str(path))
    height, width = picture.shape[:2]
    cv2.imwrite(str(path), picture[: height // 2, : width // 2])
    for words in ([], ["--json"]):
        assert evaluate(demo_data, *words, images=tmp_path) == 0
        warning = capsys.readouterr().err
        assert f"1 of 6 images have another size than the annotation file says: {path.name} has" in warning
        assert f"{width // 2} × {height // 2} pixels instead of {width} × {height}" in warning
    assert evaluate(demo_data, "--limit", 2) == 0
    assert "another size" not in capsys.readouterr().err


def test_missing_images_are_told_by_their_share(
    demo_data: DemoData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(demo_data, images=tmp_path) == 2
    assert "another split" in capsys.readouterr().err
    for path in demo_data.paths[1:]:
        shutil.copy(path, tmp_path)
    assert evaluate(demo_data, images=tmp_path) == 2
    error = capsys.readouterr().err
    assert f"1 of 6 images of the annotation file are not in {tmp_path}" in error
    assert "Complete the folder" in error
    assert "another split" not in error


def test_detections_replace_no_folder_and_no_image(
    demo_data: DemoData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = demo_data.paths[0].read_bytes()
    assert evaluate(demo_data, "--save-detections", demo_data.paths[0], "--force") == 2
    assert "is an input of this command" in capsys.readouterr().err
    assert demo_data.paths[0].read_bytes() == before
    assert evaluate(demo_data, "--save-detections", tmp_path, "--force") == 2
    assert f"--save-detections {tmp_path} is a folder: give a file" in capsys.readouterr().err


def test_cuda_that_torch_was_built_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("Torch not compiled with CUDA enabled")

    monkeypatch.setattr(torch, "empty", refuse)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    with pytest.raises(DeviceError, match=r"this torch \(.*\) has no CUDA. Install a CUDA build of torch"):
        available_device("cuda:0")


@pytest.mark.parametrize("device", ["banana", "cuda:x", "cpu:-1"])
def test_a_device_unknown_to_torch_is_told_in_short(device: str) -> None:
    with pytest.raises(DeviceError, match=r"torch knows no such device\. Use 'cpu'") as caught:
        available_device(device)
    assert len(str(caught.value)) < 160


def test_a_config_without_the_one_it_builds_on(tmp_path: Path) -> None:
    shutil.copy(demo_files("detr").config, tmp_path / "mine.py")
    with pytest.raises(ConfigError, match=r"mine.py cannot be read: it builds on .*_scenes.py, which is not"):
        load_config(tmp_path / "mine.py")
    (tmp_path / "reads.py").write_text("text = open('/no/such/words.txt').read()\n")
    with pytest.raises(ConfigError, match=r"it needs /no/such/words.txt, which is not there"):
        load_config(tmp_path / "reads.py")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*UNITS, "o", "--seed", "-1"], "'--seed': must be greater than or equal to 0, got '-1'"),
        ([*UNITS, "o", "--intervention", "x"], "'--intervention': 'x' is not one of 'zero'"),
        (["unit"], "Did you mean 'units'; there are units, heads, component, layers (see"),
        ([*HEADS, "--head", "1", "--head", "1"], "--head must name each head once, got 1, 1"),
        ([*UNITS, "/proc"], "--out /proc: /proc/query_embedding.weight_element_5_0.pth cannot be written"),
    ],
)
def test_errors_name_the_option_and_the_value(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("ablate", *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_segments_are_in_name_and_record(tmp_path: Path) -> None:
    for segments in ("8", "4"):
        assert run("ablate", *UNITS, tmp_path, "--unit", "segment", "--segments", segments) == 0
    stems = {8: f"{QUERIES}_segment_5_0", 4: f"{QUERIES}_segment4_5_0"}
    assert {path.stem for path in tmp_path.iterdir()} == set(stems.values())
    for segments, stem in stems.items():
        record = load_mmdet_checkpoint(tmp_path / f"{stem}.pth")["meta"]["deep_dissect"]
        assert record["segments"] == segments


@pytest.mark.parametrize("name", ["detr", "deformable_detr", "dino"])
def test_bundled_detectors_by_name(
    name: str, demo_data: DemoData, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-w", f"demo:{name}", "-a", demo_data.annotations, "-i", demo_data.images, "--limit", 1]
    assert run("evaluate", *words) == 0
    assert "AP50" in capsys.readouterr().out


def test_nothing_that_takes_time_is_imported_before_interruptions_are_expected() -> None:
    code = "import deep_dissect.cli, sys; print({'torch', 'numpy', 'pydantic', 'typer'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    assert all(hasattr(dissect_mmdet, name) for name in dissect_mmdet.__all__)
    assert set(dissect_mmdet.__all__) <= set(dir(dissect_mmdet))


def test_interrupted_while_it_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import builtins

    ordinary = builtins.__import__

    def interrupted(name: str, *rest: object, **named: object) -> object:
        if name == "_main":
            raise KeyboardInterrupt
        return ordinary(name, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", interrupted)
    assert run("--version") == 130
    assert capsys.readouterr().err == "interrupted\n"
