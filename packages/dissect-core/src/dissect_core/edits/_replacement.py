"""Replacing masked values by what an intervention says. Arrays in, arrays out."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..anatomy import Mask, shape_units
from ..errors import InterventionError
from ._drawing import gaussian
from ._interventions import Constant, Intervention, Mean, Noise, Quantize, Scale, Shuffle, Zero
from ._masks import check_mask


def replacement_values(
    array: NDArray[Any], mask: Mask, intervention: Intervention, *, rng: np.random.Generator | None = None
) -> NDArray[Any]:
    """Return the values that an intervention puts in the place of the masked ones.

    Parameters
    ----------
    array : ndarray
        The component's values: floating point, or integers that the replacement must fit.
    mask : ndarray of bool
        Mask of the array's shape, True where ablated.
    intervention : Zero, Constant, Mean, Shuffle, Noise, Scale or Quantize
        What to put there. Means and deviations are taken in double precision.
    rng : numpy.random.Generator, optional
        As `variant_rng` makes it; only `Shuffle` and `Noise` need one.

    Returns
    -------
    ndarray, shape (number of True in the mask,)
        In C order and of the array's dtype.

    Raises
    ------
    MaskError
        If the mask does not fit the array.
    InterventionError
        If the dtype cannot hold a value: beyond its range, or a fraction among integers; if a random
        intervention has no `rng`, or the component has no rows or columns to take means over.

    Examples
    --------
    >>> replacement_values(np.array([1.0, 2.0, 6.0]), np.array([True, False, True]), Mean())
    array([3., 3.])
    """
    n_masked = int(np.count_nonzero(check_mask("array", mask, array.shape)))
    if n_masked == 0:
        return np.empty(0, dtype=array.dtype)
    if isinstance(intervention, (Shuffle, Noise)) and rng is None:
        raise InterventionError(
            f"The intervention {intervention.kind!r} is random: pass `rng`, for instance variant_rng(0, 'my variant')."
        )
    # Complex values keep their imaginary part.
    wide = array.astype(np.result_type(array.dtype, np.float64))
    return _cast(_values(wide, mask, intervention, rng), array.dtype, intervention.kind)


def _values(
    wide: NDArray[Any], mask: Mask, intervention: Intervention, rng: np.random.Generator | None
) -> NDArray[Any]:
    """Return the new values in double precision."""
    old: NDArray[Any] = wide[mask]
    n = len(old)
    match intervention:
        case Zero():
            return np.zeros(n)
        case Constant():
            return np.full(n, intervention.value)
        case Scale():
            scaled: NDArray[Any] = old * intervention.factor
            return scaled
        case Mean():
            means: NDArray[Any] = np.broadcast_to(_mean(wide, intervention.over), wide.shape)[mask]
            return means
        case Shuffle():
            assert rng is not None  # checked by the caller
            order = np.argsort(np.asarray(rng.bit_generator.random_raw(n)), kind="stable")
            shuffled: NDArray[Any] = old[order]
            return shuffled
        case Quantize():
            largest = float(np.abs(wide).max())
            step = largest / (2 ** (intervention.bits - 1) - 1)
            rounded: NDArray[Any] = np.round(old / step) * step if step > 0 else old
            return rounded
        case Noise():
            assert rng is not None  # checked by the caller
            noise = gaussian(rng, n)
            if intervention.snr_db is None:
                drawn: NDArray[Any] = wide.mean() + wide.std() * noise
                return drawn
            power = float((np.abs(wide) ** 2).mean())
            added: NDArray[Any] = old + np.sqrt(power / 10 ** (intervention.snr_db / 10)) * noise
            return added


def _mean(wide: NDArray[Any], over: Literal["component", "row", "column"]) -> NDArray[Any]:
    axis = shape_units(over).axis
    if axis is None:
        return np.asarray(wide.mean())
    if wide.ndim <= axis:
        raise InterventionError(
            f"The mean over each {over} needs a component of {axis + 1} or more dimensions, got the shape "
            f"{wide.shape}. Take the mean over the component."
        )
    others = tuple(i for i in range(wide.ndim) if i != axis)
    mean: NDArray[Any] = wide.mean(axis=others, keepdims=True)
    return mean


def intervene(
    array: NDArray[Any], mask: Mask, intervention: Intervention, *, rng: np.random.Generator | None = None
) -> NDArray[Any]:
    """Return a copy of an array with its masked values replaced.

    Parameters and errors are those of `replacement_values`.

    Returns
    -------
    ndarray
        A new array of the same shape and dtype; equal to `array` wherever the mask is False.

    Examples
    --------
    >>> from dissect_core import row_mask
    >>> intervene(np.ones((2, 2)), row_mask((2, 2), [0]), Zero())
    array([[0., 0.],
           [1., 1.]])
    """
    values = replacement_values(array, mask, intervention, rng=rng)
    changed = np.array(array)
    changed[mask] = values
    return changed


def _cast(values: NDArray[Any], dtype: np.dtype[Any], kind: str) -> NDArray[Any]:
    with np.errstate(over="ignore", invalid="ignore"):
        held = values.astype(dtype)
    exact_needed = dtype.kind not in "fc"
    wrong = ~np.isfinite(held) | (held != values if exact_needed else False)
    if wrong.any():
        raise InterventionError(
            f"The intervention {kind!r} puts in {values[wrong][0]:g}, which values of {dtype} cannot hold. "
            "Choose another intervention, or leave this component out."
        )
    return held
