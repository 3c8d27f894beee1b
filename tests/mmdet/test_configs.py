"""Configs inside checkpoints are parsed, never run."""

from typing import Any

import pytest

from dissect_mmdet import config_of_checkpoint, load_config
from dissect_mmdet._config import literal_assignments
from dissect_mmdet.demo import demo_files


def test_a_dumped_config_reads_back() -> None:
    config = load_config(demo_files("dino").config)
    again = config_of_checkpoint({"meta": {"cfg": config.pretty_text}})
    assert again is not None
    assert again.model.to_dict() == config.model.to_dict()
    assert again.test_dataloader.to_dict() == config.test_dataloader.to_dict()


@pytest.mark.parametrize(
    "text",
    [
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
