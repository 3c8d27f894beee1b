"""What a detector finds in an image."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ImageDetections"]


class ImageDetections(NamedTuple):
    """What a detector found in one image.

    Attributes
    ----------
    boxes : ndarray of float64, shape (n, 4)
        ``x_min, y_min, x_max, y_max`` in pixels of the original image.
    scores : ndarray of float64, shape (n,)
        Confidence in [0, 1].
    labels : ndarray of int64, shape (n,)
        Contiguous class index, into the detector's `class_names`.
    queries : ndarray of int64, shape (n,), optional
        Number of the object query that gave each detection, from 0; None for detectors without object queries.

    Examples
    --------
    >>> found = ImageDetections(np.array([[0.0, 0.0, 8.0, 6.0]]), np.array([0.9]), np.array([2]))
    >>> found.boxes.shape, found.labels.tolist()
    ((1, 4), [2])
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    queries: NDArray[np.int64] | None = None

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the fields that are not None, by name."""
        return {name: part for name, part in zip(self._fields, self, strict=True) if part is not None}
