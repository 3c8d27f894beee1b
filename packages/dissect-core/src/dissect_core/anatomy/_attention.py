"""Layouts of attention blocks: where each head lies in the block's parameters.

A head is defined by its block's layout and is never a slice of one row of a weight:

fused (`torch.nn.MultiheadAttention`; Vaswani et al. 2017, section 3.2.2)
    ``in_proj_weight`` (3·E, E) and ``in_proj_bias`` (3·E) stack the query, key and value projections. With
    d = E / n_heads, head h owns rows ``h·d:(h+1)·d`` of each third, and columns ``h·d:(h+1)·d`` of
    ``out_proj.weight`` (E, E).
separate
    The same with a parameter for each projection, or with several that are added, or joined head by head
    (Conditional DETR; Meng et al. 2021, arXiv:2108.06152, figure 3).
deformable (Zhu et al. 2021, arXiv:2010.04159, equation 3)
    Head h owns rows of ``value_proj``, columns of ``output_proj``, and for each level and point two rows of
    ``sampling_offsets`` and one of ``attention_weights``. There are no keys: the query says where to look. Some
    have neither of the first two (D-FINE): their heads can be removed from activations only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from ..errors import LayoutError

HeadPart: TypeAlias = Literal["output", "value", "query", "key"]


@dataclass(frozen=True)
class HeadSlice:
    """Where the heads of a block lie in one of its parameters.

    Head *h* owns the indices from ``start + h * width`` to ``start + (h + 1) * width`` along `axis`.

    Attributes
    ----------
    parameter : str
        Name of the parameter.
    shape : tuple of int
        Its shape.
    part : {"output", "value", "query", "key"}
        What these values do for the head.
    axis : int
        Dimension along which the heads follow each other.
    start : int
        Where head 0 begins.
    width : int
        Indices per head.
    """

    parameter: str
    shape: tuple[int, ...]
    part: HeadPart
    axis: int
    start: int
    width: int


@dataclass(frozen=True)
class AttentionLayout:
    """The parameters of one attention block and how its heads lie in them.

    `multihead_layout`, `separate_layout` and `deformable_layout` build one from names and widths;
    `dissect_core.torch.attention_layouts` reads those of a live model.

    Attributes
    ----------
    kind : {"fused", "separate", "deformable"}
        How the block stores its projections.
    embed_dims : int
        Width of the block's input and output, E.
    n_heads : int
        Number of heads.
    slices : tuple of HeadSlice
        One for each parameter and part.
    n_levels, n_points : int or None
        Feature levels, and sampling points per head and level, of a deformable block; the most of a level where they
        differ.
    points : tuple of int or None
        Sampling points per head of each level.

    Raises
    ------
    LayoutError
        If a number is below 1, or a slice goes beyond its parameter.

    Examples
    --------
    >>> from dissect_core.anatomy import multihead_layout
    >>> layout = multihead_layout(8, 2, prefix="self_attn.")
    >>> layout.parameters
    ('self_attn.in_proj_weight', 'self_attn.in_proj_bias', 'self_attn.out_proj.weight')
    >>> layout.parts
    ('output', 'value', 'query', 'key')
    """

    kind: Literal["fused", "separate", "deformable"]
    embed_dims: int
    n_heads: int
    slices: tuple[HeadSlice, ...]
    n_levels: int | None = None
    points: tuple[int, ...] | None = None

    @property
    def n_points(self) -> int | None:
        """Sampling points per head and level; the most of a level where they differ; None if it is not deformable."""
        return None if self.points is None else max(self.points)

    def __post_init__(self) -> None:
        numbers = [(name, getattr(self, name)) for name in ("embed_dims", "n_heads", "n_levels")]
        for name, value in [*numbers, *(("n_points", n) for n in self.points or ())]:
            if value is not None and value < 1:
                raise LayoutError(f"`{name}` must be 1 or more, got {value}.")
        if self.points is not None and len(self.points) != self.n_levels:
            raise LayoutError(
                f"`n_points` must be a number, or one for each of {self.n_levels} levels, got {self.points}."
            )
        for part in self.slices:
            if part.width < 1 or not 0 <= part.axis < len(part.shape):
                raise LayoutError(
                    f"{part.parameter!r} needs a width of 1 or more and an axis it has, got {part}."
                )
            end = part.start + self.n_heads * part.width
            if part.start < 0 or end > part.shape[part.axis]:
                raise LayoutError(
                    f"{part.parameter!r} must hold {self.n_heads} heads of {part.width} from {part.start} to "
                    f"{end} along axis {part.axis}, got the shape {part.shape}. Check the widths."
                )

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that heads own a part of, each one once."""
        return tuple(dict.fromkeys(part.parameter for part in self.slices))

    @property
    def parts(self) -> tuple[HeadPart, ...]:
        """Parts that can be masked; a deformable block has no ``"key"``."""
        here = {part.part for part in self.slices}
        return tuple(part for part in get_args(HeadPart) if part in here)


def head_width(dims: int, n_heads: int) -> int:
    """Return the width of one head: `dims` shared out over the heads.

    Raises
    ------
    LayoutError
        If a number is below 1, or `n_heads` does not divide `dims`.

    Examples
    --------
    >>> head_width(256, 8)
    32
    """
    if dims < 1 or n_heads < 1 or dims % n_heads:
        raise LayoutError(f"`n_heads` must divide the width {dims}, got {n_heads}. Read both from the model.")
    return dims // n_heads


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
    """Return the layout of `torch.nn.MultiheadAttention`, with its parameter names.

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
    """Return the layout of a block with a linear layer, E to E, for each projection.

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
    """Return the layout of a block with one linear layer, E to 3·E, for all three projections, as in ViT and Swin.

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
    n_points: int | Sequence[int],
    *,
    prefix: str = "",
    value_dims: int | None = None,
    bias: bool = True,
    projected: bool = True,
) -> AttentionLayout:
    """Return the layout of multi-scale deformable attention, named as in Deformable DETR and MMCV.

    The query part of a head is what decides where it looks: its rows of ``sampling_offsets`` and of
    ``attention_weights``, ordered by head, level and point (offsets x before y).

    Parameters
    ----------
    embed_dims : int
        Width E of the block.
    n_heads, n_levels : int
        Heads; feature levels.
    n_points : int or sequence of int
        Sampling points per head and level, or a number for each level (D-FINE; Peng et al. 2024, arXiv:2410.13842).
    prefix : str
        Put before every name, with its dot.
    value_dims : int, optional
        Width of the projected values, `embed_dims` unless given; `n_heads` must divide it.
    bias : bool, default True
        Whether the projections have biases.
    projected : bool, default True
        Whether there are layers ``value_proj`` and ``output_proj``. Without them (D-FINE) a head is a part of the
        features that come in, and no parameter holds what it gives.

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
    points = (n_points,) * n_levels if isinstance(n_points, int) else tuple(n_points)
    per_head = sum(points)
    rows: list[tuple[str, HeadPart, int]] = [
        ("sampling_offsets", "query", 2 * per_head),
        ("attention_weights", "query", per_head),
    ]
    if projected:
        rows.append(("value_proj", "value", width))
    slices = []
    for name, part, n in rows:
        slices.append(HeadSlice(f"{prefix}{name}.weight", (n * n_heads, embed_dims), part, 0, 0, n))
        if bias:
            slices.append(HeadSlice(f"{prefix}{name}.bias", (n * n_heads,), part, 0, 0, n))
    if projected:
        slices.append(HeadSlice(f"{prefix}output_proj.weight", (embed_dims, values), "output", 1, 0, width))
    return AttentionLayout("deformable", embed_dims, n_heads, tuple(slices), n_levels, points)
