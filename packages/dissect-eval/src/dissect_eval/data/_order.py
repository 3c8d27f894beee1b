"""An order of boxes that depends on what they are, not on how a file happens to list them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._ragged import Ints

__all__ = ["canonical_order"]


def canonical_order(
    image_index: Ints,
    category_ids: Ints,
    boxes: NDArray[np.float64],
    scores: NDArray[np.float64] | None = None,
) -> Ints:
    """Return the rows ordered by image, falling score, category, then x_min, y_min, x_max and y_max.

    Rows that agree in all of these are interchangeable, so whatever walks through this order gives the same
    result for any order of the input. The rows of an image stay together.
    """
    keys = [*boxes.T[::-1], category_ids]
    if scores is not None:
        keys.append(-scores)
    return np.lexsort([*keys, image_index]).astype(np.int64, copy=False)
