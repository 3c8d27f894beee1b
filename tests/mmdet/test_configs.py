"""Configs inside checkpoints are parsed, never run."""

from typing import Any

import pytest

from dissect_mmdet import config_of_checkpoint, load_config
from dissect_mmdet.configs._literals import literal_assignments
from dissect_mmdet.demo import demo_files


def test_a_dumped_config_reads_back() -> None:
    config = load_config(demo_files("dino").config)
    again = config_of_checkpoint({"meta": {"cfg": config.pretty_text}})
    assert again is not None
    assert again.model.to_dict() == config.model.to_dict()
    assert again.test_dataloader.to_dict() == config.test_dataloader.to_dict()


def test_keys_that_are_no_names_read_back_as_mmengine_writes_them() -> None:
    from mmengine.config import Config

    of_stages = {"backbone": {"lr_mult": 0.1}, "backbone.stages.0.norm": {"decay_mult": 0.0}}
    values = {"model": {"type": "DETR", "levels": {0: {"a": 1}, 1: {}}}, "custom_keys": of_stages}
    text = Config(values).pretty_text
    assert "dict({" in text
    assert literal_assignments(text) == values


@pytest.mark.parametrize(
    "text",
    [
        "model = dict({'type'})",
        "model = dict({'a': 1}, {'b': 1})",
        "model = dict({'a': 1}, a=2)",
        "import os\nmodel = dict(type='DETR')",
        "model = dict(type=__import__('os').system('echo hi'))",
        "model = dict(**{'type': 'DETR'})",
        "model = [x for x in range(3)]",
        "model = type('X', (), {})",
        "model = open('file')",
        "model = dict((('type', 'DETR'),))",
        "model.x = 3",
        "model = ",
        "(" * 5000,
    ],
)
def test_anything_but_literals_is_refused(text: str) -> None:
    assert literal_assignments(text) is None
    assert config_of_checkpoint({"meta": {"cfg": text}}) is None


@pytest.mark.parametrize("checkpoint", [{}, {"meta": None}, {"meta": {}}, {"meta": {"cfg": 3}}])
def test_no_config(checkpoint: dict[str, Any]) -> None:
    assert config_of_checkpoint(checkpoint) is None


def test_imports_of_others_are_left_out() -> None:
    text = "custom_imports = dict(imports=['antigravity_that_is_not_there'])\nmodel = dict(type='DETR')"
    config = config_of_checkpoint({"meta": {"cfg": text}})
    assert config is not None
    assert "custom_imports" not in config
