"""Units that lie in several parameters at once: heads, neurons, channels, queries, levels and points.

A group names all units of one kind in one place of a model, and says where each lies. Removing a unit then is
a handful of edits: masks of parameters, each with what takes the masked values' place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ..edits.interventions import Constant, Intervention
from ..edits.masks import Mask
from ..errors import LayoutError, UnitError
from .attention import AttentionLayout, HeadPart
from .units import Indices, chosen_units

GroupUnit: TypeAlias = Literal["head", "neuron", "channel", "query", "level", "point"]

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
    removal : Constant or None
        What removing a unit puts here, where zero would not remove it.
    """

    parameter: str
    shape: tuple[int, ...]
    axis: int
    start: int = 0
    width: int = 1
    repeats: int = 1
    period: int = 0
    removal: Constant | None = None
    step: int = 0

    def end(self, n_units: int) -> int:
        """Index behind the last one of so many units."""
        last = self.start + (self.repeats - 1) * self.period + (n_units - 1) * (self.step or self.width)
        return last + self.width if n_units else self.start

    def mask(self, chosen: Mask) -> Mask:
        """Mask of the chosen units, given as a bool for each unit."""
        along = np.zeros(self.shape[self.axis], dtype=np.bool_)
        begins = self.start + np.flatnonzero(chosen) * (self.step or self.width)
        within = np.arange(self.width) + np.arange(self.repeats)[:, None] * self.period
        along[(begins[:, None] + within.reshape(-1)).reshape(-1)] = True
        shape = [-1 if axis == self.axis else 1 for axis in range(len(self.shape))]
        return np.array(np.broadcast_to(along.reshape(shape), self.shape))


@dataclass(frozen=True)
class Edit:
    """One change of a variant: masked values of a parameter, and what takes their place.

    Attributes
    ----------
    parameter : str
    mask : ndarray of bool, of the parameter's shape
    intervention : Intervention
    """

    parameter: str
    mask: Mask
    intervention: Intervention


@dataclass(frozen=True)
class UnitGroup:
    """All units of one kind in one place of a model.

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
    >>> [(edit.parameter, int(edit.mask.sum())) for edit in group.edits([1], Constant(value=0))]
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
                raise LayoutError(
                    f"{where.parameter!r} must hold {self.n_units} {self.unit}s along axis {where.axis}, "
                    f"got the shape {where.shape}. Check the widths."
                )

    @property
    def n_parameters(self) -> int:
        """Values that one unit owns."""
        return sum(
            int(np.prod(s.shape)) // s.shape[s.axis] * s.width * s.repeats
            for s in self.slices
            if s.shape[s.axis]
        )

    def edits(self, units: Indices, intervention: Intervention) -> tuple[Edit, ...]:
        """Edits that put an intervention in the place of some units.

        Parameters
        ----------
        units : sequence of int
            Distinct units, from 0.
        intervention : Intervention
            What to put there. `Zero` removes the units: where zeros would not (a sampling point's logit),
            the slice's own removal value is put in.

        Raises
        ------
        UnitError
            If a unit is out of range or given twice.
        """
        chosen = chosen_units(units, self.n_units, f"{self.path!r} has {self.n_units} {self.unit}s")
        removing = intervention.kind == "zero"
        edits = tuple(
            Edit(s.parameter, s.mask(chosen), s.removal if removing and s.removal else intervention)
            for s in self.slices
        )
        whole = self.exhausted if removing and chosen.all() else ()
        return (*edits, *(Edit(name, np.ones(shape, np.bool_), intervention) for name, shape in whole))


def head_group(path: str, layout: AttentionLayout, part: HeadPart | Literal["all"] = "output") -> UnitGroup:
    """The heads of an attention block; see `dissect_core.head_masks` for the parts."""
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


def feed_forward_group(
    path: str, first: tuple[str, tuple[int, ...]], first_bias: str | None, second: tuple[str, tuple[int, ...]]
) -> UnitGroup:
    """The hidden neurons of a feed-forward block: rows of the first linear layer, columns of the second.

    `first` and `second` are names and shapes of the two weights, (hidden, in) and (out, hidden), and `first_bias` is
    the name of the first layer's bias, if it has one. The second layer's bias belongs to no neuron and stays.
    """
    n = first[1][0]
    slices = [UnitSlice(*first, axis=0)]
    if first_bias is not None:
        slices.append(UnitSlice(first_bias, (n,), axis=0))
    return UnitGroup(path, "neuron", n, (*slices, UnitSlice(*second, axis=1)))


def channel_group(path: str, parameters: Sequence[tuple[str, tuple[int, ...]]]) -> UnitGroup:
    """The output channels of a convolution: index 0 of each parameter given.

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
    """Object queries: rows of the query embedding, and of whatever else has a row for each query.

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
    rows = range(parameters[0][1][0]) if rows is None else rows
    slices = (
        UnitSlice(name, shape, axis=0, start=rows.start, step=rows.step if rows.step > 1 else 0)
        for name, shape in parameters
    )
    return UnitGroup(path, "query", len(rows), tuple(slices))


def sampling_groups(path: str, layout: AttentionLayout) -> tuple[UnitGroup, UnitGroup]:
    """The feature levels and the sampling points of a deformable block, each over all heads.

    ``attention_weights`` has a row for each head, level and point in this order, ``sampling_offsets`` two.
    Zero rows would leave a point its share of the softmax; removal sets its logit to -10,000 instead, and the
    other points share its weight. With every unit removed there is nothing to share: the output projection's
    weight goes too, and the block gives its bias.

    Raises
    ------
    UnitError
        If the block is not deformable.
    """
    if layout.n_levels is None or layout.n_points is None:
        raise UnitError(
            f"{path!r} must be deformable attention to have levels and points, got {layout.kind}."
        )
    heads, levels, points = layout.n_heads, layout.n_levels, layout.n_points
    found: dict[GroupUnit, list[UnitSlice]] = {"level": [], "point": []}
    for s in layout.slices:
        if s.part != "query":
            continue
        each = s.width // (levels * points)  # 2 coordinates of an offset, 1 attention weight
        logit = Constant(value=SILENT_LOGIT) if each == 1 and s.parameter.endswith("bias") else None
        found["level"].append(
            UnitSlice(s.parameter, s.shape, 0, s.start, points * each, heads, levels * points * each, logit)
        )
        found["point"].append(
            UnitSlice(s.parameter, s.shape, 0, s.start, each, heads * levels, points * each, logit)
        )
    outputs = tuple((s.parameter, s.shape) for s in layout.slices if s.part == "output")
    return (
        UnitGroup(path, "level", levels, tuple(found["level"]), outputs),
        UnitGroup(path, "point", points, tuple(found["point"]), outputs),
    )
