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
    ``sampling_offsets`` and one of ``attention_weights``. There are no keys: the query says where to look.
"""

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
        Feature levels, and sampling points per head and level, of a deformable block.

    Raises
    ------
    LayoutError
        If a number is below 1, or a slice goes beyond its parameter.

    Examples
    --------
    >>> from dissect_core import multihead_layout
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
    n_points: int | None = None

    def __post_init__(self) -> None:
        for name in ("embed_dims", "n_heads", "n_levels", "n_points"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise LayoutError(f"`{name}` must be 1 or more, got {value}.")
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
    """Width of one head: `dims` shared out over the heads.

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
