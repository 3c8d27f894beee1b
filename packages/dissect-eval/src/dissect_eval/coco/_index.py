"""Ground truth sorted and counted for COCO matching: made once for a truth, used for all its detections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, canonical_order
from ..data import GroundTruth
from ._mask_overlap import order_of, truth_masks
from ._settings import DEFAULT, CocoSettings

__all__ = ["TieBreak", "TruthIndex", "corners_of", "index_of"]

TieBreak = Literal["canonical", "input"]
"""Order of detections with equal scores: by category and coordinates, or as in the input."""

MAX_TABLE = 1_000_000
"""Category ids up to this one are looked up in a table."""


@dataclass(frozen=True, eq=False)
class TruthIndex:
    """The boxes of a truth, grouped by image and category.

    Attributes
    ----------
    categories : ndarray of int64, shape (K,)
        Ids of all categories, ascending.
    rows : ndarray of int64, shape (N,)
        Rows of the truth in the order of all further arrays: by image, category, then tie-break.
    group : ndarray of int64, shape (N,)
        ``image index * K + category index``, ascending.
    corners : ndarray of float64, shape (4, N)
        ``x_min, y_min, x_max, y_max``.
    box_area : ndarray of float64, shape (N,)
        Width × height as the file gives them.
    crowd : ndarray of bool, shape (N,)
        Regions that any number of detections may lie in.
    ignored : ndarray of bool, shape (A, N)
        Per area range: not to be found.
    n_counted : ndarray of int64, shape (A, K)
        Boxes to be found, per area range and category.
    areas : ndarray of float64, shape (A, 2)
        The ranges of area, both ends included.
    image_sizes : ndarray of float64, shape (I, 2)
        Width and height of the images, NaN where unknown.
    masks : ndarray of dict, shape (N,), or None
        Masks as compressed run lengths; None if boxes are scored.
    """

    categories: Ints
    rows: Ints
    group: Ints
    corners: NDArray[np.float64]
    box_area: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    n_counted: Ints
    areas: NDArray[np.float64]
    image_sizes: NDArray[np.float64]
    masks: NDArray[np.object_] | None = None

    @property
    def category(self) -> Ints:
        """Index of each box's category, shape (N,)."""
        return self.group % max(len(self.categories), 1)

    @property
    def image(self) -> Ints:
        """Index of each box's image, shape (N,)."""
        return self.group // max(len(self.categories), 1)

    def category_of(self, category_ids: Ints) -> Ints:
        """Return the index of each category id, for small ids by a table: several times faster than a search."""
        if not len(self.categories) or self.categories[0] < 0 or self.categories[-1] > MAX_TABLE:
            return np.searchsorted(self.categories, category_ids)
        table = np.zeros(int(self.categories[-1]) + 1, dtype=np.int64)
        table[self.categories] = np.arange(len(self.categories))
        return table[category_ids]


_CACHE: WeakKeyDictionary[GroundTruth, dict[tuple[object, ...], TruthIndex]] = WeakKeyDictionary()


def index_of(truth: GroundTruth, tie_break: TieBreak, settings: CocoSettings = DEFAULT) -> TruthIndex:
    """Return the index of a truth, kept as long as the truth lives: it is immutable."""
    kept, key = _CACHE.setdefault(truth, {}), (tie_break, settings.area_ranges, settings.iou_type)
    if key not in kept:
        kept[key] = _build(truth, tie_break, settings)
    return kept[key]


def _build(truth: GroundTruth, tie_break: TieBreak, settings: CocoSettings) -> TruthIndex:
    masks = truth_masks(truth) if settings.iou_type == "segm" else None
    categories = np.array(list(truth.category_names), dtype=np.int64)
    of_box = np.searchsorted(categories, truth.category_ids)
    if tie_break == "canonical":
        start = canonical_order(truth.image_index, truth.category_ids, truth.boxes, last=order_of(masks))
    else:
        start = np.arange(truth.n_boxes)
    group = truth.image_index * len(categories) + of_box
    rows = start[np.argsort(group[start], kind="stable")]
    area, region = truth.area[rows], truth.is_region[rows]
    low, high = settings.areas.T[:, :, None]
    ignored = region | (area < low) | (area > high)
    k = of_box[rows]
    corners, box_area = corners_of(truth.boxes[rows], truth.sizes[rows])
    return TruthIndex(
        categories=categories,
        rows=rows,
        group=group[rows],
        corners=corners,
        box_area=box_area,
        crowd=region,
        ignored=ignored,
        n_counted=np.array([np.bincount(k[~skip], minlength=len(categories)) for skip in ignored]),
        areas=settings.areas,
        image_sizes=truth.image_sizes,
        masks=None if masks is None else masks[rows],
    )


def corners_of(
    boxes: NDArray[np.float64], sizes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return corners, shape (4, n), and areas from upper left corner and size, as COCO's results give them.

    Whatever the format of the input, they are computed from x, y, width and height: so exported results score the same.
    """
    upper_left = boxes[:, :2].T
    return np.concatenate([upper_left, upper_left + sizes.T]), sizes[:, 0] * sizes[:, 1]
