"""Interventions: what is put in the place of masked values. Arrays in, arrays out.

Each one is a frozen spec with a `kind`, so a study file names it and a discriminated union reads it back.
"""

from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from .errors import InterventionError
from .masks import Mask, check_mask


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Zero(_Spec):
    """Put 0 in the place of every masked value.

    Examples
    --------
    >>> intervene(np.array([1.0, 2.0]), np.array([True, False]), Zero())
    array([0., 2.])
    """

    kind: Literal["zero"] = "zero"


class Constant(_Spec):
    """Put one given value in the place of every masked value.

    Examples
    --------
    >>> intervene(np.array([1.0, 2.0]), np.array([True, False]), Constant(value=0.5))
    array([0.5, 2. ])
    """

    kind: Literal["constant"] = "constant"
    value: FiniteFloat = Field(description="The value, in the unit of the weights.")


class Mean(_Spec):
    """Put the mean of the whole component, masked values included, in the place of every masked value.

    Examples
    --------
    >>> intervene(np.array([1.0, 2.0]), np.array([True, False]), Mean())
    array([1.5, 2. ])
    """

    kind: Literal["mean"] = "mean"


Intervention: TypeAlias = Annotated[Zero | Constant | Mean, Field(discriminator="kind")]


def replacement_values(array: NDArray[Any], mask: Mask, intervention: Intervention) -> NDArray[Any]:
    """Values that an intervention puts in the place of the masked ones.

    Parameters
    ----------
    array : ndarray
        The component's values: floating point, or integers that the replacement must fit.
    mask : ndarray of bool
        Of the array's shape, True where ablated.
    intervention : Zero, Constant or Mean
        What to put there. Means are taken in double precision.

    Returns
    -------
    ndarray, shape (number of True in the mask,)
        In C order and of the array's dtype.

    Raises
    ------
    MaskError
        If the mask does not fit the array.
    InterventionError
        If the dtype cannot hold the value: beyond its range, or a fraction among integers.

    Examples
    --------
    >>> replacement_values(np.array([1.0, 2.0, 6.0]), np.array([True, False, True]), Mean())
    array([3., 3.])
    """
    n_masked = int(np.count_nonzero(check_mask("array", mask, array.shape)))
    if n_masked == 0:
        return np.empty(0, dtype=array.dtype)
    value: float | complex
    match intervention:
        case Zero():
            value = 0.0
        case Constant():
            value = intervention.value
        case Mean():
            value = array.mean(dtype=np.result_type(array.dtype, np.float64)).item()
    return np.full(n_masked, _cast(value, array.dtype, intervention.kind), dtype=array.dtype)


def intervene(array: NDArray[Any], mask: Mask, intervention: Intervention) -> NDArray[Any]:
    """Copy an array with its masked values replaced.

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
    values = replacement_values(array, mask, intervention)
    changed = np.array(array)
    changed[mask] = values
    return changed


def _cast(value: float | complex, dtype: np.dtype[Any], kind: str) -> Any:
    with np.errstate(over="ignore", invalid="ignore"):
        held = np.asarray(value).astype(dtype)
    exact_needed = dtype.kind not in "fc"
    if not np.isfinite(held) or (exact_needed and held != value):
        raise InterventionError(
            f"The intervention {kind!r} puts in {value:g}, which values of {dtype} cannot hold. "
            "Choose another intervention, or leave this component out."
        )
    return held
