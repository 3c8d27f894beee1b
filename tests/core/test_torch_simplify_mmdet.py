"""Smaller models of MMCV's and MMDetection's blocks, and bundled detectors end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("mmdet", reason="mmdet is not installed")
nn = torch.nn

from dissect_core import InterventionError  # noqa: E402
from dissect_core.plan import plan  # noqa: E402
from dissect_core.spec import load_spec  # noqa: E402
from dissect_core.torch import (  # noqa: E402
    ablated,
    edited,
    load_simplified,
    save_simplified,
    simplify,
)
from mmdet_layers import BLOCKS, layer  # noqa: E402
from simplified import size, variant_of  # noqa: E402

CLOSE = {"rtol": 1e-9, "atol": 1e-9}
WIDTH, HEADS, LEVELS, POINTS, HIDDEN = 16, 4, 2, 2, 24
PLACES = [(name, block) for name, blocks in BLOCKS.items() for block in blocks]


def run(model: Any, call: Any) -> Any:
    return call(model)


def per_head(name: str, block: str) -> int:
    """Values that a head of one of these blocks owns, by hand."""
    width = WIDTH // HEADS
    if name.startswith("deformable") and (name, block) != ("deformable.decoder", "self_attn"):
        # Rows of the values, two offsets and a weight for each point, and columns of the output.
        return (width + 3 * LEVELS * POINTS) * (WIDTH + 1) + width * WIDTH
    # Conditional DETR: content and position of query and key; across, the query's position once more.
    n_incoming = {"self_attn": 5, "cross_attn": 6}[block] if name.startswith("conditional") else 3
    return n_incoming * width * (WIDTH + 1) + width * WIDTH


@pytest.mark.parametrize(("name", "block"), PLACES)
@given(st.sets(st.integers(0, HEADS - 1), min_size=1, max_size=HEADS - 1), st.booleans())
@settings(max_examples=6)
def test_heads(name: str, block: str, heads: set[int], training: bool) -> None:
    model, call = layer(name)
    model.train(training)
    variant = variant_of(model, "head", heads, f"*{block}*")
    small = simplify(model, variant, run=run, batch=call)
    with edited(model, variant.edits()):
        torch.testing.assert_close(call(small.model), call(model), **CLOSE)
    assert small.n_parameters_before - small.n_parameters_after == len(heads) * per_head(name, block)
    assert small.model.training == training
    call(small.model).sum().backward()
    assert all(p.grad is not None for p in small.model.get_submodule(block).parameters())


@pytest.mark.parametrize("name", BLOCKS)
def test_neurons_and_whole_blocks(name: str) -> None:
    model, call = layer(name)
    stack = nn.ModuleDict({"stack": nn.ModuleList([model])})

    def step(stack: Any, call: Any) -> Any:
        return call(stack["stack"][0])

    n_blocks = len(BLOCKS[name]) + 1
    for unit, units in (
        ("neuron", {0, 5, 23}),
        ("neuron", range(HIDDEN)),
        *(("sublayer", {i}) for i in range(n_blocks)),
        ("sublayer", range(n_blocks)),
        ("layer", {0}),
    ):
        variant = variant_of(stack, unit, units)
        small = simplify(stack, variant, run=step, batch=call)
        with torch.no_grad(), ablated(stack, variant):
            torch.testing.assert_close(step(small.model, call), step(stack, call), **CLOSE)
        gone = small.n_parameters_before - small.n_parameters_after
        if unit == "neuron":
            assert gone == len(units) * (2 * WIDTH + 1)
        else:
            places = [place.path for place, _ in variant.pool.by_part(variant.units())]
            assert gone == sum(size(stack.get_submodule(path)) for path in places)
        assert small.flops_after is not None
        assert small.flops_before is not None
        assert small.flops_after < small.flops_before
        again = simplify(stack, variant, run=step, batch=call).model
        again.load_state_dict(small.model.state_dict())


def test_what_is_known_without_a_run() -> None:
    """MMCV's attention and feed-forward blocks run on one argument; deformable attention wants a batch."""
    model, call = layer("detr.decoder")
    variant = variant_of(model, "sublayer", range(3))
    small = simplify(model, variant)
    with torch.no_grad(), ablated(model, variant):
        torch.testing.assert_close(call(small.model), call(model), **CLOSE)
    model, call = layer("deformable.encoder")
    with pytest.raises(
        InterventionError, match="to leave out 'self_attn', a MultiScaleDeformableAttention: what it"
    ):
        simplify(model, variant_of(model, "sublayer", {0}))
    heads = variant_of(model, "head", {2})
    small = simplify(model, heads)
    with torch.no_grad(), edited(model, heads.edits()):
        torch.testing.assert_close(call(small.model), call(model), **CLOSE)
    model, _ = layer("conditional.decoder")
    with pytest.raises(InterventionError, match="a ConditionalAttention, computes with its number of heads"):
        simplify(model, variant_of(model, "head", {0}))


@pytest.fixture(scope="module", params=["detr", "deformable_detr"])
def opened(request: Any, tmp_path_factory: Any) -> Any:
    """A bundled detector, what finds objects in a batch, a batch of two images, and what opens another."""
    dissect_mmdet = pytest.importorskip("dissect_mmdet", reason="dissect_mmdet is not installed")
    from dissect_mmdet.demo import demo_files
    from dissect_mmdet.demo._scenes import draw_scene

    files = demo_files(request.param)

    def opener() -> Any:
        return dissect_mmdet.open_mmdet(config=files.config, checkpoint=files.checkpoint)

    detector = opener()
    import cv2

    folder = Path(tmp_path_factory.mktemp("images"))
    paths = [folder / f"{number}.png" for number in range(2)]
    for number, path in enumerate(paths):
        assert cv2.imwrite(str(path), draw_scene("val", number).image)
    (batch,) = detector.prepare(paths, batch_size=2)

    def predict(model: Any, batch: Any) -> Any:
        alike = type(detector)(model, detector.config, detector.class_names, detector.fit)
        return alike.predict_batch(batch)

    return detector, predict, batch, opener


HALF = {"by": "fraction", "fractions": [0.5]}
WHAT = {
    "layers": ({"unit": "layer", "components": "*layers.[02]"}, {"by": "all"}),
    "cross": ({"unit": "sublayer", "components": ["cross_attn", "encoder.ffn"]}, {"by": "all"}),
    "self": ({"unit": "sublayer", "components": "self_attn"}, {"by": "all"}),
    "heads": ({"unit": "head", "components": "*"}, {"by": "fraction", "fractions": [0.4]}),
    "value": ({"unit": "head", "components": "decoder.cross_attn", "part": "value"}, HALF),
    "neurons": ({"unit": "neuron", "components": "ffn"}, HALF),
}


CASES = [*((what, "weight") for what in WHAT), ("heads", "activation"), ("neurons", "activation")]


@pytest.mark.parametrize(("what", "space"), CASES)
def test_bundled_detectors(opened: Any, what: str, space: str, tmp_path: Path) -> None:
    detector, predict, batch, opener = opened
    target, select = WHAT[what]
    ablation: dict[str, Any] = {"name": "a", "target": target, "select": select}
    if space == "activation":
        ablation["interventions"] = {"kind": "zero", "space": "activation"}
    _, variant = plan(load_spec({"name": "s", "ablations": [ablation]}), detector.anatomy)
    small = simplify(detector.model, variant, run=predict, batch=batch)
    intact, found = predict(detector.model, batch), predict(small.model, batch)
    with ablated(detector.model, variant):
        expected = predict(detector.model, batch)
    assert any(len(image.boxes) for image in expected)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b.boxes, a.boxes, rtol=0, atol=1e-4)
        np.testing.assert_allclose(b.scores, a.scores, rtol=0, atol=1e-5)
        assert b.labels.tolist() == a.labels.tolist()
    assert not all(
        a.scores.shape == b.scores.shape and np.allclose(a.scores, b.scores)
        for a, b in zip(intact, found, strict=True)
    )
    assert small.n_parameters_before - small.n_parameters_after >= variant.n_parameters
    assert small.flops_after < small.flops_before
    again = simplify(detector.model, variant, run=predict, batch=batch).model
    again.load_state_dict(small.model.state_dict())
    assert size(again) == small.n_parameters_after
    # From a folder, into a detector whose weights are others: the very same numbers.
    save_simplified(small, tmp_path / "small")
    fresh = opener()
    with torch.no_grad():
        for parameter in fresh.model.parameters():
            parameter.mul_(0.5)
    assert load_simplified(fresh, tmp_path / "small") is fresh
    for a, b in zip(found, fresh.predict_batch(batch), strict=True):
        for name, values in a.arrays.items():
            np.testing.assert_array_equal(getattr(b, name), values)
    assert size(fresh.model) == small.n_parameters_after
