"""What is recognised in MMDetection's full-size detectors, checked by hand against their configs."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest
import torch

from dissect_core import Anatomy, Zero
from dissect_core.edits import group_edits
from dissect_core.torch import anatomy_of
from dissect_mmdet import MMDetDetector
from dissect_mmdet.ops import enable_mmcv_ops

pytest.importorskip("mmdet")
pytest.importorskip("mmcv")
enable_mmcv_ops()

import zoo  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


@cache
def model_of(name: str) -> Any:
    with torch.device("meta"):  # full size, without a value
        return zoo.build_detector(zoo.ARCHITECTURES[name], whole=True)[0]


@cache
def anatomy(name: str) -> Anatomy:
    return anatomy_of(model_of(name))


def paths(name: str, role: str) -> list[str]:
    return [block.path for block in anatomy(name).select_blocks(role)]


def sizes(name: str, unit: str) -> dict[str, int]:
    return {g.path: g.n_units for g in anatomy(name).groups if g.unit == unit}


DETRS = [name for name in zoo.ARCHITECTURES if "DETR" in name or name in ("DINO", "DDQ")]
DEFORMABLE = [name for name in DETRS if "Deformable" in name or name in ("DINO", "DDQ")]


@pytest.mark.parametrize("name", DETRS)
def test_the_layers_of_a_detr(name: str) -> None:
    for role, stack, block in (
        ("encoder.layer", "encoder", ""),
        ("encoder.self_attn", "encoder", ".self_attn"),
        ("encoder.ffn", "encoder", ".ffn"),
        ("decoder.layer", "decoder", ""),
        ("decoder.self_attn", "decoder", ".self_attn"),
        ("decoder.cross_attn", "decoder", ".cross_attn"),
        ("decoder.ffn", "decoder", ".ffn"),
    ):
        assert paths(name, role) == [f"{stack}.layers.{i}{block}" for i in range(6)]
        assert [b.layer for b in anatomy(name).select_blocks(role)] == list(range(6))
    assert len(paths(name, "encoder.norm")) == 12
    final = {"DINO": ["decoder.norm"], "DDQ": ["decoder.norm"]}.get(name, ["decoder.post_norm"])
    norms = paths(name, "decoder.norm")
    assert norms[:18] == [f"decoder.layers.{i}.norms.{j}" for i in range(6) for j in range(3)]
    assert norms[18:] == ([] if "Deformable" in name else final)
    assert Counter(layout.n_heads for layout in anatomy(name).attention.values()) == {8: 18}
    neurons = 1024 if "Deformable" in name else 2048
    expected = {f"{stack}.layers.{i}.ffn": neurons for stack in ("encoder", "decoder") for i in range(6)}
    assert sizes(name, "neuron") == expected


@pytest.mark.parametrize("name", DETRS)
def test_queries(name: str) -> None:
    expected = {"DETR": 100, "DINO": 900, "Deformable DETR, two-stage": None, "DDQ": None}.get(name, 300)
    assert sizes(name, "query") == ({"query_embedding": expected} if expected else {})
    if expected:
        assert paths(name, "query_embedding") == ["query_embedding"]
        assert anatomy(name).component("query_embedding.weight").role == "query_embedding"


@pytest.mark.parametrize("name", DETRS)
def test_levels_and_points(name: str) -> None:
    expected = []
    if name in DEFORMABLE:
        expected = [f"encoder.layers.{i}.self_attn" for i in range(6)]
        expected += [f"decoder.layers.{i}.cross_attn" for i in range(6)]
    assert sizes(name, "level") == dict.fromkeys(expected, 4)
    assert sizes(name, "point") == dict.fromkeys(expected, 4)


@pytest.mark.parametrize("name", ["DETR", "Deformable DETR", "DINO"])
def test_channels(name: str) -> None:
    channels = sizes(name, "channel")
    backbone = {path: n for path, n in channels.items() if path.startswith("backbone")}
    # The stem; 3 + 4 + 6 + 3 bottlenecks of three convolutions; a shortcut in each of four stages.
    assert len(backbone) == 1 + 3 * 16 + 4
    assert backbone["backbone.conv1"] == 64
    assert backbone["backbone.layer4.2.conv3"] == backbone["backbone.layer4.0.downsample.0"] == 2048
    slices = {g.path: [s.parameter for s in g.slices] for g in anatomy(name).groups if g.unit == "channel"}
    assert slices["backbone.layer1.0.conv2"] == [f"backbone.layer1.0.bn2.{n}" for n in ("weight", "bias")]
    assert slices["backbone.layer1.0.downsample.0"][0] == "backbone.layer1.0.downsample.1.weight"
    norm = "conv" if name == "DETR" else "gn"
    assert slices["neck.convs.0.conv"] == [f"neck.convs.0.{norm}.{n}" for n in ("weight", "bias")]
    assert len(channels) - len(backbone) == (1 if name == "DETR" else 4)


def test_roles_that_only_the_rule_knows() -> None:
    assert paths("DETR", "head.reg") == ["bbox_head.reg_ffn", "bbox_head.fc_reg"]
    assert paths("DETR", "head") == ["bbox_head"]
    assert paths("Deformable DETR", "neck.channel_mapper") == ["neck"]
    assert paths("DAB-DETR", "decoder.reference_points") == [
        "decoder.ref_point_head",
        "decoder.ref_anchor_head",
    ]
    assert paths("Conditional DETR", "decoder.query_scale") == ["decoder.query_scale"]
    assert paths("DINO", "query_selection") == ["memory_trans_fc", "memory_trans_norm"]
    assert paths("DDQ", "head.aux") == ["bbox_head.aux_cls_branches", "bbox_head.aux_reg_branches"]
    assert paths("Mask R-CNN", "head") == ["rpn_head", "roi_head"]
    assert paths("Mask R-CNN", "head.mask") == ["roi_head.mask_head"]
    assert paths("Mask R-CNN", "head.rpn") == ["rpn_head"]
    assert paths("Cascade R-CNN", "head.bbox") == [f"roi_head.bbox_head.{i}" for i in range(3)]
    assert paths("RetinaNet", "head.cls") == ["bbox_head.cls_convs", "bbox_head.retina_cls"]
    assert paths("FCOS", "head.objectness") == ["bbox_head.conv_centerness"]
    assert paths("YOLOX", "head.objectness") == ["bbox_head.multi_level_conv_obj"]


def test_the_stages_of_sparse_rcnn_are_a_decoder() -> None:
    name = "Sparse R-CNN"
    assert paths(name, "decoder.layer") == [f"roi_head.bbox_head.{i}" for i in range(6)]
    assert paths(name, "decoder.self_attn") == [f"roi_head.bbox_head.{i}.attention" for i in range(6)]
    assert paths(name, "decoder.ffn") == [f"roi_head.bbox_head.{i}.ffn" for i in range(6)]
    assert not any(role.startswith("encoder") for role in anatomy(name).roles)
    (queries,) = (g for g in anatomy(name).groups if g.unit == "query")
    assert queries.n_units == 100
    assert [s.shape for s in queries.slices] == [(100, 4), (100, 256)]


def test_rtmdet_shares_convolutions_between_levels_and_keeps_norms_apart() -> None:
    tower = [g for g in anatomy("RTMDet").groups if g.path.startswith("bbox_head.cls_convs.1.0")]
    assert [[s.parameter for s in g.slices] for g in tower] == [
        ["bbox_head.cls_convs.1.0.bn.weight", "bbox_head.cls_convs.1.0.bn.bias"]
    ]


@pytest.mark.parametrize("name", zoo.ARCHITECTURES)
def test_everything_named_exists_and_has_its_shape(name: str) -> None:
    found, model = anatomy(name), model_of(name)
    shapes = {key: tuple(p.shape) for key, p in model.named_parameters()}
    assert {c.name: c.shape for c in found.components} == shapes
    assert [c.name for c in found.components if c.role is None] in ([], ["level_embed"])
    modules = dict(model.named_modules(remove_duplicate=False))
    assert {b.path for b in found.blocks} <= set(modules)
    assert len({b.path for b in found.blocks}) == len(found.blocks)
    assert len({(g.path, g.unit) for g in found.groups}) == len(found.groups)
    for group in found.groups:
        assert group.slices
        for edit in group_edits(group, [0, group.n_units - 1][: group.n_units], Zero()):
            assert edit.mask.shape == shapes[edit.parameter]
            assert edit.mask.any()
    convs = {b.path for b in found.blocks if b.kind == "conv"}
    assert convs == set(sizes(name, "channel"))
    assert {"backbone", "head"} <= set(found.roles)


def test_a_detector_reads_its_anatomy_once(any_detector: MMDetDetector) -> None:
    found = any_detector.anatomy
    assert any_detector.anatomy is found
    assert found.component("backbone.conv1.weight").role == "backbone.conv"
    assert {"encoder.self_attn", "decoder.cross_attn", "query_embedding"} <= set(found.roles)
    assert found.attention == any_detector.attention
