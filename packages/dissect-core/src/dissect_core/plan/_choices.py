"""Choices: the sets of units that a selection makes of a pool, one for each variant."""

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..edits import fraction_to_count
from ..errors import PlanError
from ..spec import (
    Ablation,
    CountSelection,
    CumulativeSelection,
    FractionSelection,
    IndexSelection,
    PlainSelection,
    RankSelection,
)
from ._pool import Pool
from ._variant import Chosen, Draw, Drawn, Whole

__all__ = ["Choice", "Scores", "choices", "n_choices", "unit_names"]

Scores = Mapping[tuple[str, str], ArrayLike]
"""Scores of all units of a part, by the name of the score and the part's path."""


class Choice(NamedTuple):
    """One selection of units: part of an id, the units, and the number of the repeat."""

    label: str
    draw: Draw
    repeat: int = 0


def n_choices(ablation: Ablation, pool: Pool) -> int:
    """Return how many sets of units a selection makes, without making them; pairs count with their single units."""
    n, select = pool.n_units, ablation.select
    match select:
        case FractionSelection():
            counts = [fraction_to_count(n, f, rounding=select.rounding) for f in select.fractions]
            return sum(1 if count in (0, n) else select.repeats for count in counts)
        case CountSelection():
            return sum(1 if count in (0, n) else select.repeats for count in select.counts)
        case IndexSelection():
            return 1
        case PlainSelection():
            return {"all": 1, "each": n, "only": n, "pairs": n * (n + 1) // 2 if n > 1 else 0}[select.by]
        case CumulativeSelection():
            return len(pool.parts)
        case RankSelection():
            return len(select.fractions or ()) + len(select.counts or ())


def choices(ablation: Ablation, pool: Pool, where: str, scores: Scores) -> Iterator[Choice]:
    """Yield every set of units that a selection asks for; names of random streams begin with `where`."""
    n, select = pool.n_units, ablation.select
    match select:
        case FractionSelection():
            for fraction in select.fractions:
                count = fraction_to_count(n, fraction, rounding=select.rounding)
                yield from _drawn(f"{fraction:g}", count, select.repeats, select.nested, where, pool)
        case CountSelection():
            for count in select.counts:
                _fits(count, n, f"{where}: `counts`")
                yield from _drawn(f"n{count}", count, select.repeats, select.nested, where, pool)
        case IndexSelection():
            if max(select.indices) >= n or len(set(select.indices)) != len(select.indices):
                raise PlanError(
                    f"{where}: `indices` must be distinct and below {n}, got {list(select.indices)}."
                )
            yield Choice("+".join(map(str, select.indices)), Chosen(select.indices))
        case PlainSelection():
            yield from _plain(select.by, pool)
        case CumulativeSelection():
            order = list(range(len(pool.parts)))[:: 1 if select.order == "forwards" else -1]
            for count in range(1, len(order) + 1):
                yield Choice(f"{select.order}-{count}", Whole(tuple(sorted(order[:count]))))
        case RankSelection():
            yield from _ranked(select, pool, where, scores)


def _drawn(label: str, count: int, repeats: int, nested: bool, where: str, pool: Pool) -> Iterator[Choice]:
    if count in (0, pool.n_units):  # nothing is left to chance
        repeats = 1
    for repeat in range(repeats):
        stream = f"{where}/{pool.unit}/{repeat}" if nested else f"{where}/{pool.unit}/{label}/{repeat}"
        yield Choice(f"{label}/{repeat}", Drawn(stream, count), repeat)


def _plain(by: str, pool: Pool) -> Iterator[Choice]:
    n = pool.n_units
    names = unit_names(pool)
    if pool.kind.acts_by == "readout":
        # What is removed when a layer is read out are the layers behind it.
        for i in range(n):
            yield Choice(f"each/{names(i)}", Whole(tuple(range(i + 1, n))))
    elif by == "all":
        yield Choice("all", Whole(tuple(range(len(pool.parts)))))
    elif by == "each":
        for i in range(n):
            yield Choice(f"each/{names(i)}", Chosen((i,)))
    elif by == "only":
        everything = range(n)
        for i in everything:
            yield Choice(f"only/{names(i)}", Chosen(tuple(j for j in everything if j != i)))
    else:
        for i, j in combinations(range(n), 2):
            yield Choice(f"pairs/{names(i)}+{names(j)}", Chosen((i, j)))


def unit_names(pool: Pool) -> Callable[[int], str]:
    """Return a function that names units by part and number: readable, and the same whatever else is in the pool."""
    starts = np.array(pool.starts)

    def name(unit: int) -> str:
        part = int(np.searchsorted(starts, unit, side="right")) - 1
        path = pool.parts[part].path
        return path if pool.kind.is_whole else f"{path}:{unit - starts[part]}"

    return name


def _ranked(select: RankSelection, pool: Pool, where: str, scores: Scores) -> Iterator[Choice]:
    missing = [part.path for part in pool.parts if (select.score, part.path) not in scores]
    if missing:
        raise PlanError(
            f"{where}: selecting by {select.score!r} needs a score for each unit of {', '.join(missing[:3])}"
            f"{', ...' if len(missing) > 3 else ''}. Pass `scores`, or plan with the model's weights at hand."
        )
    values = np.concatenate(
        [np.asarray(scores[select.score, part.path], dtype=np.float64) for part in pool.parts]
    )
    if values.shape != (pool.n_units,) or np.isnan(values).any():
        raise PlanError(
            f"{where}: `scores` must hold {pool.n_units} numbers, got shape {values.shape} or NaN."
        )
    order = np.argsort(-values if select.by == "top" else values, kind="stable")
    wanted = [(f"{f:g}", fraction_to_count(pool.n_units, f)) for f in select.fractions or ()]
    wanted += [(f"n{c}", c) for c in select.counts or ()]
    for label, count in wanted:
        _fits(count, pool.n_units, f"{where}: `counts`")
        chosen = Chosen(tuple(sorted(order[:count].tolist())))
        yield Choice(f"{select.by}-{select.score}/{label}", chosen)


def _fits(count: int, n: int, what: str) -> None:
    if count > n:
        raise PlanError(f"{what} must be at most {n}, the number of units, got {count}.")
