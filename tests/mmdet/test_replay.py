"""Prefix replay on every architecture that runs: detections bit for bit those of full passes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dissect_core.plan import Variant, plan
from dissect_core.spec import load_spec
from dissect_core.torch import anatomy_of, gather_reference, reference_sites
from dissect_core.torch.replay import PrefixReplay
from dissect_mmdet.ops import enable_mmcv_ops

pytest.importorskip("mmdet")
pytest.importorskip("mmcv")
enable_mmcv_ops()

import zoo  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:torch.meshgrid"
)

N_PLACES = 3  # weights, evenly spaced from the first of the backbone to the last of the head


def variants_for(model: Any) -> list[Variant]:
    """Weights from front to back, a channel's activation in the middle, and what transformers have besides."""
    anatomy = anatomy_of(model)
    weights = [c.name for c in anatomy.components if len(c.shape) >= 2]
    chosen = [weights[round(i * (len(weights) - 1) / (N_PLACES - 1))] for i in range(N_PLACES)]
    channels = [g.path for g in anatomy.groups if g.unit == "channel"]
    half = {"by": "fraction", "fractions": 0.5}
    ablations: list[dict[str, Any]] = [
        {"name": name, "target": {"unit": "element", "components": name}, "select": half} for name in chosen
    ]
    ablations.append(
        {
            "name": "activations",
            "target": {"unit": "channel", "components": channels[len(channels) // 2]},
            "select": half,
            "interventions": {"kind": "mean", "space": "activation"},
        }
    )
    if any(block.path == "decoder.layers.1" for block in anatomy.blocks):
        layer = {"unit": "layer", "components": "decoder.layers.1"}
        two = {"unit": "readout", "components": "decoder.layers.[45]"}
        ablations.append({"name": "layer", "target": layer, "select": {"by": "all"}})
        ablations.append({"name": "readout", "target": two, "select": {"by": "each"}})
    return plan(load_spec({"name": "replay", "ablations": ablations}), anatomy)


@pytest.mark.parametrize("name", zoo.ARCHITECTURES)
def test_replayed_detections_are_those_of_full_passes(name: str) -> None:
    model, config = zoo.build_detector(zoo.ARCHITECTURES[name])

    def run(image: Any) -> list[torch.Tensor]:
        found = zoo.detect(model, config, image, zoo.SCALE).pred_instances
        return [found.bboxes, found.scores, found.labels]

    variants = variants_for(model)
    image = zoo.random_image()
    reference = gather_reference(model, [image], lambda _model, image: run(image), reference_sites(variants))
    replay = PrefixReplay(model, run)
    plain = run(image)
    different = 0
    with replay.on(image, variants) as one:
        assert all(map(torch.equal, one.baseline, plain))
        for variant in one.order:
            found = one.run(variant, reference)
            assert all(map(torch.equal, found, one.run_in_full(variant, reference))), variant.id
            different += not all(map(torch.equal, found, plain))
    assert all(map(torch.equal, run(image), plain))
    assert different >= 2
    assert replay.counts.full == 0
    assert replay.counts.replayed >= len(variants)
