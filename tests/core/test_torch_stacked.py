"""Attention with one linear layer for queries, keys and values: ViT's, written by hand, and MMDetection's Swin."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import ActivationSite, LayoutError, ZeroActivation, head_masks  # noqa: E402
from dissect_core.anatomy import stacked_layout  # noqa: E402
from dissect_core.torch import ablated, anatomy_of, attention_layouts, intervened  # noqa: E402

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
HEADS, WIDTH = 3, 4


class Attention(nn.Module):
    """As ViT and its followers have it."""

    def __init__(self, bias: bool, output: str) -> None:
        super().__init__()
        self.num_heads = HEADS
        self.qkv = nn.Linear(HEADS * WIDTH, 3 * HEADS * WIDTH, bias=bias)
        self.add_module(output, nn.Linear(HEADS * WIDTH, HEADS * WIDTH))
        self.output = output

    def heads(self, tokens: Any, scale: tuple[float, float, float] = (1, 1, 1), head: int = 0) -> Any:
        """Output of all heads; queries, keys and values of one of them scaled."""
        shape = (*tokens.shape[:2], 3, HEADS, WIDTH)
        stacked = self.qkv(tokens).view(shape).permute(2, 0, 3, 1, 4).clone()
        for part, factor in enumerate(scale):
            stacked[part, :, head] *= factor
        q, k, v = stacked
        return nn.functional.scaled_dot_product_attention(q, k, v)

    def forward(self, tokens: Any) -> Any:
        return getattr(self, self.output)(self.heads(tokens).transpose(1, 2).flatten(2))


def made(bias: bool = True, output: str = "proj") -> tuple[Any, Any]:
    torch.manual_seed(0)
    return Attention(bias, output).double().eval(), torch.randn(2, 5, HEADS * WIDTH, dtype=torch.float64)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("output", ["proj", "out_proj"])
@pytest.mark.parametrize("part", ["output", "value", "query", "key"])
def test_parts_of_a_head(bias: bool, output: str, part: str) -> None:
    block, tokens = made(bias, output)
    layout = attention_layouts(block)[""]
    assert (layout.kind, layout.n_heads, layout.embed_dims) == ("fused", HEADS, HEADS * WIDTH)
    assert ("qkv.bias" in layout.parameters) == bias
    for head in range(HEADS):
        scale = tuple(0.0 if part == name else 1.0 for name in ("query", "key", "value"))
        with torch.no_grad():
            heads = block.heads(tokens, scale, head)
            if part == "output":
                heads[:, head] = 0
            expected = getattr(block, output)(heads.transpose(1, 2).flatten(2))
            with ablated(block, head_masks(layout, head, part)):
                torch.testing.assert_close(block(tokens), expected, **CLOSE)
            if part == "output":
                with intervened(block, ActivationSite("", "head", (head,)), ZeroActivation()):
                    torch.testing.assert_close(block(tokens), expected, **CLOSE)
            assert not torch.allclose(block(tokens), expected)


def test_what_only_looks_like_it_is_left_alone() -> None:
    block, _ = made()
    block.qkv = nn.Linear(HEADS * WIDTH, 2 * HEADS * WIDTH)
    assert attention_layouts(block) == {}
    block, _ = made()
    block.num_heads = 5
    assert attention_layouts(block) == {}
    with pytest.raises(LayoutError):
        stacked_layout(12, 5)


def test_swin_as_a_backbone() -> None:
    """Its heads bear the backbone's role, not an encoder's, and are removed in every window."""
    pytest.importorskip("mmdet")
    ops = pytest.importorskip("dissect_mmdet.ops")
    ops.enable_mmcv_ops()
    from mmdet.models.backbones.swin import SwinTransformer

    torch.manual_seed(0)
    model = nn.ModuleDict(
        {
            "backbone": SwinTransformer(
                embed_dims=8, depths=(1, 1, 2, 1), num_heads=(1, 2, 2, 4), window_size=2
            )
        }
    )
    backbone: Any = model["backbone"]
    backbone.eval()
    anatomy = anatomy_of(model)
    blocks = anatomy.select_blocks("backbone.self_attn")
    assert [anatomy.attention[f"{b.path}.w_msa"].n_heads for b in blocks] == [1, 2, 2, 2, 4]
    assert "encoder.self_attn" not in anatomy.roles
    image = torch.randn(1, 3, 32, 40)
    with torch.no_grad():
        whole = backbone(image)
        for block in blocks:
            path = f"{block.path}.w_msa"
            with ablated(model, head_masks(anatomy.attention[path], 0)):
                expected = backbone(image)
            site = ActivationSite(path.removeprefix("backbone."), "head", (0,))
            with intervened(backbone, site, ZeroActivation()):
                assert all(
                    torch.allclose(a, b, atol=1e-6) for a, b in zip(backbone(image), expected, strict=True)
                )
            assert not torch.allclose(expected[-1], whole[-1])
