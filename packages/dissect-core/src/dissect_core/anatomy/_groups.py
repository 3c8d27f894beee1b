"""Units that lie in several parameters at once: heads, neurons, channels, queries, levels and points.

A group names all units of one kind in one block of a model, and says where each lies. Removing a unit then is
a handful of edits: masks of parameters, each with what takes the masked values' place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from ..errors import LayoutError, UnitError
from ._attention import AttentionLayout, HeadPart
from ._shapes import Mask
from ._units import GroupUnit, unit_kind

SILENT_LOGIT = -1e4
"""Bias of a removed sampling point: its softmax weight is 0 in every floating type, half precision included."""


@dataclass(frozen=True)
class UnitSlice:
    """Where the units of a group lie in one parameter.

    Along `axis`, unit *u* owns ``width`` indices from ``start + u * step``, and the same again at every
    further ``period``, ``repeats`` times in all.

    Attributes
    ----------
    parameter : str
    shape : tuple of int
    axis, start, width, repeats, period : int
    step : int
        From one unit to the next; 0 stands for `width`.
    owned : tuple of tuple of int
        The indices of each unit, where units are of different sizes; then `start`, `width` and so on are not used.
    removal : float or None
        The value that removing a unit puts here, where zero would not remove it.
    """

    parameter: str
    shape: tuple[int, ...]
    axis: int
    start: int = 0
    width: int = 1
    repeats: int = 1
    period: int = 0
    removal: float | None = None
    step: int = 0
    owned: tuple[tuple[int, ...], ...] = ()

    def end(self, n_units: int) -> int:
        """Return the index behind the last one of so many units."""
        if self.owned:
            return 1 + max(chain.from_iterable(self.owned), default=-1)
        last = self.start + (self.repeats - 1) * self.period + (n_units - 1) * (self.step or self.width)
        return last + self.width if n_units else self.start

    def mask(self, chosen: Mask) -> Mask:
        """Return the mask of the chosen units, given as a bool for each unit."""
        along = np.zeros(self.shape[self.axis], dtype=np.bool_)
        if self.owned:
            along[list(chain.from_iterable(self.owned[unit] for unit in np.flatnonzero(chosen)))] = True
            return self._spread(along)
        begins = self.start + np.flatnonzero(chosen) * (self.step or self.width)
        within = np.arange(self.width) + np.arange(self.repeats)[:, None] * self.period
        along[(begins[:, None] + within.reshape(-1)).reshape(-1)] = True
        return self._spread(along)

    def _spread(self, along: Mask) -> Mask:
        """Return a mask of the parameter from one along the axis."""
        shape = [-1 if axis == self.axis else 1 for axis in range(len(self.shape))]
        return np.array(np.broadcast_to(along.reshape(shape), self.shape))


@dataclass(frozen=True)
class UnitGroup:
    """All units of one kind in one block of a model, or in one embedding.

    Attributes
    ----------
    path : str
        The block or parameter that they belong to.
    unit : {"head", "neuron", "channel", "query", "level", "point"}
    n_units : int
    slices : tuple of UnitSlice
    exhausted : tuple of (name, shape)
        Parameters that go too once every unit is removed, where edits of all slices would not do.

    Raises
    ------
    LayoutError
        If a slice goes beyond its parameter.

    Examples
    --------
    >>> group = feed_forward_group("ffn", ("ffn.0.weight", (4, 2)), "ffn.0.bias", ("ffn.2.weight", (2, 4)))
    >>> [(where.parameter, int(where.mask(np.arange(4) == 1).sum())) for where in group.slices]
    [('ffn.0.weight', 2), ('ffn.0.bias', 1), ('ffn.2.weight', 2)]
    """

    path: str
    unit: GroupUnit
    n_units: int
    slices: tuple[UnitSlice, ...]
    exhausted: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def __post_init__(self) -> None:
        for where in self.slices:
            if not 0 <= where.axis < len(where.shape) or where.end(self.n_units) > where.shape[where.axis]:
                units = unit_kind(self.unit).counted(self.n_units)
                raise LayoutError(
                    f"{where.parameter!r} must hold {units} along axis {where.axis}, got the shape "
                    f"{where.shape}. Check the widths."
                )

    @property
    def n_parameters(self) -> int:
        """Values that one unit owns; 0 where units are of different sizes."""
        if any(s.owned for s in self.slices):
            return 0
        return sum(
            int(np.prod(s.shape)) // s.shape[s.axis] * s.width * s.repeats
            for s in self.slices
            if s.shape[s.axis]
        )


def head_group(path: str, layout: AttentionLayout, part: HeadPart | Literal["all"] = "output") -> UnitGroup:
    """Return the heads of an attention block as a group; see `dissect_core.head_masks` for the parts."""
    if part != "all" and part not in layout.parts:
        raise UnitError(
            f"`part` must be one that {layout.kind} attention has ({', '.join(layout.parts)}) or 'all', "
            f"got {part!r}."
        )
    slices = tuple(
        UnitSlice(s.parameter, s.shape, s.axis, s.start, s.width)
        for s in layout.slices
        if part in ("all", s.part)
    )
    return UnitGroup(path, "head", layout.n_heads, slices)


def head_masks(
    layout: AttentionLayout, heads: int | Iterable[int], part: HeadPart | Literal["all"] = "output"
) -> dict[str, Mask]:
    """Return masks of some heads of an attention block.

    Parameters
    ----------
    layout : AttentionLayout
        The block.
    heads : int or iterable of int
        Distinct heads, counted from 0. May be empty: all masks are then all False.
    part : {"output", "value", "query", "key", "all"}, default "output"
        Part of a head to mask:

        - ``"output"``: its columns of the output projection. Setting them to zero removes exactly what the
          head adds to the block's output, and nothing else.
        - ``"value"``: its rows of the value projection, and their biases. Zero removes the head exactly, too.
        - ``"query"`` or ``"key"``: its rows of that projection, and their biases. Zero does *not* remove the
          head; it only makes it attend everywhere alike. In a deformable block, which has no keys, zero in
          the query part makes a head weigh alike samples that all lie on the reference point.
        - ``"all"``: all of these that the block has.

    Returns
    -------
    dict of str to ndarray of bool
        For each parameter that the part touches a mask of its shape.

    Raises
    ------
    UnitError
        If a head is out of range, given twice or no integer, or the block has no such part.

    Notes
    -----
    The output projection's bias belongs to no head and stays.

    Examples
    --------
    >>> from dissect_core.anatomy import multihead_layout
    >>> layout = multihead_layout(4, 2)
    >>> head_masks(layout, 1)["out_proj.weight"].astype(int)
    array([[0, 0, 1, 1],
           [0, 0, 1, 1],
           [0, 0, 1, 1],
           [0, 0, 1, 1]])
    >>> head_masks(layout, 1, part="value")["in_proj_bias"].astype(int)
    array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    """
    group = head_group("", layout, part)
    chosen = np.zeros(layout.n_heads, dtype=np.bool_)
    chosen[list(_heads(heads, layout.n_heads))] = True
    masks: dict[str, Mask] = {}
    for where in group.slices:
        mask = where.mask(chosen)
        masks[where.parameter] = masks[where.parameter] | mask if where.parameter in masks else mask
    return masks


def _heads(heads: int | Iterable[int], n_heads: int) -> Sequence[int]:
    given = [heads] if isinstance(heads, (int, np.integer)) else list(heads)
    for head in given:
        if isinstance(head, bool) or not isinstance(head, (int, np.integer)) or not 0 <= head < n_heads:
            raise UnitError(
                f"`heads` must be integers from 0 to {n_heads - 1}, as the block has {n_heads}, got {head!r}."
            )
    if len(set(given)) != len(given):
        raise UnitError(f"`heads` must be distinct, got {given}.")
    return given


def feed_forward_group(
    path: str,
    first: tuple[str, tuple[int, ...]],
    first_bias: str | None,
    second: tuple[str, tuple[int, ...]],
    *more: tuple[str, tuple[int, ...]],
) -> UnitGroup:
    """Return the hidden neurons of a feed-forward block: rows of the first linear layer, columns of the second.

    `first` and `second` are names and shapes of the two weights, (hidden, in) and (out, hidden), and `first_bias` is
    the name of the first layer's bias, if it has one. The second layer's bias belongs to no neuron and stays. `more`
    are weights and biases that have a row for each neuron, too: those of the gate of a gated block (SwiGLU).
    """
    n = first[1][0]
    slices = [UnitSlice(*first, axis=0)]
    if first_bias is not None:
        slices.append(UnitSlice(first_bias, (n,), axis=0))
    slices += [UnitSlice(*one, axis=0) for one in more]
    return UnitGroup(path, "neuron", n, (*slices, UnitSlice(*second, axis=1)))


def channel_group(path: str, parameters: Sequence[tuple[str, tuple[int, ...]]]) -> UnitGroup:
    """Return the output channels of a convolution as a group: index 0 of each parameter given.

    Parameters
    ----------
    path : str
    parameters : sequence of (name, shape)
        With a norm behind the convolution its scale and, if it has one, its shift; without a norm the
        convolution's weight and bias.

    Notes
    -----
    Zero in the norm's scale and shift makes the channel exactly zero behind the norm and leaves every other
    channel as it was, for any norm and in training too. Zero in the convolution does not where a norm follows: a
    batch norm still gives its shift and mean, and a group or layer norm would reckon its statistics, and so the
    other channels, without that channel. And where both were edited, `Scale` would act twice.

    Examples
    --------
    >>> channel_group("conv1", [("bn1.weight", (64,)), ("bn1.bias", (64,))]).n_units
    64
    """
    n = parameters[0][1][0]
    return UnitGroup(path, "channel", n, tuple(UnitSlice(name, shape, axis=0) for name, shape in parameters))


def query_group(
    path: str, parameters: Sequence[tuple[str, tuple[int, ...]]], rows: range | None = None
) -> UnitGroup:
    """Return object queries as a group: rows of the query embedding, and of all else that has a row for each query.

    Parameters
    ----------
    path : str
    parameters : sequence of (name, shape)
    rows : range, optional
        The rows that are queries, where not all are: of group queries, evaluation uses one group.

    Examples
    --------
    >>> group = query_group("query_feat", [("query_feat.weight", (3900, 256))], range(300))
    >>> group.n_units, int(group.slices[0].mask(np.ones(300, dtype=bool)).any(axis=1).sum())
    (300, 300)
    """
    first = parameters[0][1]
    rows = range(first[_row_axis(first)]) if rows is None else rows
    slices = (
        UnitSlice(name, shape, _row_axis(shape), start=rows.start, step=rows.step if rows.step > 1 else 0)
        for name, shape in parameters
    )
    return UnitGroup(path, "query", len(rows), tuple(slices))


def _row_axis(shape: tuple[int, ...]) -> int:
    """Return the axis of the rows of a table, which may have an axis of one image before them (YOLOS)."""
    return 1 if len(shape) == 3 and shape[0] == 1 else 0


def sampling_groups(path: str, layout: AttentionLayout) -> tuple[UnitGroup, UnitGroup]:
    """Return the feature levels and the sampling points of a deformable block, each over all heads.

    ``attention_weights`` has a row for each head, level and point in this order, ``sampling_offsets`` two.
    Zero rows would leave a point its share of the softmax; removal sets its logit to -10,000 instead, and the
    other points share its weight. With every unit removed there is nothing to share: the output projection's
    weight goes too, and the block gives its bias.

    Raises
    ------
    UnitError
        If the block is not deformable.
    """
    if layout.n_levels is None or layout.points is None:
        raise UnitError(
            f"{path!r} must be deformable attention to have levels and points, got {layout.kind}."
        )
    heads, levels, points = layout.n_heads, layout.n_levels, layout.points
    regular = len(set(points)) == 1
    found: dict[GroupUnit, list[UnitSlice]] = {"level": [], "point": []}
    for s in layout.slices:
        if s.part != "query":
            continue
        each = s.width // sum(points)  # 2 coordinates of an offset, 1 attention weight
        logit = SILENT_LOGIT if each == 1 and s.parameter.endswith("bias") else None
        if regular:
            n = points[0]
            found["level"].append(
                UnitSlice(s.parameter, s.shape, 0, s.start, n * each, heads, levels * n * each, logit)
            )
            found["point"].append(
                UnitSlice(s.parameter, s.shape, 0, s.start, each, heads * levels, n * each, logit)
            )
            continue
        # Level and point of every row of a head, in order.
        rows = [(level, point) for level, n in enumerate(points) for point in range(n)]
        for i, unit in enumerate(found):
            owned = tuple(
                tuple(
                    s.start + head * s.width + row * each + coordinate
                    for head in range(heads)
                    for row, of in enumerate(rows)
                    if of[i] == number
                    for coordinate in range(each)
                )
                for number in range(levels if unit == "level" else max(points))
            )
            found[unit].append(UnitSlice(s.parameter, s.shape, 0, removal=logit, owned=owned))
    outputs = tuple((s.parameter, s.shape) for s in layout.slices if s.part == "output")
    return (
        UnitGroup(path, "level", levels, tuple(found["level"]), outputs),
        UnitGroup(path, "point", max(points), tuple(found["point"]), outputs),
    )
