"""Sums over images as sparse matrices: times the weights of the images, they are the sums of all resamples at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import Ints

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["count_matrix"]


def count_matrix(
    rows: Ints, images: Ints, shape: tuple[int, int], values: NDArray[Any] | None = None
) -> csr_array[Any]:
    """Return a sparse (rows, images) matrix of counts, or of sums of `values`."""
    from scipy.sparse import csr_array  # on use: importing it takes a while

    data = np.ones(len(rows)) if values is None else values.astype(np.float64)
    return csr_array((data, (rows, images)), shape=shape)
