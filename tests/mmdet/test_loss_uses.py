"""Scores and fitted constants of the bundled detectors, by their own losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dissect_core import ActivationSite, head_masks
from dissect_core.edits import OptimalActivation
from dissect_core.plan import plan
from dissect_core.spec import load_spec
from dissect_core.torch import (
    fit_optimal,
    gather_reference,
    gradient_scores,
    intervened,
    load_reference,
    save_reference,
)
from dissect_eval import GroundTruth
from dissect_mmdet import MMDetDetector
from helpers import DemoData

RANKED = load_spec(
    {
        "name": "ranked",
        "ablations": [
            {
                "name": "heads",
                "target": {"unit": "head", "components": ["self_attn", "cross_attn"], "pool": True},
                "select": {"by": "top", "score": "head_importance", "counts": [3]},
            },
            {
                "name": "channels",
                "target": {"unit": "channel", "components": "backbone.layer1*", "pool": True},
                "select": {"by": "bottom", "score": "weight_gradient", "fractions": [0.1]},
            },
        ],
    }
)


@pytest.fixture(scope="module")
def truth(demo_data: DemoData) -> GroundTruth:
    return GroundTruth.from_coco(demo_data.annotations)


def test_scores_of_all_heads_and_some_channels(
    any_detector: MMDetDetector, demo_data: DemoData, truth: GroundTruth
) -> None:
    batches = list(any_detector.prepare_with_truth(demo_data.paths[:4], truth, batch_size=2))

    def loss(_model: Any, batch: Any) -> torch.Tensor:
        return any_detector.loss(batch)

    anatomy = any_detector.anatomy
    scores = gradient_scores(any_detector.model, batches, loss, RANKED, anatomy)
    for path, layout in anatomy.attention.items():
        found = scores["head_importance", path]
        assert found.shape == (layout.n_heads,)
        assert np.linalg.norm(found) == pytest.approx(1)
    assert all(np.isfinite(values).all() for values in scores.values())
    assert {score for score, _ in scores} == {"head_importance", "weight_gradient"}
    heads, channels = plan(RANKED, anatomy, scores)[1:]
    assert heads.n_units == 3
    assert channels.n_units == sum(len(v) for (s, _), v in scores.items() if s == "weight_gradient") // 10
    again = gradient_scores(any_detector.model, batches, loss, RANKED, anatomy)
    assert all(np.array_equal(scores[key], again[key]) for key in scores)


def test_importance_is_a_finite_difference_in_the_whole_detector(
    detr: MMDetDetector, demo_data: DemoData, truth: GroundTruth
) -> None:
    (batch,) = detr.prepare_with_truth(demo_data.paths[:1], truth)
    scores = gradient_scores(detr.model, [batch], lambda _, b: detr.loss(b), RANKED, detr.anatomy)
    path = "encoder.layers.2.self_attn.attn"
    layout, found = detr.attention[path], []
    weight = detr.model.get_parameter(f"{path}.out_proj.weight")
    original = weight.detach().clone()
    for head in range(layout.n_heads):
        columns = torch.from_numpy(head_masks(layout, head)[f"{path}.out_proj.weight"])
        at = []
        for factor in (1.05, 0.95):
            with torch.no_grad():
                weight.copy_(torch.where(columns, original * factor, original))
                at.append(float(detr.loss(batch).detach()))
                weight.copy_(original)
        found.append(abs(at[0] - at[1]))
    expected = np.array(found) / np.linalg.norm(found)
    # Single precision, and a matching that might change: a tenth of the largest is what can be asked.
    np.testing.assert_allclose(scores["head_importance", path], expected, atol=0.1 * expected.max())


@pytest.mark.parametrize(
    "site",
    [
        ActivationSite("encoder.layers.1.self_attn", "head", (0, 2)),
        ActivationSite("decoder.layers.1.ffn", "neuron", (0, 7, 19)),
        ActivationSite("backbone.layer2.0.conv1", "channel", (0, 3)),
    ],
    ids=lambda site: site.unit,
)
def test_constants_are_never_worse_than_means(
    any_detector: MMDetDetector, demo_data: DemoData, truth: GroundTruth, site: ActivationSite, tmp_path: Path
) -> None:
    batches = list(any_detector.prepare_with_truth(demo_data.paths[:2], truth))
    model = any_detector.model
    reference = gather_reference(
        model, batches, lambda _, batch: any_detector.predict_batch(batch), [site], keep=False
    )
    before = any_detector.predict_batches(batches)

    def fit() -> Any:
        return fit_optimal(model, batches, lambda _, b: any_detector.loss(b), site, reference, steps=3)

    fitted = fit()
    assert fitted.fit.optimal <= fitted.fit.mean
    assert np.isfinite(fitted.fit.zero)
    assert fit().fit == fitted.fit
    save_reference(fitted, tmp_path / "fitted.npz")
    loaded = load_reference(tmp_path / "fitted.npz")
    with intervened(model, site, OptimalActivation(), loaded) as report:
        found = [float(any_detector.loss(batch).detach()) for batch in batches]
        during = any_detector.predict_batches(batches)
    assert sum(found) / 2 == pytest.approx(fitted.fit.optimal, rel=1e-5)
    assert report.masked > 0
    after = any_detector.predict_batches(batches)
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(before, after, strict=True))
    assert any(not np.array_equal(a.boxes, b.boxes) for a, b in zip(before, during, strict=True))
