"""Names of a detector's classes: who is asked for beats what a file says of itself, and a text is never its letters."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from commands import call
from dissect_mmdet import CheckpointFitError, ConfigError, load_config, load_mmdet_checkpoint, open_mmdet
from dissect_mmdet.demo import demo_files
from dissect_mmdet.weights import class_names_of
from helpers import DemoData

SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
OTHERS = ("a", "b", "c", "d", "e", "f")


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that says other names than the bundled config."""
    checkpoint = load_mmdet_checkpoint(demo_files("detr").checkpoint)
    checkpoint["meta"]["dataset_meta"]["classes"] = OTHERS
    path = tmp_path_factory.mktemp("renamed") / "renamed.pth"
    torch.save(checkpoint, path)
    return path


def config_with(classes: Any) -> Any:
    config = load_config(demo_files("detr").config)
    config.test_dataloader.dataset.metainfo = {"classes": classes}
    return config


def test_a_config_that_is_given_beats_the_checkpoint_and_classes_beat_both(renamed: Path) -> None:
    assert open_mmdet(checkpoint=renamed).class_names == OTHERS
    assert open_mmdet(checkpoint=renamed, config=demo_files("detr").config).class_names == SHAPES
    assert open_mmdet(checkpoint=renamed, config=config_with(list("uvwxyz"))).class_names == tuple("uvwxyz")
    for classes in ("1, 2,3,4,5,6", ["1", "2", "3", "4", "5", "6"]):
        detector = open_mmdet(checkpoint=renamed, config=demo_files("detr").config, classes=classes)
        assert detector.class_names == tuple("123456")
        assert detector.model.dataset_meta == {"classes": tuple("123456")}
    silent = config_with(None)
    silent.test_dataloader.dataset.metainfo = {}
    assert open_mmdet(checkpoint=renamed, config=silent).class_names == OTHERS


@pytest.mark.parametrize("classes", ["circle", ["circle"], ("circle",)])
def test_a_text_is_one_name_not_its_letters(renamed: Path, classes: Any) -> None:
    message = r"distinguishes 6 classes, but .*names 1 \(circle\).*--classes"
    with pytest.raises(CheckpointFitError, match=message):
        open_mmdet(checkpoint=renamed, config=config_with(classes))
    with pytest.raises(CheckpointFitError, match=message):
        open_mmdet(checkpoint=renamed, classes=classes)
    one: Any = SimpleNamespace(bbox_head=SimpleNamespace(num_classes=1))
    assert class_names_of({}, config_with(classes), one, config_is_given=True) == ("circle",)
    meta = {"meta": {"dataset_meta": {"CLASSES": classes}}}
    assert class_names_of(meta, load_config(demo_files("detr").config), one) == ("circle",)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("a,b,c,d,e,e", "`classes` .--classes. must name each class once, but these repeat: e"),
        ("a,b,c,,d,e", "one of these is empty"),
        ("", "one of these is empty"),
        ("a,b,c", r"6 classes, but `classes` .--classes. names 3 .a, b, c."),
        (
            ["x" * 10**7, *"bcdef"],
            r"at most 1,000 characters, but one has 10,000,000: 'x+…x+'\. Give shorter names",
        ),
        ({"a": 1}, "must be a list of class names, got {'a': 1}"),
    ],
)
def test_bad_names(renamed: Path, classes: Any, message: str) -> None:
    with pytest.raises((CheckpointFitError, ConfigError), match=message):
        open_mmdet(checkpoint=renamed, classes=classes)


def test_names_of_other_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of names as MMEngine reads it, wrapped data sets, and kinds of data sets with classes of their own."""
    model: Any = SimpleNamespace(roi_head=SimpleNamespace(bbox_head=SimpleNamespace(num_classes=2)))
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_text("cat\ndog\n")
    assert class_names_of({}, config_with("names.txt"), model, config_is_given=True) == ("cat", "dog")
    with pytest.raises(
        CheckpointFitError, match=r"names 1 \(names.txt\)"
    ):  # a checkpoint reads no files of ours
        class_names_of({}, config_with("names.txt"), model)
    config = config_with(("x", "y"))
    config.test_dataloader.dataset = {"type": "ConcatDataset", "datasets": [config.test_dataloader.dataset]}
    assert class_names_of({}, config, model, config_is_given=True) == ("x", "y")
    config.test_dataloader.dataset = {"type": "VOCDataset"}
    twenty: Any = SimpleNamespace(bbox_head=SimpleNamespace(num_classes=20))
    assert class_names_of({}, config, twenty)[:2] == ("aeroplane", "bicycle")
    with pytest.raises(
        CheckpointFitError, match=r"the kind of data set in the config names 20 \(aeroplane, "
    ):
        class_names_of({}, config, model)


def test_the_command_line_takes_names(
    renamed: Path, demo_data: DemoData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["-a", demo_data.annotations, "-i", demo_data.images, "--limit", 2]
    status, out, _ = call(capsys, "evaluate", "-w", "demo:detr", *data, "--json")
    assert status == 0
    expected = json.loads(out)
    status, _, err = call(capsys, "evaluate", "-w", renamed, *data)
    assert status == 2
    assert "Not in the ground truth: 'a', 'b'" in err
    config = ["--config", demo_files("detr").config]
    for more in (["--classes", ",".join(SHAPES)], config):
        status, out, _ = call(capsys, "evaluate", "-w", renamed, *data, *more, "--json")
        assert status == 0
        assert json.loads(out) == expected
    study = tmp_path / "one.yaml"
    study.write_text(
        f"name: one\ndetector: {{adapter: mmdet, options: {{checkpoint: {renamed}}}}}\nablations:\n"
        "  - {name: a, target: {unit: component, components: query_embedding.weight}, select: {by: all}}\n"
    )
    status, _, err = call(capsys, "run", study, *data, "--classes", "circle", "--out", tmp_path / "out")
    assert status == 2
    assert "distinguishes 6 classes, but `classes` (--classes) names 1 (circle)" in err
    run = ["run", study, *data, "--replicates", 0, "--out"]
    assert call(capsys, *run, tmp_path / "classes", "--classes", ",".join(SHAPES))[0] == 0
    assert call(capsys, *run, tmp_path / "config", *config)[0] == 0
