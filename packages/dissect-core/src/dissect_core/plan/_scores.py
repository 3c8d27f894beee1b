"""Measurements that a plan needs: scores of units, and the images over which activations are averaged."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..anatomy import Anatomy, UnitSlice, shape_units
from ..edits import sample_units, variant_rng
from ..errors import PlanError
from ..spec import StudySpec
from ._pool import Pool, PoolPart
from ._resolve import ablation_pool

__all__ = ["reference_images", "scores_needed", "unit_sums", "weight_norms"]

Floats = NDArray[np.float64]


def scores_needed(spec: StudySpec) -> tuple[str, ...]:
    """Return the names of the scores that a study selects by."""
    names = (getattr(ablation.select, "score", None) for ablation in spec.ablations)
    return tuple(sorted({name for name in names if name is not None}))


def reference_images(spec: StudySpec, n_images: int) -> NDArray[np.int64]:
    """Draw a study's reference images: the same ones on every machine.

    Parameters
    ----------
    spec : StudySpec
        Its `reference` says how many, its `seed` which.
    n_images : int
        Images that the study runs over.

    Returns
    -------
    ndarray of int64
        Their numbers, ascending; all of them if there are no more than asked for.

    Examples
    --------
    >>> from dissect_core.spec import load_spec
    >>> heads = {"name": "a", "target": {"unit": "head", "components": "*"}, "select": {"by": "each"}}
    >>> spec = load_spec({"name": "heads", "reference": {"images": 3}, "ablations": [heads]})
    >>> reference_images(spec, 100).tolist(), reference_images(spec, 2).tolist()
    ([16, 20, 81], [0, 1])
    """
    rng = variant_rng(spec.seed, "reference")
    return sample_units(n_images, rng, count=min(spec.reference.images, n_images))


def weight_norms(
    spec: StudySpec, anatomy: Anatomy, arrays: Mapping[str, NDArray[Any]]
) -> dict[tuple[str, str], Floats]:
    """Return the L2 norm of the weights of every unit that a study ranks by ``weight_norm``.

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
        If a parameter is missing from `arrays`, or two ablations give one part different units.

    References
    ----------
    Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv:1608.08710 (there the L1 norm).
    """
    found: dict[tuple[str, str], Floats] = {}
    seen: dict[str, tuple[Pool, PoolPart]] = {}
    for ablation in spec.ablations:
        if getattr(ablation.select, "score", None) != "weight_norm":
            continue
        pool = ablation_pool(ablation, anatomy)
        for part in pool.parts:
            known = seen.setdefault(part.path, (pool, part))
            if (known[0].unit, known[0].segments_per_row, known[1]) != (
                pool.unit,
                pool.segments_per_row,
                part,
            ):
                raise PlanError(
                    f"{ablation.name}: {part.path!r} must have the same units wherever it is ranked by "
                    f"'weight_norm' in a study, got {known[0].kind.plural} and {pool.kind.plural}, or other parts of "
                    "them. Make two studies of it."
                )
            found["weight_norm", part.path] = np.sqrt(unit_sums(pool, part, arrays, np.square))
    return found


def unit_sums(pool: Pool, part: PoolPart, arrays: Mapping[str, NDArray[Any]], of: Any) -> Floats:
    """Return the sum of `of` over the weights that each unit of a part owns, shape (n_units,)."""
    total = np.zeros(part.n_units)
    slices = part.group.slices if part.group else ()
    for where in slices:
        total += _slice_sums(where, part.n_units, of(_array(arrays, where.parameter).astype(np.float64)))
    for component in part.components:
        values = of(_array(arrays, component.name).astype(np.float64))
        axis = shape_units(pool.unit).axis
        if axis is not None:
            values = np.moveaxis(values, axis, 0)
        total += values.reshape(part.n_units, -1).sum(axis=1)
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
