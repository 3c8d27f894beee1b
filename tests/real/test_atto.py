"""DEIMv2-Atto, a real detection transformer, on real photographs: its known AP, and each part removed as by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import deep_dissect as dd
from dissect_core.detectors import BaseDetector
from dissect_eval import Detections, coco_ap, label_to_category
from dissect_eval.coco import NAMES
from dissect_eval.study import StudyDetections
from real.photographs import photographs, pycocotools_numbers, results_list, same

pytestmark = pytest.mark.real

N_LAYERS, N_HEADS, WIDTH = 3, 8, 8
POINTS = (4, 2)
"""Sampling points of each feature level."""


def study(*ablations: tuple[str, str]) -> dict[str, Any]:
    """Return a study that removes every unit of some kinds alone, given with its components."""
    return {
        "name": "parts",
        "ablations": [
            {
                "name": f"{unit} of {components}",
                "target": {"unit": unit, "components": components},
                "select": {"by": "each"},
            }
            for unit, components in ablations
        ],
    }


def with_hook(detector: BaseDetector, images: list[Path], hook: Callable[[], Any]) -> list[Any]:
    """Return detections while a hook is registered."""
    handle = hook()
    try:
        return detector.predict(images, batch_size=2)
    finally:
        handle.remove()


def layer(detector: Any, number: int) -> Any:
    return detector.model.model.decoder.layers[number]


def check(detector: BaseDetector, plan: dd.Plan, images: list[Path], hooks: list[Callable[[], Any]]) -> None:
    """Compare each variant of a plan but the baseline with what a hook of this test does."""
    whole = detector.predict(images, batch_size=2)
    assert len(plan) == 1 + len(hooks)
    for variant, hook in zip(list(plan)[1:], hooks, strict=True):
        with detector.ablated(variant) as report:
            ours = detector.predict(images, batch_size=2)
        assert not report.is_no_op, variant.id
        assert same(ours, with_hook(detector, images, hook)), variant.id
        assert not same(ours, whole), variant.id
    assert same(detector.predict(images, batch_size=2), whole)


@pytest.mark.slow
def test_ap_is_the_known_one(atto: BaseDetector, data: dd.CocoSplit, tmp_path: Path) -> None:
    found = atto.predict(data.images, batch_size=8)
    theirs = pycocotools_numbers(data, results_list(data, found, atto.class_names), tmp_path)
    assert theirs[:2] == pytest.approx([0.2634, 0.3904], abs=0.001)
    categories = label_to_category(data.truth, atto.class_names)
    ours = coco_ap(data.truth, Detections.from_arrays(found, data.ids, categories))
    assert [getattr(ours, name) for name in NAMES] == theirs


def test_every_self_attention_head(atto: BaseDetector, data: dd.CocoSplit) -> None:
    def hook(number: int, head: int) -> Callable[[], Any]:
        def remove(_module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            heads = inputs[0].clone()
            heads[..., head * WIDTH : (head + 1) * WIDTH] = 0
            return (heads,)

        return lambda: layer(atto, number).self_attn.o_proj.register_forward_pre_hook(remove)

    hooks = [hook(number, head) for number in range(N_LAYERS) for head in range(N_HEADS)]
    check(atto, dd.plan(study(("head", "decoder.self_attn")), atto), data.images[:2], hooks)


@pytest.mark.parametrize(
    ("role", "name"),
    [("decoder.self_attn", "self_attn"), ("decoder.cross_attn", "encoder_attn"), ("decoder.ffn", "mlp")],
)
def test_every_block(atto: BaseDetector, data: dd.CocoSplit, role: str, name: str) -> None:
    def remove(_module: Any, _inputs: Any, output: Any) -> Any:
        if isinstance(output, Tensor):
            return torch.zeros_like(output)
        return (torch.zeros_like(output[0]), *output[1:])

    def hook(number: int) -> Callable[[], Any]:
        return lambda: getattr(layer(atto, number), name).register_forward_hook(remove)

    plan = dd.plan(study(("sublayer", role)), atto)
    check(atto, plan, data.images[:4], [hook(number) for number in range(N_LAYERS)])


def test_every_layer(atto: BaseDetector, data: dd.CocoSplit) -> None:
    def hook(number: int) -> Callable[[], Any]:
        return lambda: layer(atto, number).register_forward_hook(lambda _module, inputs, _output: inputs[0])

    plan = dd.plan(study(("layer", "decoder.layer")), atto)
    check(atto, plan, data.images[:4], [hook(number) for number in range(N_LAYERS)])


@pytest.mark.parametrize(
    ("unit", "columns"),
    [
        ("level", [[0, 1, 2, 3], [4, 5]]),
        ("point", [[0, 4], [1, 5], [2], [3]]),
    ],
)
def test_every_level_and_point(
    atto: BaseDetector, data: dd.CocoSplit, unit: str, columns: list[list[int]]
) -> None:
    def hook(number: int, gone: list[int]) -> Callable[[], Any]:
        def remove(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
            logits = output.unflatten(-1, (N_HEADS, sum(POINTS))).clone()
            logits[..., gone] = -torch.inf
            return logits.flatten(-2)

        return lambda: layer(atto, number).encoder_attn.attention_weights.register_forward_hook(remove)

    hooks = [hook(number, gone) for number in range(N_LAYERS) for gone in columns]
    check(atto, dd.plan(study((unit, "decoder.cross_attn")), atto), data.images[:4], hooks)


def test_study_is_exact(atto: BaseDetector, folder: Path, tmp_path: Path) -> None:
    data = photographs(folder, limit=2)
    spec = study(
        ("head", "decoder.self_attn"),
        ("sublayer", "decoder.self_attn"),
        ("sublayer", "decoder.cross_attn"),
        ("layer", "decoder.layer"),
        ("level", "decoder.cross_attn"),
        ("point", "decoder.cross_attn"),
    )
    done = dd.run_study(spec, atto, data, tmp_path / "study", batch_size=1, verify=1.0)
    rows = done.measure(replicates=0).tables.summary
    assert len(rows) == 1 + N_LAYERS * (N_HEADS + 1 + 1 + 1 + len(POINTS) + max(POINTS))
    assert not any(row["no_op"] for row in rows)
    stored = StudyDetections(done)
    for row in rows[::6]:
        theirs = pycocotools_numbers(data, stored.of(row["id"])[0].to_results(), tmp_path)
        for name in ("AP", "AP50", "AP75", "APm", "APl", "AR100"):
            assert row[name] == theirs[NAMES.index(name)], (row["id"], name)
