"""Layouts of the common kinds of attention block, from their widths; see `dissect_core.anatomy.attention`."""

from collections.abc import Sequence
from typing import Literal

from .attention import AttentionLayout, HeadPart, HeadSlice, head_width


def multihead_layout(
    embed_dims: int,
    n_heads: int,
    *,
    prefix: str = "",
    bias: bool = True,
    key_dims: int | None = None,
    value_dims: int | None = None,
    bias_kv: bool = False,
) -> AttentionLayout:
    """Layout of `torch.nn.MultiheadAttention`, with its parameter names.

    Parameters
    ----------
    embed_dims : int
        Width E of the block; `n_heads` must divide it.
    n_heads : int
        Number of heads.
    prefix : str
        Put before every name, with its dot (``"encoder.layers.0.self_attn.attn."``).
    bias : bool, default True
        Whether the projections have biases.
    key_dims, value_dims : int, optional
        Widths of the keys and values that come in (torch: `kdim`, `vdim`). Where one differs from
        `embed_dims`, the three weights are stored one by one; the biases stay stacked.
    bias_kv : bool, default False
        Whether a learnt key and value join every sequence (torch: `add_bias_kv`).

    Returns
    -------
    AttentionLayout
        Of the kind ``"fused"``, or ``"separate"`` where the weights are stored one by one.

    Raises
    ------
    LayoutError
        If `n_heads` does not divide `embed_dims`.

    Examples
    --------
    >>> multihead_layout(256, 8, bias=False).parameters
    ('in_proj_weight', 'out_proj.weight')
    >>> multihead_layout(256, 8, key_dims=64, bias=False).parameters
    ('q_proj_weight', 'k_proj_weight', 'v_proj_weight', 'out_proj.weight')
    """
    width = head_width(embed_dims, n_heads)
    kind: Literal["fused", "separate"] = (
        "fused" if {key_dims or embed_dims, value_dims or embed_dims} == {embed_dims} else "separate"
    )
    incoming: dict[HeadPart, int] = {
        "query": embed_dims,
        "key": key_dims or embed_dims,
        "value": value_dims or embed_dims,
    }
    slices = []
    for i, (part, dims) in enumerate(incoming.items()):
        if kind == "fused":
            name, shape, start = f"{prefix}in_proj_weight", (3 * embed_dims, embed_dims), i * embed_dims
        else:
            name, shape, start = f"{prefix}{part[0]}_proj_weight", (embed_dims, dims), 0
        slices.append(HeadSlice(name, shape, part, 0, start, width))
    if bias:
        name = f"{prefix}in_proj_bias"
        slices += [
            HeadSlice(name, (3 * embed_dims,), part, 0, i * embed_dims, width)
            for i, part in enumerate(incoming)
        ]
    if bias_kv:
        slices += [
            HeadSlice(f"{prefix}bias_k", (1, 1, embed_dims), "key", 2, 0, width),
            HeadSlice(f"{prefix}bias_v", (1, 1, embed_dims), "value", 2, 0, width),
        ]
    slices.append(HeadSlice(f"{prefix}out_proj.weight", (embed_dims, embed_dims), "output", 1, 0, width))
    return AttentionLayout(kind, embed_dims, n_heads, tuple(slices))


def separate_layout(
    embed_dims: int,
    n_heads: int,
    *,
    query: Sequence[str] = ("q_proj",),
    key: Sequence[str] = ("k_proj",),
    value: Sequence[str] = ("v_proj",),
    output: str = "out_proj",
    prefix: str = "",
    bias: bool = True,
) -> AttentionLayout:
    """Layout of a block with a linear layer, E to E, for each projection.

    Parameters
    ----------
    embed_dims : int
        Width E of the block; `n_heads` must divide it.
    n_heads : int
        Number of heads.
    query, key, value : sequence of str
        Names of the linear layers that make the queries, keys and values; of several, head h owns the same
        rows in each (Conditional DETR: ``("qcontent_proj", "qpos_proj", "qpos_sine_proj")``).
    output : str
        Name of the linear layer that mixes the heads.
    prefix : str
        Put before every name, with its dot.
    bias : bool, default True
        Whether the query, key and value layers have biases.

    Returns
    -------
    AttentionLayout
        Of the kind ``"separate"``.

    Raises
    ------
    LayoutError
        If `n_heads` does not divide `embed_dims`.

    Examples
    --------
    >>> separate_layout(256, 8, bias=False).parameters
    ('q_proj.weight', 'k_proj.weight', 'v_proj.weight', 'out_proj.weight')
    """
    width = head_width(embed_dims, n_heads)
    square = (embed_dims, embed_dims)
    projections: dict[HeadPart, Sequence[str]] = {"query": query, "key": key, "value": value}
    slices = []
    for part, names in projections.items():
        for name in names:
            slices.append(HeadSlice(f"{prefix}{name}.weight", square, part, 0, 0, width))
            if bias:
                slices.append(HeadSlice(f"{prefix}{name}.bias", (embed_dims,), part, 0, 0, width))
    slices.append(HeadSlice(f"{prefix}{output}.weight", square, "output", 1, 0, width))
    return AttentionLayout("separate", embed_dims, n_heads, tuple(slices))


def stacked_layout(
    embed_dims: int,
    n_heads: int,
    *,
    stacked: str = "qkv",
    output: str = "proj",
    prefix: str = "",
    bias: bool = True,
) -> AttentionLayout:
    """Layout of a block with one linear layer, E to 3·E, for queries, keys and values, as in ViT and Swin.

    Parameters
    ----------
    embed_dims : int
        Width E of the block; `n_heads` must divide it.
    n_heads : int
        Number of heads.
    stacked, output : str
        Names of the linear layer that makes queries, keys and values (in this order, each head by head), and of the
        one that mixes the heads.
    prefix : str
        Put before every name, with its dot.
    bias : bool, default True
        Whether the stacked layer has a bias.

    Returns
    -------
    AttentionLayout
        Of the kind ``"fused"``.

    Raises
    ------
    LayoutError
        If `n_heads` does not divide `embed_dims`.

    Examples
    --------
    >>> stacked_layout(96, 3, prefix="blocks.0.attn.").parameters
    ('blocks.0.attn.qkv.weight', 'blocks.0.attn.qkv.bias', 'blocks.0.attn.proj.weight')
    """
    width = head_width(embed_dims, n_heads)
    shapes: list[tuple[str, tuple[int, ...]]] = [(f"{prefix}{stacked}.weight", (3 * embed_dims, embed_dims))]
    if bias:
        shapes.append((f"{prefix}{stacked}.bias", (3 * embed_dims,)))
    parts: tuple[HeadPart, ...] = ("query", "key", "value")
    slices = [
        HeadSlice(name, shape, part, 0, i * embed_dims, width)
        for name, shape in shapes
        for i, part in enumerate(parts)
    ]
    slices.append(HeadSlice(f"{prefix}{output}.weight", (embed_dims, embed_dims), "output", 1, 0, width))
    return AttentionLayout("fused", embed_dims, n_heads, tuple(slices))


def deformable_layout(
    embed_dims: int,
    n_heads: int,
    n_levels: int,
    n_points: int,
    *,
    prefix: str = "",
    value_dims: int | None = None,
    bias: bool = True,
) -> AttentionLayout:
    """Layout of multi-scale deformable attention, named as in Deformable DETR and MMCV.

    The query part of a head is what decides where it looks: its rows of ``sampling_offsets`` and of
    ``attention_weights``, ordered by head, level and point (offsets x before y).

    Parameters
    ----------
    embed_dims : int
        Width E of the block.
    n_heads, n_levels, n_points : int
        Heads; feature levels; sampling points per head and level.
    prefix : str
        Put before every name, with its dot.
    value_dims : int, optional
        Width of the projected values, `embed_dims` unless given; `n_heads` must divide it.
    bias : bool, default True
        Whether the projections have biases.

    Returns
    -------
    AttentionLayout
        Of the kind ``"deformable"``.

    Raises
    ------
    LayoutError
        If `n_heads` does not divide `value_dims`.

    Examples
    --------
    >>> layout = deformable_layout(256, 8, n_levels=4, n_points=4)
    >>> from dissect_core import head_masks
    >>> masks = head_masks(layout, 0, part="query")
    >>> {name: int(mask.any(axis=-1).sum()) for name, mask in masks.items() if name.endswith("weight")}
    {'sampling_offsets.weight': 32, 'attention_weights.weight': 16}
    """
    values = embed_dims if value_dims is None else value_dims
    width = head_width(values, n_heads)
    per_head = n_levels * n_points
    rows: list[tuple[str, HeadPart, int]] = [
        ("sampling_offsets", "query", 2 * per_head),
        ("attention_weights", "query", per_head),
        ("value_proj", "value", width),
    ]
    slices = []
    for name, part, n in rows:
        slices.append(HeadSlice(f"{prefix}{name}.weight", (n * n_heads, embed_dims), part, 0, 0, n))
        if bias:
            slices.append(HeadSlice(f"{prefix}{name}.bias", (n * n_heads,), part, 0, 0, n))
    slices.append(HeadSlice(f"{prefix}output_proj.weight", (embed_dims, values), "output", 1, 0, width))
    return AttentionLayout("deformable", embed_dims, n_heads, tuple(slices), n_levels, n_points)
