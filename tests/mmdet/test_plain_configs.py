"""Configs of plain values: whatever they hold, they are read or refused in one line, and MMDetection's own are read."""

import copy
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from commands import call, skip_without_mmdet
from dissect_core import DissectError
from mmdet_configs import MODULE, PIPELINE, THING, changed, stored
from real_data import needed

skip_without_mmdet()

from dissect_mmdet import ConfigError, build_model, config_of_checkpoint, load_config, open_mmdet  # noqa: E402
from dissect_mmdet.configs._plain import PlainConfig, is_plain, plain_config  # noqa: E402
from dissect_mmdet.demo import demo_files  # noqa: E402
from zoo import ARCHITECTURES, config_folder  # noqa: E402


def open_stored(values: dict[str, Any]) -> Any:
    """Open the bundled checkpoint as if these values were stored in it."""
    config = config_of_checkpoint(stored(values))
    if config is None:
        raise ConfigError("no config that can be read safely")
    return open_mmdet(config=config, checkpoint="demo:detr")


@pytest.mark.parametrize(("path", "value"), [
    (("model", "num_queries"), 10**8),
    (("model", "num_queries"), 10**4000),
    (("model", "num_queries"), -(10**9)),
    (("model", "num_queries"), 1e300),
    (("model", "decoder", "num_layers"), 10**8),
    (("model", "encoder", "layer_cfg", "ffn_cfg", "feedforward_channels"), 10**10),
    (("model", "data_preprocessor", "pad_size_divisor"), 5_000),
    (("model", "neck"), {"type": "GeneralizedAttention", "in_channels": 64, "kv_stride": 0.01}),
    ((*PIPELINE, 1), {"type": "Compose", "transforms": [{"type": "Resize", "scale": (9, 9)}] * 20_000}),
    ((*PIPELINE, 1, "scale"), (10**6, 10**6)),
    ((*PIPELINE, 1, "scale_factor"), 1000.0),
])  # fmt: skip
def test_absurd_numbers_are_refused_before_anything_is_built(
    path: tuple[str | int, ...], value: Any, config_values: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"(was refused: `|cannot be read safely)"):
        open_stored(changed(config_values, path, value))


@pytest.mark.parametrize(("path", "value", "what"), [
    (("model", "num_queries"), 60_000, "cannot be built|does not fit"),
    (("model", "encoder", "num_layers"), 60_000, "modules|MB"),
    (("model", "encoder", "layer_cfg", "ffn_cfg", "feedforward_channels"), 65_000, "MB|does not fit"),
    (("model", "bbox_head", "num_classes"), 65_000, "MB|does not fit"),
    (("model", "backbone", "base_channels"), 60_000, "MB"),
])  # fmt: skip
def test_a_model_takes_no_more_than_its_checkpoint_could_fill(
    path: tuple[str | int, ...], value: Any, what: str, config_values: dict[str, Any]
) -> None:
    with pytest.raises(DissectError, match=what):
        open_stored(changed(config_values, path, value))


@pytest.mark.parametrize("text", [
    "model = " + "-" * 200_000 + "1",
    "model = " + "(" * 200_000,
    "model = " + "[" * 100_000 + "]" * 100_000,
    "model = " + "{1:" * 100_000 + "1" + "}" * 100_000,
    "model = dict(a=" * 50_000,
    "model = " + "1+" * 200_000 + "1",
    "model = 'a' * 1000000000",
    "model = " + "9" * 10_000,
    "model = dict(type='DETR')\0",
    "model = dict(type='\ud800')",
    "model = dict(type='\\ud800')",
    "x = '" + "a" * 3_000_000 + "'\nmodel = dict()",
    "model = not not True",
    "model = dict(a=1, a=2)",
    "model = f'{1}'",
    "model = lambda: 1",
    "model = 1 if 1 else 2",
], ids=lambda text: ascii(text[:16]))  # fmt: skip
def test_texts_made_to_break_the_parser_are_no_configs(text: str) -> None:
    assert config_of_checkpoint({"meta": {"cfg": text}}) is None


@pytest.mark.parametrize("model", [
    "'DETR'", "[]", "[dict(type='DETR')]", "3", "None", "dict()", "dict(type='ReLU')",
    "dict(type='BatchResize', scale=3)",
    "dict(type='HungarianAssigner', match_costs=[])", "dict(type='DETR')", "dict(type='Resize', scale=(3, 3))",
    "dict(type='DETR', backbone=3)", "dict(type='TwoStageDetector', backbone=dict(type='ResNet', depth=50))",
    "dict(type='ResNet', depth=-1)", "dict(type='DETR', **{})", "{'type': 'DETR', 3: 4}", "{'type': 'ReLU', 'a b': 4}",
    "dict(type='nms')", "dict(type='')", "dict(type='.')", "dict(type='mmdet.')", "dict(type='a' 'b')",
])  # fmt: skip
def test_a_config_that_makes_no_detector_is_one_line(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.pth"
    torch.save({"state_dict": {"w": torch.ones(2)}, "meta": {"cfg": f"model = {model}"}}, file)
    status, _, err = call(
        capsys, "evaluate", "--checkpoint", file, "--images", tmp_path, "--annotations", file
    )
    assert (status, err.count("\n")) == (2, 1), err
    assert "internal" not in err


@pytest.mark.parametrize("meta", [
    {"dataset_meta": ["a"]}, {"dataset_meta": 3}, {"dataset_meta": {"classes": 3}},
    {"dataset_meta": {"classes": [1, 2]}},
    {"dataset_meta": {"classes": None}}, {"dataset_meta": {"classes": [["a"], "b"]}}, {"classes": torch.ones(3)},
    {"dataset_meta": {"classes": [10**5000]}}, {"CLASSES": {"a": 1}}, {"dataset_meta": {"CLASSES": ("a", "")}}, {3: 4},
])  # fmt: skip
def test_odd_class_names_are_one_line(meta: dict[Any, Any], detr_file: Path, tmp_path: Path) -> None:
    whole = torch.load(detr_file, weights_only=False)
    whole["meta"] = {"cfg": whole["meta"]["cfg"], **meta}
    file = tmp_path / "a.pth"
    torch.save(whole, file)
    try:
        assert len(open_mmdet(checkpoint=file).class_names) == 6
    except DissectError as error:
        assert "\n" not in str(error)  # noqa: PT017  # either is right


@pytest.fixture(scope="module")
def detr_file() -> Path:
    return demo_files("detr").checkpoint


@pytest.mark.parametrize("data", [
    [], "text", 3, {"dataset": 3}, {"dataset": "pipeline"}, {"dataset": {"pipeline": 3}},
    {"dataset": {"pipeline": [3]}}, {"dataset": {"datasets": []}}, {"dataset": {"pipeline": [{}]}},
    {"dataset": {"pipeline": [{"type": "PackDetInputs"}]}}, {"dataset": {"type": 3, "metainfo": 3}},
    {"dataset": {"type": f"{MODULE}.Thing"}}, {"dataset": {"metainfo": {"classes": 4}}},
    {"dataset": {"pipeline": [{"type": "Resize"}]}}, {"dataset": {"pipeline": {"type": "Resize"}}},
])  # fmt: skip
def test_odd_test_data_is_one_line(
    data: Any, config_values: dict[str, Any], marker: Path, tmp_path: Path
) -> None:
    from PIL import Image

    image = tmp_path / "a.png"
    Image.new("RGB", (20, 20)).save(image)
    with pytest.raises(DissectError) as refused:
        detector = open_stored({**config_values, "test_dataloader": data})
        assert detector.facts
        list(detector.predict([image]))
    assert "\n" not in str(refused.value)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["detr", "deformable_detr", "dino"])
def test_bundled_checkpoints_open_by_their_own_configs(name: str) -> None:
    detector = open_mmdet(checkpoint=f"demo:{name}")
    assert isinstance(detector.config, PlainConfig)
    assert (
        detector.facts["config"]
        == open_mmdet(config=demo_files(name).config, checkpoint=f"demo:{name}").facts["config"]
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_mmdetections_own_configs_are_admitted(name: str) -> None:
    from mmengine.config import Config

    values = Config.fromfile(config_folder() / ARCHITECTURES[name]).to_dict()
    config = config_of_checkpoint(stored({key: values[key] for key in ("model", "test_dataloader")}))
    assert config is not None
    assert config.model.to_dict() == values["model"]


@pytest.mark.parametrize("name", ["Faster R-CNN, DCNv2", "YOLOX", "RTMDet"])
def test_and_can_be_built(name: str) -> None:
    from mmengine.config import Config

    values = Config.fromfile(config_folder() / ARCHITECTURES[name]).to_dict()
    assert build_model(plain_config(values, "the config"), n_bytes=10**8) is not None


def anchors(**values: Any) -> dict[str, Any]:
    kind = {"type": "AnchorGenerator", "strides": [8], "ratios": [1.0], "scales": [1.0], **values}
    head = {"type": "AnchorHead", "num_classes": 1, "in_channels": 1, "anchor_generator": kind}
    return {"type": "SingleStageDetector", "backbone": SMALLEST, "bbox_head": head}


SMALLEST = {"type": "ResNet", "depth": 18, "base_channels": 1}
WINDOWS = {
    "type": "SwinTransformer",
    "embed_dims": 6,
    "depths": [1] * 4,
    "num_heads": [1] * 4,
    "window_size": 300,
}
AMPLIFIED: dict[str, dict[str, Any]] = {
    "scales by ratios": anchors(scales=[1.0] * 60_000, ratios=[1.0] * 60_000),
    "many of many": anchors(scales=[1.0] * 5_000, ratios=[1.0] * 300, strides=[8] * 100),
    "square of a window": {**anchors(), "backbone": WINDOWS},
    "steps": anchors(strides=[8] * 60_000),
}


@pytest.mark.parametrize("name", AMPLIFIED)
def test_small_parameters_that_become_large_tensors_are_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dissect_mmdet.configs._budget.CALLS_AT_MOST", 5_000)
    assert build_model(plain_config({"model": anchors()}, "the config")) is not None
    with pytest.raises(ConfigError, match=r"was refused: its model takes over .* (MB|steps)"):
        build_model(plain_config({"model": AMPLIFIED[name]}, "the config"))


def test_opening_draws_the_same_numbers_with_and_without_a_budget(config_values: dict[str, Any]) -> None:
    from mmengine.config import Config

    built = []
    for config in (
        Config(copy.deepcopy(config_values)),
        plain_config(copy.deepcopy(config_values), "the config"),
    ):
        torch.manual_seed(3)
        built.append(build_model(config).state_dict())
    assert all(torch.equal(built[0][name], built[1][name]) for name in built[0])


@pytest.mark.parametrize("ending", [".json", ".yaml", ".yml"])
def test_config_files_of_plain_values(
    ending: str, config_values: dict[str, Any], tmp_path: Path, marker: Path
) -> None:
    file = tmp_path / f"a{ending}"
    file.write_text(json.dumps(config_values))
    config = load_config(file)
    assert is_plain(config)
    assert open_mmdet(config=file, checkpoint="demo:detr").class_names
    file.write_text(
        json.dumps(changed(config_values, ("model", "train_cfg", "assigner", "match_costs"), [THING]))
    )
    with pytest.raises(
        ConfigError, match=r"^config .*`model.train_cfg.assigner.match_costs\[0\].type`.* --trust"
    ):
        load_config(file)
    (tmp_path / "base.py").write_text(f"import {MODULE}\nmodel = dict()\n")
    file.write_text(json.dumps({**config_values, "_base_": "base.py"}))
    with pytest.raises(ConfigError, match=r"builds on other files .* --trust"):
        load_config(file)
    file.write_text(json.dumps({**config_values, "x": "{{ fileDirname }}"}))
    with pytest.raises(ConfigError, match=r"has placeholders .* --trust"):
        load_config(file)
    file.write_text(json.dumps({**config_values, "custom_imports": {"imports": [MODULE]}}))
    assert "custom_imports" not in load_config(file)
    assert not marker.exists()
    assert not is_plain(load_config(file, trust=True))
    assert marker.exists()


@pytest.mark.parametrize("text", [
    "model: !!python/object/apply:os.system ['true']",
    "model: !!python/name:os.system",
    "model: &a [*a]",
    "model: &a {type: DETR, b: *a}",
    "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghi"))
    + "model: *i",
    "model: 2001-01-01",
    "model: {type: 2001-01-01}",
    "model: {type: DETR, 2001-01-01: 3}",
    "model: {? [a] : b}",
    "model: " + "[" * 5000,
    "model: {a: " * 3000,
    "model: {n: " + "9" * 6000 + "}",
    "- model",
    "3",
    "",
    "model: {type: DETR}\nmodel: {type: DETR}",
    "model: {type: DETR}\nfilename: x",
    "model: {type: DETR, a: .inf}",
    "model: \0",
    "model: {type: \"\\ud800\"}",
], ids=lambda text: ascii(text[:24]))  # fmt: skip
def test_hostile_yaml_is_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_config(file)
    assert "\n" not in str(refused.value)


def test_a_real_checkpoint_opens_with_its_config_stored_and_given(tmp_path: Path) -> None:
    folder = needed("data/yolox_nano")
    given = open_mmdet(config=folder / "yolox_nano.py", checkpoint=folder / "yolox_nano_mmdet.pth")
    whole = torch.load(folder / "yolox_nano_mmdet.pth", weights_only=False)
    whole["meta"] = {**whole.get("meta", {}), "cfg": given.config.pretty_text}
    torch.save(whole, tmp_path / "a.pth")
    within = open_mmdet(checkpoint=tmp_path / "a.pth")
    assert is_plain(within.config)
    assert within.facts["config"] == given.facts["config"]
