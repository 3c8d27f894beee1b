"""Heads of MMCV's deformable and MMDetection's conditional attention: weights against activations."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

torch = pytest.importorskip("torch")

from dissect_core import head_masks  # noqa: E402
from dissect_core.torch import ablated, attention_layouts  # noqa: E402

CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def _enable_operators() -> None:
    """On a CPU without a compiled mmcv, `mmcv.ops` needs the stand-in of a sibling package."""
    try:
        from dissect_mmdet.ops import enable_mmcv_ops
    except ImportError:
        return
    enable_mmcv_ops()


@pytest.fixture(scope="module")
def deformable() -> Any:
    pytest.importorskip("mmcv", reason="mmcv is not installed")
    _enable_operators()
    try:
        from mmcv.ops import MultiScaleDeformableAttention
    except ImportError as error:
        pytest.skip(f"mmcv.ops cannot be imported: {error}")
    return MultiScaleDeformableAttention


@pytest.fixture(scope="module")
def conditional() -> Any:
    pytest.importorskip("mmdet", reason="mmdet is not installed")
    _enable_operators()
    try:
        from mmdet.models.layers.transformer.utils import ConditionalAttention
    except ImportError as error:
        pytest.skip(f"mmdet's layers cannot be imported: {error}")
    return ConditionalAttention


def shaken(block: Any) -> Any:
    """The block in double precision with every value random: a fresh one has zeros where it matters."""
    block = block.double().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(std=0.5)
    return block


def without_heads(block: Any, projection: Any, heads: list[int], n_heads: int, call: Any) -> Any:
    """Output of `call` with the chosen heads' activations, just before they are mixed, set to zero."""

    def zero(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        (mixed,) = args
        width = mixed.shape[-1] // n_heads
        mixed = mixed.clone()
        for h in heads:
            mixed[..., h * width : (h + 1) * width] = 0
        return (mixed,)

    handle = projection.register_forward_pre_hook(zero)
    try:
        return call(block)
    finally:
        handle.remove()


def deformable_call(block: Any, width: int) -> Any:
    torch.manual_seed(1)
    sizes = torch.tensor([[4, 5], [2, 3]][: block.num_levels])
    total = int(sizes.prod(dim=1).sum())
    starts = torch.cat([sizes.new_zeros(1), sizes.prod(dim=1).cumsum(0)[:-1]])
    query, value = torch.randn(2, 3, width).double(), torch.randn(2, total, width).double()
    points = torch.rand(2, 3, block.num_levels, 2).double()

    def call(b: Any) -> Any:
        with torch.no_grad():
            return b(
                query, value=value, reference_points=points, spatial_shapes=sizes, level_start_index=starts
            )

    return call


@settings(max_examples=25)
@given(
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2, 4]),
    st.integers(1, 2),
    st.integers(1, 3),
    st.sampled_from([0.5, 1.0]),
    st.sampled_from(["output", "value", "all"]),
    st.data(),
)
def test_deformable_attention_heads_are_removed_exactly(
    deformable: Any,
    n_heads: int,
    width: int,
    levels: int,
    points: int,
    ratio: float,
    part: Any,
    data: st.DataObject,
) -> None:
    dims = 2 * n_heads * width
    torch.manual_seed(0)
    block = shaken(
        deformable(dims, n_heads, levels, points, dropout=0.0, batch_first=True, value_proj_ratio=ratio)
    )
    heads = data.draw(st.lists(st.integers(0, n_heads - 1), unique=True))
    layout = attention_layouts(block)[""]
    assert (layout.kind, layout.n_heads, layout.n_levels, layout.n_points) == (
        "deformable",
        n_heads,
        levels,
        points,
    )
    call = deformable_call(block, dims)
    expected = without_heads(block, block.output_proj, heads, n_heads, call)
    with ablated(block, head_masks(layout, heads, part=part)):
        torch.testing.assert_close(call(block), expected, **CLOSE)


def test_deformable_heads_without_query_sample_the_reference_point(deformable: Any) -> None:
    torch.manual_seed(0)
    block = shaken(deformable(8, 2, 2, 3, dropout=0.0, batch_first=True))
    seen: dict[str, Any] = {}
    for name in ("sampling_offsets", "attention_weights"):
        getattr(block, name).register_forward_hook(lambda m, a, out, name=name: seen.__setitem__(name, out))
    call = deformable_call(block, 8)
    with ablated(block, head_masks(attention_layouts(block)[""], 1, part="query")):
        call(block)
    offsets = seen["sampling_offsets"].view(2, 3, 2, 2, 3, 2)
    weights = seen["attention_weights"].view(2, 3, 2, 6).softmax(-1)
    assert not offsets[:, :, 1].any()
    assert offsets[:, :, 0].all()
    torch.testing.assert_close(weights[:, :, 1], torch.full_like(weights[:, :, 1], 1 / 6))


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("part", ["output", "value", "all"])
def test_conditional_attention_heads_are_removed_exactly(conditional: Any, cross: bool, part: Any) -> None:
    torch.manual_seed(0)
    block = shaken(conditional(16, 4, cross_attn=cross))
    query, key, position, sine, key_position = (torch.randn(2, n, 16).double() for n in (3, 5, 3, 3, 5))

    def call(b: Any) -> Any:
        with torch.no_grad():
            return b(query, key, query_pos=position, ref_sine_embed=sine, key_pos=key_position, is_first=True)

    layout = attention_layouts(block)[""]
    assert (layout.kind, layout.n_heads) == ("separate", 4)
    for heads in ([], [0], [1, 3], [0, 1, 2, 3]):
        expected = without_heads(block, block.out_proj, heads, 4, call)
        with ablated(block, head_masks(layout, heads, part=part)):
            torch.testing.assert_close(call(block), expected, **CLOSE)


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("part", ["query", "key"])
def test_conditional_heads_without_query_or_key_attend_alike(
    conditional: Any, cross: bool, part: Any
) -> None:
    torch.manual_seed(0)
    block = shaken(conditional(16, 4, cross_attn=cross))
    query, key, position, sine, key_position = (torch.randn(1, n, 16).double() for n in (3, 5, 3, 3, 5))
    mixed: list[Any] = []
    block.out_proj.register_forward_pre_hook(lambda m, args: mixed.append(args[0]))
    with ablated(block, head_masks(attention_layouts(block)[""], 2, part=part)), torch.no_grad():
        block(query, key, query_pos=position, ref_sine_embed=sine, key_pos=key_position, is_first=True)
    value = block.v_proj(key if cross else query)[..., 8:12].mean(dim=1, keepdim=True)
    torch.testing.assert_close(mixed[0][..., 8:12], value.expand(-1, 3, -1).detach(), **CLOSE)
