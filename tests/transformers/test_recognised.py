"""The core recognises what models of Transformers are made of, and removes each unit as a hook of the test does."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dissect_core.anatomy import Anatomy
from dissect_core.errors import InterventionError, PlanError, UnitError
from dissect_core.plan import Variant, plan
from dissect_core.spec import load_spec
from dissect_core.torch import ablated, anatomy_of, load_simplified, read_out, save_simplified, simplify
from families import FAMILIES, N_QUERIES, SEED, build

ACTIVATION = {"interventions": {"space": "activation", "kind": "zero"}}
ENCODERS = ("detr", "conditional_detr", "dab_detr", "deformable_detr", "deformable_detr_two_stage")
HYBRID = ("rt_detr", "rt_detr_v2", "d_fine", "deimv2")
VIT = ("lw_detr", "rf_detr")


class Tiny:
    """A tiny detector of a family with an input, and what is known of it."""

    def __init__(self, name: str) -> None:
        self.name, (self.model, _) = name, build(name)
        self.pixels = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
        self.anatomy: Anatomy = anatomy_of(self.model, run=self.run)
        self.baseline = self.run()

    @torch.no_grad()
    def run(self, model: Any = None) -> torch.Tensor:
        found = (model or self.model)(pixel_values=self.pixels)
        return torch.cat([found.logits.flatten(1), found.pred_boxes.flatten(1)], dim=1)

    def variants(self, unit: str, components: Any, **more: Any) -> list[Variant]:
        target = {"unit": unit, "components": components}
        spec = {"name": "s", "ablations": [{"name": "a", "target": target, "select": {"by": "each"}, **more}]}
        return list(plan(load_spec(spec), self.anatomy))[1:]

    def with_variant(self, variant: Variant) -> torch.Tensor:
        with ablated(self.model, variant):
            return self.run()


_MADE: dict[str, Tiny] = {}


def made(name: str) -> Tiny:
    """The tiny detector of a family, made once."""
    if name not in _MADE:
        _MADE[name] = Tiny(name)
    return _MADE[name]


@pytest.fixture(params=FAMILIES)
def tiny(request: pytest.FixtureRequest) -> Tiny:
    return made(request.param)


@contextmanager
def hooked(
    module: nn.Module, change: Callable[[torch.Tensor], torch.Tensor], *, at_input: bool
) -> Iterator[None]:
    """Change the first input of a module, or the first of its results."""

    def before(_module: nn.Module, args: Any) -> Any:
        return (change(args[0].clone()), *args[1:])

    def behind(_module: nn.Module, _args: Any, output: Any) -> Any:
        first, *more = output if isinstance(output, tuple) else (output,)
        return (change(first.clone()), *more) if isinstance(output, tuple) else change(first.clone())

    handle = module.register_forward_pre_hook(before) if at_input else module.register_forward_hook(behind)
    try:
        yield
    finally:
        handle.remove()


def zeroed(begin: int, end: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(features: torch.Tensor) -> torch.Tensor:
        features[..., begin:end] = 0
        return features

    return change


def roles(anatomy: Anatomy, kind: str) -> Counter[str]:
    return Counter(block.roles[0] for block in anatomy.blocks if block.kind == kind)


def test_every_attention_block_has_its_role(tiny: Tiny) -> None:
    found = roles(tiny.anatomy, "attention")
    decoder = {"decoder.self_attn": 2, "decoder.cross_attn": 2}
    if tiny.name == "yolos":
        assert set(found) == {"encoder.self_attn"}
        assert found.total() == sum(type(m).__name__ == "YolosAttention" for m in tiny.model.modules())
        return
    encoder = (
        {"encoder.self_attn": 2}
        if tiny.name in ENCODERS
        else {"encoder.self_attn": found["encoder.self_attn"]}
        if tiny.name in HYBRID
        else {"backbone.self_attn": found["backbone.self_attn"]}
    )
    assert found == {**encoder, **decoder}
    assert all(encoder.values())
    named = [p for p, m in tiny.model.named_modules() if type(m).__name__.endswith("Attention")]
    looks = {path for path in named if next(tiny.model.get_submodule(path).parameters(), None) is not None}
    blocks = set(tiny.anatomy.attention)
    assert not [p for p in looks if not any(p == b or p.startswith(f"{b}.") for b in blocks)]


def test_every_feed_forward_block_and_layer_has_its_role(tiny: Tiny) -> None:
    ffn, layers = roles(tiny.anatomy, "ffn"), roles(tiny.anatomy, "layer")
    regions = {role.partition(".")[0] for role in layers}
    expected = {"yolos": {"encoder"}, **{name: {"backbone", "decoder"} for name in VIT}}
    assert regions == expected.get(tiny.name, {"encoder", "decoder"})
    assert {role.replace("ffn", "layer"): n for role, n in ffn.items()} == dict(layers)


def test_convolutions_of_a_backbone_are_no_encoder(tiny: Tiny) -> None:
    found = roles(tiny.anatomy, "conv")
    assert "encoder.conv" not in found
    assert found["backbone.conv"] or tiny.name == "yolos"


def test_every_head_is_removed_as_by_hand(tiny: Tiny) -> None:
    """In weight space and in activation space alike, to the bit; D-FINE's cross-attention has no weights of its own."""
    for path, layout in tiny.anatomy.attention.items():
        outputs = [where for where in layout.slices if where.part == "output"]
        width = outputs[0].width if outputs else layout.embed_dims // layout.n_heads
        module = outputs[0].parameter.rpartition(".")[0] if outputs else path
        by_space = [tiny.variants("head", path, **ACTIVATION)]
        if outputs:
            by_space.append(tiny.variants("head", path))
        else:
            assert tiny.name in ("d_fine", "deimv2")
            by_space.append(
                tiny.variants("head", path)
            )  # zeros are put there all the same; others have to say where
            assert [v.sites() for v in by_space[0]] == [v.sites() for v in by_space[1]]
            with pytest.raises(
                PlanError, match=r"lie in no weight that could be replaced\. .*space: activation"
            ):
                tiny.variants("head", path, interventions="mean")
        for head in range(layout.n_heads):
            change = zeroed(head * width, (head + 1) * width)
            with hooked(tiny.model.get_submodule(module), change, at_input=bool(outputs)):
                expected = tiny.run()
            assert not torch.equal(expected, tiny.baseline), (path, head)
            for variants in by_space:
                assert torch.equal(tiny.with_variant(variants[head]), expected), variants[head].id
    assert torch.equal(tiny.run(), tiny.baseline)


def test_neurons_are_removed_as_by_hand(tiny: Tiny) -> None:
    groups = [group for group in tiny.anatomy.groups if group.unit == "neuron"]
    assert len(groups) == roles(tiny.anatomy, "ffn").total()
    for group in groups:
        last = tiny.model.get_submodule(group.slices[-1].parameter.rpartition(".")[0])
        by_space = [tiny.variants("neuron", group.path), tiny.variants("neuron", group.path, **ACTIVATION)]
        for neuron in (0, group.n_units - 1):
            with hooked(last, zeroed(neuron, neuron + 1), at_input=True):
                expected = tiny.run()
            for variants in by_space:
                assert torch.equal(tiny.with_variant(variants[neuron]), expected), variants[neuron].id


def test_levels_and_points_get_no_weight_in_the_softmax(tiny: Tiny) -> None:
    deformable = {
        path: layout for path, layout in tiny.anatomy.attention.items() if layout.kind == "deformable"
    }
    for path, layout in deformable.items():
        assert layout.points is not None
        of_head = [(level, point) for level, n in enumerate(layout.points) for point in range(n)]
        logits = tiny.model.get_submodule(f"{path}.attention_weights")
        offsets = tiny.model.get_submodule(f"{path}.sampling_offsets")
        for i, unit in enumerate(("level", "point")):
            variants = tiny.variants(unit, path)
            assert len(variants) == (len(layout.points), max(layout.points))[i]
            if len(variants) == 1:
                continue
            for number, variant in enumerate(variants):
                gone = torch.tensor([of[i] == number for of in of_head] * layout.n_heads)

                def silent(values: torch.Tensor, gone: torch.Tensor = gone) -> torch.Tensor:
                    return values.masked_fill(gone, -1e4)

                def still(values: torch.Tensor, gone: torch.Tensor = gone) -> torch.Tensor:
                    return values.masked_fill(gone.repeat_interleave(2), 0)

                with hooked(logits, silent, at_input=False), hooked(offsets, still, at_input=False):
                    expected = tiny.run()
                assert torch.equal(tiny.with_variant(variant), expected), variant.id


def test_a_softmax_needs_one_point(tiny: Tiny) -> None:
    if tiny.name not in ("d_fine", "deimv2"):
        return
    path = next(path for path, layout in tiny.anatomy.attention.items() if layout.kind == "deformable")
    target = {"unit": "level", "components": path}
    every = {"name": "a", "target": target, "select": {"by": "count", "counts": 3}}
    (variant,) = list(plan(load_spec({"name": "s", "ablations": [every]}), tiny.anatomy))[1:]
    with pytest.raises(UnitError, match="must be left"), ablated(tiny.model, variant):
        pass


def test_queries_are_rows_of_a_table_or_of_the_decoder(tiny: Tiny) -> None:
    (group,) = [group for group in tiny.anatomy.groups if group.unit == "query"]
    assert group.n_units == N_QUERIES
    if group.slices:
        variants = tiny.variants("query", "query_embedding")
    else:
        with pytest.raises(PlanError, match=r"queries of .* lie in no weight"):
            tiny.variants("query", "query_embedding")
        variants = tiny.variants("query", "decoder.layer", **ACTIVATION)
    assert not torch.equal(tiny.with_variant(variants[1]), tiny.baseline)
    if tiny.name == "yolos":  # whose rows are patches, too
        with pytest.raises(PlanError, match="is no layer of a decoder"):
            tiny.variants("query", "encoder.layer", **ACTIVATION)


def test_layers_and_sublayers_are_left_out(tiny: Tiny) -> None:
    for unit, kinds in (("layer", ("layer",)), ("sublayer", ("attention", "ffn"))):
        for block in tiny.anatomy.blocks:
            if block.kind in kinds:
                (variant,) = tiny.variants(unit, block.path)
                assert not torch.equal(tiny.with_variant(variant), tiny.baseline), block.path


@torch.no_grad()
def test_layers_are_read_out_or_refused(tiny: Tiny) -> None:
    layers = [block.path for block in tiny.anatomy.blocks if "decoder.layer" in block.roles]
    if tiny.name == "yolos":
        assert not layers
        return
    first, last = layers
    whole = tiny.model(pixel_values=tiny.pixels)
    with read_out(tiny.model, last):
        assert torch.equal(tiny.run(), tiny.baseline)
    if tiny.name in ("d_fine", "deimv2"):  # their heads run inside of the decoder, for its last layer alone
        with (
            pytest.raises(InterventionError, match="must return the results of all its 2 layers"),
            read_out(tiny.model, first),
        ):
            tiny.run()
        return
    with read_out(tiny.model, first):
        found = tiny.model(pixel_values=tiny.pixels)
    if "intermediate_logits" in whole:
        assert torch.equal(found.logits, whole.intermediate_logits[:, 0])
        assert torch.equal(found.pred_boxes, whole.intermediate_reference_points[:, 0])
    elif tiny.name in ("detr", "conditional_detr"):
        kept = tiny.model.model.decoder.layers
        tiny.model.model.decoder.layers = kept[:1]
        try:
            shorter = tiny.model(pixel_values=tiny.pixels)
        finally:
            tiny.model.model.decoder.layers = kept
        assert torch.equal(found.logits, shorter.logits)
        assert torch.equal(found.pred_boxes, shorter.pred_boxes)
    else:
        assert not torch.equal(found.logits, whole.logits)


def test_a_head_of_each_block_is_cut_out_for_good(tiny: Tiny) -> None:
    for path, layout in tiny.anatomy.attention.items():
        in_weights = "output" in layout.parts
        variant = tiny.variants("head", path, **({} if in_weights else ACTIVATION))[1]
        small = simplify(tiny.model, variant, run=lambda model, _: tiny.run(model), batch=0)
        assert small.largest_difference < 2e-6, path  # narrower matrices may be summed in another order
        assert small.share_of_parameters < 1
        assert small.flops_after < small.flops_before


# By other means than their own class has: they compute with their whole width, or have no projections.
NARROWED: dict[str, tuple[str, dict[str, Any]]] = {
    "dab_detr": ("encoder.layers.0.self_attn", {}),
    "d_fine": ("decoder.layers.1.encoder_attn", ACTIVATION),
    "deimv2": ("decoder.layers.0.encoder_attn", ACTIVATION),
}


@pytest.mark.parametrize("name", NARROWED)
@pytest.mark.parametrize("heads", [[1], [0, 3], [1, 2, 3]])
def test_blocks_that_their_own_class_cannot_narrow(name: str, heads: list[int], tmp_path: Path) -> None:
    tiny = made(name)
    block, space = NARROWED[name]
    (path,) = (one for one in tiny.anatomy.attention if one.endswith(block))
    ablation = {
        "name": "heads",
        "target": {"unit": "head", "components": path},
        "select": {"by": "indices", "indices": heads},
        **space,
    }
    _, variant = plan(load_spec({"name": "some", "ablations": [ablation]}), tiny.anatomy)
    small = simplify(tiny.model, variant, run=lambda model, _: tiny.run(model), batch=0)
    assert small.largest_difference < 2e-6
    expected = tiny.run(small.model)
    for copied in (copy.deepcopy(small.model), pickle.loads(pickle.dumps(small.model))):
        assert torch.equal(tiny.run(copied), expected)
    save_simplified(small, tmp_path / "small")
    fresh, _ = build(name, seed=SEED + 1)
    again = load_simplified(fresh.eval(), tmp_path / "small")
    assert torch.equal(tiny.run(again), expected)
    assert again.state_dict().keys() == tiny.model.state_dict().keys()
    # What is left of the block is not what its class says: heads of it are counted no more, and that is said.
    with pytest.warns(UserWarning, match="look like attention and are not recognised"):
        assert path not in anatomy_of(again).attention
