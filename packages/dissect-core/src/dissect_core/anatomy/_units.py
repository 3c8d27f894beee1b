"""The table of units: what an ablation can count in, and all that the name of a unit decides.

Whoever has the name of a unit asks its row (`unit_kind`) instead of comparing the name. A new unit is a row here and
what the row points to: its place in a target of `dissect_core.spec`, a group or a block that `anatomy_of` finds, and,
where the row says so, a finder of its activation and a way to cut it out in `dissect_core.torch`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

from ..errors import UnitError
from ..names import near_matches
from ..text import quoted
from ._shapes import PARTS_OF_ROWS, SINGLE_VALUES, WHOLE, UnitsOfShape, along_axis

Unit: TypeAlias = Literal["component", "element", "row", "column", "segment"]
"""Units that the shape of one component defines."""
GroupUnit: TypeAlias = Literal["head", "neuron", "channel", "query", "level", "point"]
"""Units that lie in several parameters."""


@dataclass(frozen=True, kw_only=True)
class UnitKind:
    """One row of the table of units; no part has a default, so that none can be forgotten.

    Attributes
    ----------
    name, plural : str
        The words for one and for several of them.
    lies_in : {"parameter", "component", "attention", "group", "block"}
        Where its units are found: in single parameters; in parameters or blocks as a whole; in the layouts of
        attention blocks; in the groups of an anatomy; in blocks that are left out.
    of_shape : UnitsOfShape or None
        How the shape of a component divides into such units, for those that a shape defines.
    least_dims : int
        Dimensions that a parameter needs to have such units.
    is_whole : bool
        Whether what holds the unit is the unit: it has one, and is named by its path without a number.
    acts_by : {"value", "bypass", "readout"}
        What removing it does: replace values; pass by a block; read the predictions of the layer before it.
    blocks : tuple of str
        Kinds of block that are such a unit, for those that lie in blocks.
    activation : {"features", "rows", "whole"} or None
        Its part of a module's activation; None where it has none.
    zero_is_in_weights : bool
        Whether a zero in the activation is the same as zero weights.
    scores : tuple of str
        Scores by which its units can be ranked.
    removed_by : {"cut", "bypass"} or None
        How `simplify` takes it out of a model for good; None where it cannot.
    last_one_stays : bool
        Whether a block that lost all of its units is no block any more.
    flops_saved : {"share", "none", "unknown"}
        Operations that a model without it saves: its share of its module's; none, as scattered values leave a matrix
        as large as it was; or what depends on how the model is rewritten.
    read_in_part : bool
        Whether evaluation may read only some of its rows, so that a pass has to show which are units.
    mixed_by_last_slice : bool
        Whether the last slice of its group is the projection by which its block contributes to a layer.
    few_in_a_block : bool
        Whether a block has so few of them that a map of blocks by units can be looked at.
    """

    name: str
    plural: str
    lies_in: Literal["parameter", "component", "attention", "group", "block"]
    of_shape: UnitsOfShape | None
    least_dims: int
    is_whole: bool
    acts_by: Literal["value", "bypass", "readout"]
    blocks: tuple[Literal["layer", "attention", "ffn"], ...]
    activation: Literal["features", "rows", "whole"] | None
    zero_is_in_weights: bool
    scores: tuple[str, ...]
    removed_by: Literal["cut", "bypass"] | None
    last_one_stays: bool
    flops_saved: Literal["share", "none", "unknown"]
    read_in_part: bool
    mixed_by_last_slice: bool
    few_in_a_block: bool

    @property
    def in_structure(self) -> bool:
        """Return whether removing it changes which blocks run, instead of values."""
        return self.acts_by != "value"

    def counted(self, n: int) -> str:
        """Return a number of them in words.

        Examples
        --------
        >>> unit_kind("query").counted(1), unit_kind("query").counted(300)
        ('1 query', '300 queries')
        """
        return f"{n:,} {self.name if n == 1 else self.plural}"


_BY_WEIGHTS = ("weight_norm", "weight_gradient")

# fmt: off
_ROWS = (
    UnitKind(
        name="component", plural="components", lies_in="component", of_shape=WHOLE, least_dims=0, is_whole=True,
        acts_by="value", blocks=(), activation="whole", zero_is_in_weights=False,
        scores=_BY_WEIGHTS, removed_by=None, last_one_stays=False,
        flops_saved="share", read_in_part=False, mixed_by_last_slice=False, few_in_a_block=False,
    ),
    UnitKind(
        name="element", plural="elements", lies_in="parameter", of_shape=SINGLE_VALUES, least_dims=0, is_whole=False,
        acts_by="value", blocks=(), activation=None, zero_is_in_weights=False,
        scores=_BY_WEIGHTS, removed_by=None, last_one_stays=False,
        flops_saved="none", read_in_part=False, mixed_by_last_slice=False, few_in_a_block=False,
    ),
    UnitKind(
        name="row", plural="rows", lies_in="parameter", of_shape=along_axis(0), least_dims=0, is_whole=False,
        acts_by="value", blocks=(), activation=None, zero_is_in_weights=False,
        scores=_BY_WEIGHTS, removed_by=None, last_one_stays=False,
        flops_saved="share", read_in_part=False, mixed_by_last_slice=False, few_in_a_block=False,
    ),
    UnitKind(
        name="column", plural="columns", lies_in="parameter", of_shape=along_axis(1), least_dims=2, is_whole=False,
        acts_by="value", blocks=(), activation=None, zero_is_in_weights=False,
        scores=_BY_WEIGHTS, removed_by=None, last_one_stays=False,
        flops_saved="share", read_in_part=False, mixed_by_last_slice=False, few_in_a_block=False,
    ),
    UnitKind(
        name="segment", plural="segments", lies_in="parameter", of_shape=PARTS_OF_ROWS, least_dims=2, is_whole=False,
        acts_by="value", blocks=(), activation=None, zero_is_in_weights=False,
        scores=_BY_WEIGHTS, removed_by=None, last_one_stays=False,
        flops_saved="none", read_in_part=False, mixed_by_last_slice=False, few_in_a_block=False,
    ),
    UnitKind(
        name="head", plural="heads", lies_in="attention", of_shape=None, least_dims=0, is_whole=False,
        acts_by="value", blocks=(), activation="features", zero_is_in_weights=True,
        scores=(*_BY_WEIGHTS, "head_importance"), removed_by="cut", last_one_stays=True,
        flops_saved="share", read_in_part=False, mixed_by_last_slice=False, few_in_a_block=True,
    ),
    UnitKind(
        name="neuron", plural="neurons", lies_in="group", of_shape=None, least_dims=0, is_whole=False,
        acts_by="value", blocks=(), activation="features", zero_is_in_weights=True,
        scores=_BY_WEIGHTS, removed_by="cut", last_one_stays=False,
        flops_saved="share", read_in_part=False, mixed_by_last_slice=True, few_in_a_block=False,
    ),
    UnitKind(
        name="channel", plural="channels", lies_in="group", of_shape=None, least_dims=0, is_whole=False,
        acts_by="value", blocks=(), activation="features", zero_is_in_weights=True,
        scores=_BY_WEIGHTS, removed_by=None, last_one_stays=False,
        flops_saved="share", read_in_part=False, mixed_by_last_slice=False, few_in_a_block=False,
    ),
    UnitKind(
        name="query", plural="queries", lies_in="group", of_shape=None, least_dims=0, is_whole=False,
        acts_by="value", blocks=(), activation="rows", zero_is_in_weights=False,
        scores=_BY_WEIGHTS, removed_by=None, last_one_stays=False,
        flops_saved="unknown", read_in_part=True, mixed_by_last_slice=False, few_in_a_block=False,
    ),
    UnitKind(
        name="level", plural="levels", lies_in="group", of_shape=None, least_dims=0, is_whole=False,
        acts_by="value", blocks=(), activation=None, zero_is_in_weights=False,
        scores=_BY_WEIGHTS, removed_by=None, last_one_stays=False,
        flops_saved="unknown", read_in_part=False, mixed_by_last_slice=False, few_in_a_block=True,
    ),
    UnitKind(
        name="point", plural="points", lies_in="group", of_shape=None, least_dims=0, is_whole=False,
        acts_by="value", blocks=(), activation=None, zero_is_in_weights=False,
        scores=_BY_WEIGHTS, removed_by=None, last_one_stays=False,
        flops_saved="unknown", read_in_part=False, mixed_by_last_slice=False, few_in_a_block=True,
    ),
    UnitKind(
        name="layer", plural="layers", lies_in="block", of_shape=None, least_dims=0, is_whole=True,
        acts_by="bypass", blocks=("layer",), activation=None, zero_is_in_weights=False,
        scores=(), removed_by="bypass", last_one_stays=False,
        flops_saved="share", read_in_part=False, mixed_by_last_slice=False, few_in_a_block=False,
    ),
    UnitKind(
        name="sublayer", plural="sublayers", lies_in="block", of_shape=None, least_dims=0, is_whole=True,
        acts_by="bypass", blocks=("attention", "ffn"), activation=None, zero_is_in_weights=False,
        scores=(), removed_by="bypass", last_one_stays=False,
        flops_saved="share", read_in_part=False, mixed_by_last_slice=False, few_in_a_block=False,
    ),
    UnitKind(
        name="readout", plural="readouts", lies_in="block", of_shape=None, least_dims=0, is_whole=True,
        acts_by="readout", blocks=("layer",), activation=None, zero_is_in_weights=False,
        scores=(), removed_by=None, last_one_stays=False,
        flops_saved="share", read_in_part=False, mixed_by_last_slice=False, few_in_a_block=False,
    ),
)
# fmt: on

UNITS: Mapping[str, UnitKind] = MappingProxyType({row.name: row for row in _ROWS})
"""Every unit that an ablation can count in, by its name."""


def unit_kind(name: str) -> UnitKind:
    """Return the row of a unit in the table.

    Raises
    ------
    UnitError
        If there is no such unit; near matches are named.

    Examples
    --------
    >>> unit_kind("query").plural
    'queries'
    >>> unit_kind("heads")
    Traceback (most recent call last):
    dissect_core.errors.UnitError: `unit` must be one of component, element, ..., got 'heads'. Did you mean 'head'?
    """
    if name not in UNITS:
        near = near_matches(str(name), UNITS, n=1)
        meant = f" Did you mean {quoted(near[0])}?" if near else ""
        raise UnitError(f"`unit` must be one of {', '.join(UNITS)}, got {quoted(name)}.{meant}")
    return UNITS[name]


def shape_units(unit: str) -> UnitsOfShape:
    """Return how a shape divides into units of a kind that a shape defines.

    Raises
    ------
    UnitError
        If the unit is no such one.
    """
    row = UNITS.get(unit)
    if row is None or row.of_shape is None:
        raise UnitError(f"`unit` must be one of {', '.join(get_args(Unit))}, got {unit!r}.")
    return row.of_shape


def unit_count(shape: Sequence[int], unit: Unit, *, segments_per_row: int | None = None) -> int:
    """Count the units in a component.

    Parameters
    ----------
    shape : sequence of int
        Shape of the component.
    unit : {"component", "element", "row", "column", "segment"}
        ``"component"`` is the whole; an element one value; row *i* of an array is ``array[i]`` and column *j*
        is ``array[:, j]``, in any number of dimensions; a segment is one of equal parts of a matrix's row.
    segments_per_row : int, optional
        For ``"segment"``, and only there: into how many parts each row is cut.

    Returns
    -------
    int
        How many units there are; 0 where the shape holds no value.

    Raises
    ------
    UnitError
        If the shape has no such units, or `segments_per_row` is missing, out of place or does not divide
        the row.

    Examples
    --------
    >>> unit_count((768, 256), "segment", segments_per_row=8)
    6144
    >>> unit_count((100, 256), "row")
    100
    """
    rule = shape_units(unit)
    if segments_per_row is not None and not rule.has_segments:
        raise UnitError(
            f"`segments_per_row` must be left out for the unit {unit!r}, got {segments_per_row}. "
            "It belongs to the unit 'segment'."
        )
    return rule.count(tuple(shape), segments_per_row)
