"""Planned variants on the bundled detectors: readouts, activations and sublayers, against MMDetection itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dissect_core.plan import plan
from dissect_core.spec import load_spec
from dissect_core.torch import EffectProbe, ablated, bypassed, gather_reference, reference_sites
from dissect_mmdet import MMDetDetector
from helpers import DemoData


def variants_of(detector: MMDetDetector, target: dict[str, Any], by: str = "each", **more: Any) -> list[Any]:
    ablation = {"name": "a", "target": target, "select": {"by": by}, **more}
    return plan(load_spec({"name": "s", "ablations": [ablation]}), detector.anatomy)[1:]


@pytest.fixture(scope="module")
def batch(demo_data: DemoData, detr: MMDetDetector) -> Any:
    return next(detr.prepare(demo_data.paths[:2], batch_size=2))


def same(found: Any, expected: Any, **close: float) -> bool:
    return all(
        torch.allclose(torch.from_numpy(a), torch.from_numpy(b).to(torch.from_numpy(a).dtype), **close)
        for x, y in zip(found, expected, strict=True)
        for a, b in zip(x, y, strict=True)
    )


EXACT = {"rtol": 0.0, "atol": 0.0}


def test_a_readout_is_what_the_head_made_of_that_layer(any_detector: MMDetDetector, batch: Any) -> None:
    """MMDetection's deformable heads give every layer's predictions, of which their postprocessing takes the last."""
    if type(any_detector.model).__name__ == "DETR":
        return  # its head is given the last layer only: see the next test
    head: Any = any_detector.model.bbox_head
    variants = variants_of(any_detector, {"unit": "readout", "components": "decoder.layer"})
    n_layers = len(variants) + 1
    assert n_layers >= 3
    whole = any_detector.predict_batch(batch)
    for i, variant in enumerate(variants):

        def take(_module: Any, _args: Any, outputs: Any, i: int = i) -> Any:
            assert all(len(output) == n_layers for output in outputs)
            return tuple(output[: i + 1] for output in outputs)

        handle = head.register_forward_hook(take)
        expected = any_detector.predict_batch(batch)
        handle.remove()
        with any_detector.ablated(variant):
            assert same(any_detector.predict_batch(batch), expected, **EXACT)
        assert not same(expected, whole, **EXACT)
    assert same(any_detector.predict_batch(batch), whole, **EXACT)


def test_without_branches_a_readout_leaves_out_the_layers_behind(detr: MMDetDetector, batch: Any) -> None:
    variants = variants_of(detr, {"unit": "readout", "components": "decoder.layer"})
    behind = variants_of(
        detr,
        {"unit": "layer", "components": "decoder.layer"},
        select={"by": "cumulative", "order": "backwards"},
    )
    for variant in variants:
        (other,) = (v for v in behind if v.n_units == variant.n_units)
        with detr.ablated(variant):
            found = detr.predict_batch(batch)
        with detr.ablated(other):
            assert same(found, detr.predict_batch(batch), rtol=1e-4, atol=1e-4)


def test_heads_in_both_spaces(any_detector: MMDetDetector, batch: Any) -> None:
    both = [{"kind": "zero"}, {"kind": "zero", "space": "activation"}]
    target = {"unit": "head", "components": ["self_attn", "cross_attn"]}
    variants = variants_of(any_detector, target, interventions=both)
    for weights, activations in list(zip(variants[::2], variants[1::2], strict=True))[::7]:
        with any_detector.ablated(weights) as report:
            expected = any_detector.predict_batch(batch)
        assert report.changed
        with any_detector.ablated(activations) as report:
            assert same(any_detector.predict_batch(batch), expected, rtol=1e-4, atol=1e-4)
        assert report.changed


def test_sublayers_as_weights(any_detector: MMDetDetector, batch: Any) -> None:
    target = {"unit": "sublayer", "components": ["self_attn", "cross_attn", "ffn"]}
    for variant in variants_of(any_detector, target)[::3]:
        with bypassed(any_detector.model, variant.bypassed()[0], "sublayer"):
            expected = any_detector.predict_batch(batch)
        with ablated(any_detector.model, {e.parameter: e.mask for e in variant.as_edits()}):
            assert same(any_detector.predict_batch(batch), expected, rtol=1e-4, atol=1e-4)


def test_means_of_queries_that_enter_a_layer(detr: MMDetDetector, demo_data: DemoData, batch: Any) -> None:
    target = {"unit": "query", "components": "decoder.layer", "pool": False}
    mean = {"kind": "mean", "over": "position", "space": "activation"}
    variants = variants_of(detr, target, interventions=mean)
    sites = reference_sites(variants)
    batches = list(detr.prepare(demo_data.paths, batch_size=2))
    reference = gather_reference(
        detr.model, batches, lambda _model, images: detr.predict_batch(images), sites
    )
    whole = detr.predict_batch(batch)
    later = next(v for v in variants if v.pool.parts[0].path.endswith("1"))
    with detr.ablated(later, reference=reference) as report:
        changed = detr.predict_batch(batch)
    assert report.changed
    assert not same(changed, whole, **EXACT)
    # What enters the first layer is the same for all images: putting its mean there does nothing.
    first = next(v for v in variants if v.pool.parts[0].path.endswith("0"))
    with detr.ablated(first, reference=reference) as report:
        assert same(detr.predict_batch(batch), whole, **EXACT)
    assert report.is_no_op


@pytest.mark.parametrize("unit", ["level", "point"])
def test_a_silenced_logit_is_no_dose(any_detector: MMDetDetector, batch: Any, unit: str) -> None:
    """What the block gives changes by less than it gives, however far its logits were moved."""
    if type(any_detector.model).__name__ == "DETR":
        return  # no levels
    one, *_ = variants_of(any_detector, {"unit": unit, "components": "encoder.self_attn"})
    probe = EffectProbe(any_detector.model, lambda _model, given: any_detector.predict_batch(given), batch)
    effect = probe.effect(one)
    assert effect.paths == (f"{next(iter(one.removed()))}.output_proj",)
    assert 0 < effect.output_change < 2
