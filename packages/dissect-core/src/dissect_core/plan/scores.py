"""Scores of units by their weights, for selections by ``top`` and ``bottom``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..anatomy.anatomy import Anatomy
from ..anatomy.groups import UnitSlice
from ..errors import PlanError
from ..spec import StudySpec
from .places import ablation_pool
from .pool import Place, Pool

__all__ = ["scores_needed", "unit_sums", "weight_norms"]

Floats = NDArray[np.float64]


def scores_needed(spec: StudySpec) -> tuple[str, ...]:
    """Names of the scores that a study selects by."""
    names = (getattr(ablation.select, "score", None) for ablation in spec.ablations)
    return tuple(sorted({name for name in names if name is not None}))


def weight_norms(
    spec: StudySpec, anatomy: Anatomy, arrays: Mapping[str, NDArray[Any]]
) -> dict[tuple[str, str], Floats]:
    """L2 norm of the weights of every unit that a study ranks by ``weight_norm``.

    Parameters
    ----------
    spec : StudySpec
    anatomy : Anatomy
    arrays : mapping of str to ndarray
        The model's parameters by name.

    Returns
    -------
    dict of (score, path) to ndarray of float64, shape (n_units,)
        To be passed to `plan` as `scores`.

    Raises
    ------
    PlanError
        If a parameter is missing from `arrays`, or two ablations give one place different units.

    References
    ----------
    Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv:1608.08710 (there the L1 norm).
    """
    found: dict[tuple[str, str], Floats] = {}
    seen: dict[str, tuple[Pool, Place]] = {}
    for ablation in spec.ablations:
        if getattr(ablation.select, "score", None) != "weight_norm":
            continue
        pool = ablation_pool(ablation, anatomy)
        for place in pool.places:
            known = seen.setdefault(place.path, (pool, place))
            if (known[0].unit, known[0].segments_per_row, known[1]) != (
                pool.unit,
                pool.segments_per_row,
                place,
            ):
                raise PlanError(
                    f"{ablation.name}: {place.path!r} must have the same units wherever it is ranked by "
                    f"'weight_norm' in a study, got {known[0].unit}s and {pool.unit}s, or other parts of them. "
                    "Make two studies of it."
                )
            found["weight_norm", place.path] = np.sqrt(unit_sums(pool, place, arrays, np.square))
    return found


def unit_sums(pool: Pool, place: Place, arrays: Mapping[str, NDArray[Any]], of: Any) -> Floats:
    """Sum a function of the weights over what each unit of a place owns, shape (n_units,)."""
    total = np.zeros(place.n_units)
    slices = place.group.slices if place.group else ()
    for where in slices:
        total += _slice_sums(where, place.n_units, of(_array(arrays, where.parameter).astype(np.float64)))
    for component in place.components:
        values = of(_array(arrays, component.name).astype(np.float64))
        if pool.unit == "column":
            values = np.moveaxis(values, 1, 0)
        total += values.reshape(place.n_units, -1).sum(axis=1)
    return total


def _slice_sums(where: UnitSlice, n_units: int, values: Floats) -> Floats:
    others = tuple(i for i in range(values.ndim) if i != where.axis)
    along = values.sum(axis=others)
    sums = np.zeros(n_units)
    for repeat in range(where.repeats):
        begin = where.start + repeat * where.period
        begins = begin + np.arange(n_units) * (where.step or where.width)
        sums += along[begins[:, None] + np.arange(where.width)].sum(axis=1)
    return sums


def _array(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in arrays:
        raise PlanError(f"`arrays` must hold the parameter {name!r}, which is scored, but lacks it.")
    return arrays[name]
