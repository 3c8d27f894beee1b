"""What is recognised in models of plain torch, checked by hand."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import UnknownComponentError  # noqa: E402
from dissect_core.torch import anatomy_of, components_of  # noqa: E402


def paths(anatomy: Any, role: str) -> list[str]:
    return [block.path for block in anatomy.select_blocks(role)]


def units(anatomy: Any, unit: str) -> dict[str, list[str]]:
    return {g.path: [s.parameter for s in g.slices] for g in anatomy.groups if g.unit == unit}


@pytest.fixture(scope="module")
def transformer() -> Any:
    with torch.device("meta"):
        return anatomy_of(nn.Transformer(16, 4, 2, 3, 32, batch_first=True))


def test_transformer_blocks(transformer: Any) -> None:
    counted = Counter(role for block in transformer.blocks for role in block.roles)
    assert counted == {
        **{"encoder": 1, "encoder.layer": 2, "encoder.self_attn": 2, "encoder.ffn": 2, "encoder.norm": 5},
        **{"decoder": 1, "decoder.layer": 3, "decoder.self_attn": 3, "decoder.cross_attn": 3},
        **{"decoder.ffn": 3, "decoder.norm": 10, "layer": 5, "self_attn": 5, "cross_attn": 3},
        **{"ffn": 5, "norm": 15},
    }
    assert paths(transformer, "decoder.self_attn") == [f"decoder.layers.{i}.self_attn" for i in range(3)]
    assert paths(transformer, "decoder.cross_attn") == [
        f"decoder.layers.{i}.multihead_attn" for i in range(3)
    ]
    assert paths(transformer, "encoder.ffn") == ["encoder.layers.0.linear2", "encoder.layers.1.linear2"]
    assert [b.layer for b in transformer.select_blocks("decoder.norm")] == [0, 0, 0, 1, 1, 1, 2, 2, 2, None]
    (layer,) = transformer.select_blocks("encoder.layers.1")
    assert (layer.kind, layer.layer, layer.roles) == ("layer", 1, ("encoder.layer", "layer"))
    assert layer.n_parameters == 4 * (16 * 16 + 16) + (32 * 16 + 32) + (16 * 32 + 16) + 4 * 16
    assert transformer.select_blocks("encoder.ffn")[0].n_parameters == 2 * 16 * 32 + 32 + 16
    with pytest.raises(UnknownComponentError, match=r"Near matches: 'encoder\.self_attn'"):
        transformer.select_blocks("encoder.self_atn")


def test_transformer_units_and_components(transformer: Any) -> None:
    assert {g.n_units for g in transformer.groups} == {32}
    assert units(transformer, "neuron")["decoder.layers.2.linear2"] == [
        f"decoder.layers.2.{name}" for name in ("linear1.weight", "linear1.bias", "linear2.weight")
    ]
    assert list(transformer.attention) == paths(transformer, "self_attn")[:2] + [
        f"decoder.layers.{i}.{name}" for i in range(3) for name in ("self_attn", "multihead_attn")
    ]
    roles = {c.name: c.role for c in transformer.components}
    assert roles["encoder.layers.0.self_attn.out_proj.bias"] == "encoder.self_attn"
    assert roles["encoder.layers.0.linear1.bias"] == "encoder.ffn"
    assert roles["decoder.norm.weight"] == "decoder.norm"
    assert None not in roles.values()


class Block(nn.Module):
    """Children in the order given."""

    def __init__(self, **children: Any) -> None:
        super().__init__()
        for name, child in children.items():
            setattr(self, name, child)


def conv(i: int = 4, o: int = 4, **kwargs: Any) -> Any:
    return nn.Conv2d(i, o, 1, **kwargs)


@pytest.mark.parametrize(
    ("children", "expected"),
    [
        ({"conv1": conv(), "bn1": nn.BatchNorm2d(4)}, {"conv1": ["bn1.weight", "bn1.bias"]}),
        (
            {"conv1": conv(), "conv2": conv(), "bn1": nn.BatchNorm2d(4), "bn2": nn.GroupNorm(2, 4)},
            {"conv1": ["bn1.weight", "bn1.bias"], "conv2": ["bn2.weight", "bn2.bias"]},
        ),
        (
            {"lateral": conv(bias=False), "conv": conv(), "act": nn.ReLU(), "bn": nn.BatchNorm2d(4)},
            {"lateral": ["lateral.weight"], "conv": ["bn.weight", "bn.bias"]},
        ),
        (  # before the activation: the norm in front is not the convolution's
            {"norm1": nn.BatchNorm2d(4), "conv1": conv(4, 6), "norm2": nn.BatchNorm2d(6), "conv2": conv(6)},
            {"conv1": ["norm2.weight", "norm2.bias"], "conv2": ["conv2.weight", "conv2.bias"]},
        ),
        ({"conv": conv(), "bn": nn.BatchNorm2d(5)}, {"conv": ["conv.weight", "conv.bias"]}),
        (
            {"conv": conv(), "fc": nn.Linear(4, 4), "ln": nn.LayerNorm(4)},
            {"conv": ["conv.weight", "conv.bias"]},
        ),
        ({"conv": conv(), "bn": nn.BatchNorm2d(4, affine=False)}, {}),
        ({"conv": conv(), "ln": nn.LayerNorm(4, bias=False)}, {"conv": ["ln.weight"]}),
        ({"up": nn.ConvTranspose2d(4, 4, 2)}, {}),
    ],
)
def test_a_convolution_goes_with_the_norm_behind_it(children: dict[str, Any], expected: Any) -> None:
    assert units(anatomy_of(Block(**children)), "channel") == expected


def test_a_frozen_norm_leaves_no_channels() -> None:
    class FrozenBatchNorm2d(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.ones(4))
            self.register_buffer("bias", torch.zeros(4))

    anatomy = anatomy_of(Block(backbone=nn.Sequential(conv(), FrozenBatchNorm2d())))
    assert not anatomy.groups
    assert [(b.path, b.roles) for b in anatomy.blocks] == [
        ("backbone", ("backbone",)),
        ("backbone.0", ("backbone.conv", "conv")),
    ]


def test_a_shared_convolution_with_norms_of_its_own_each() -> None:
    shared, first = conv(), nn.BatchNorm2d(4)
    model = Block(a=nn.Sequential(shared, first), b=nn.Sequential(shared, nn.BatchNorm2d(4)))
    assert units(anatomy_of(model), "channel") == {
        "a.0": ["a.1.weight", "a.1.bias"],
        "b.0": ["b.1.weight", "b.1.bias"],
    }
    assert list(units(anatomy_of(Block(a=nn.Sequential(shared), b=nn.Sequential(shared))), "channel")) == [
        "a.0"
    ]


def linears(*dims: int, act: Any = nn.GELU) -> list[Any]:
    return [m for a, b in pairwise(dims) for m in (nn.Linear(a, b), act())][:-1]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Sequential(*linears(4, 8, 4)), "x"),
        (nn.Sequential(*linears(4, 8, 4, act=nn.PReLU), nn.Dropout()), "x"),
        (Block(act=nn.ReLU(), fc1=nn.Linear(4, 8), fc2=nn.Linear(8, 4)), "x"),
        (Block(fc1=nn.Linear(4, 8), fc2=nn.Linear(8, 4), norm=nn.LayerNorm(4)), "x.fc2"),
        (
            Block(
                layers=nn.Sequential(nn.Sequential(*linears(4, 8, 4)[:2]), nn.Linear(8, 4)), d=nn.Dropout()
            ),
            "x",
        ),
        (nn.Sequential(*linears(4, 8, 8, 4)), None),  # a deeper one is a prediction head
        (nn.Sequential(*linears(4, 8, 2)), None),  # its output cannot be added to its input
        (nn.Sequential(*linears(4, 2, 4)), None),  # squeeze and excitation
        (nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 4)), None),  # nothing between
        (Block(fc1=nn.Linear(4, 8), fc2=nn.Linear(4, 4)), None),
        (nn.ModuleList(linears(4, 8, 4)), None),
    ],
)
def test_feed_forward_blocks(module: Any, expected: str | None) -> None:
    found = {b.path for b in anatomy_of(Block(x=module)).blocks if b.kind == "ffn"}
    assert found == ({expected} if expected else set())


def test_beside_attention_a_feed_forward_block_may_be_narrow() -> None:
    def layer() -> Any:
        return Block(attn=nn.MultiheadAttention(4, 2), mlp=nn.Sequential(*linears(4, 4, 4)))

    assert paths(anatomy_of(nn.ModuleList([layer(), layer()])), "encoder.ffn") == ["0.mlp", "1.mlp"]


def detr() -> Any:
    """As the original repositories and Transformers write it."""

    def layer(*attention: str) -> Any:
        blocks = {name: nn.MultiheadAttention(8, 2) for name in attention}
        return Block(**blocks, fc1=nn.Linear(8, 16), fc2=nn.Linear(16, 8), norm=nn.LayerNorm(8))

    swin = Block(attn=nn.MultiheadAttention(4, 1), mlp=nn.Sequential(*linears(4, 8, 4)))
    return Block(
        backbone=Block(stages=nn.ModuleList([nn.ModuleList([swin])]), body=nn.Sequential(conv(3, 4))),
        transformer=Block(
            encoder=Block(layers=nn.ModuleList([layer("self_attn")]), norm=nn.LayerNorm(8)),
            decoder=Block(layers=nn.ModuleList([layer("encoder_attn", "self_attn"), layer("a", "b")])),
        ),
        query_embed=nn.Embedding(5, 8),
        reference_points=nn.Embedding(5, 2),
        label_embedding=nn.Embedding(5, 8),
        class_embed=nn.Linear(8, 3),
    )


def test_a_detr_of_plain_torch() -> None:
    model = detr()
    model.query_feat = nn.Parameter(torch.zeros(5, 8))
    anatomy = anatomy_of(model)
    assert units(anatomy, "query") == {
        "query_feat": ["query_feat", "query_embed.weight", "reference_points.weight"],
    }
    assert paths(anatomy, "query_embedding") == ["query_feat", "query_embed", "reference_points"]
    assert paths(anatomy, "backbone.self_attn") == ["backbone.stages.0.0.attn"]
    assert paths(anatomy, "encoder.self_attn") == ["transformer.encoder.layers.0.self_attn"]
    assert paths(anatomy, "decoder.self_attn") == [
        f"transformer.decoder.layers.{n}" for n in ("0.self_attn", "1.a")
    ]
    assert paths(anatomy, "decoder.cross_attn") == [
        f"transformer.decoder.layers.{n}" for n in ("0.encoder_attn", "1.b")
    ]
    assert paths(anatomy, "encoder.norm") == [f"transformer.encoder.{n}" for n in ("layers.0.norm", "norm")]
    assert anatomy.component("class_embed.bias").role in ("head", "head.cls")  # as installed rules have it
    assert anatomy.component("label_embedding.weight").role is None
    assert [c.name for c in anatomy.components] == [c.name for c in components_of(model)]


def test_a_block_alone_is_its_own_model() -> None:
    anatomy = anatomy_of(nn.MultiheadAttention(8, 2))
    assert [(b.path, b.roles) for b in anatomy.blocks] == [("", ("self_attn",))]
    assert {c.role for c in anatomy.components} == {"self_attn"}
