"""The confusion matrix of detection: which category is taken for which, background included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, canonical_order, ratio
from .._numbers import require_fraction
from .._plain import as_record
from .._readable import Readable
from .._text import visible
from ..boxes import area_of
from ..data import DetectionsLike, TruthLike, checked_pair, require_threshold
from ..errors import SettingError
from ._greedy import TOLERANCE
from ._pairs import BoxesByImage, near_pairs, take_free

__all__ = ["ConfusionMatrix", "confusion_matrix"]

Normalize = Literal["truth", "predicted"]


@dataclass(frozen=True, eq=False)
class ConfusionMatrix(Readable):
    """Counts of true against predicted category, for C categories and background.

    Attributes
    ----------
    counts : ndarray of int64, shape (C + 1, C + 1)
        Rows are true, columns predicted. The last column holds truth that no detection covers, the last row
        detections that cover no truth. The last entry is 0: background without a detection is not counted. Read-only.
    category_ids : tuple of int, length C
        Categories of the rows and columns, ascending.
    names : tuple of str, length C
        Names of the categories.
    iou_threshold, score_threshold : float
        The settings.
    n_excused, n_below_score, n_dropped : int
        Detections in a crowd or ignored region, under the score cut, and dropped on loading.
    """

    counts: Ints
    category_ids: tuple[int, ...]
    names: tuple[str, ...]
    iou_threshold: float
    score_threshold: float
    n_excused: int
    n_below_score: int
    n_dropped: int

    def lines(self) -> list[str]:
        """Return what is confused most, and what is left out."""
        n = len(self.names)
        names = [*self.names, "background"]
        found = int(self.counts.diagonal()[:n].sum())
        lines = [
            f"{int(self.counts[:n].sum()):,} objects at IoU {self.iou_threshold:g}, score {self.score_threshold:g}: "
            f"{found:,} found as what they are"
        ]
        off = self.counts.copy()
        np.fill_diagonal(off, 0)
        for flat in np.argsort(-off, axis=None, kind="stable")[:10]:
            true, predicted = divmod(int(flat), n + 1)
            if off[true, predicted]:
                lines.append(
                    f"{off[true, predicted]:8,}  {visible(names[true])} taken for {visible(names[predicted])}"
                )
        return lines

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each true category, and for background, with a column for each predicted one."""
        names = [*self.names, "background"]
        return [
            {"truth": name, **dict(zip(names, row, strict=True))}
            for name, row in zip(names, self.counts.tolist(), strict=True)
        ]

    def normalized(self, by: Normalize | None) -> NDArray[np.float64]:
        """Return the matrix as shares.

        Parameters
        ----------
        by : {"truth", "predicted"} or None
            "truth" divides each row by its sum: the diagonal is recall. "predicted" divides each column: the
            diagonal is precision. None gives the counts.

        Returns
        -------
        ndarray of float64, shape (C + 1, C + 1)
            NaN in a row or column without counts.

        Raises
        ------
        SettingError
            If `by` is none of these.
        """
        if by is None:
            return self.counts.astype(np.float64)
        if by not in ("truth", "predicted"):
            raise SettingError(f"`by` must be 'truth', 'predicted' or None, got {by!r}.")
        return ratio(self.counts, self.counts.sum(axis=1 if by == "truth" else 0, keepdims=True))

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON."""
        return as_record(self)


def confusion_matrix(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.3,
    check: bool = True,
) -> ConfusionMatrix:
    """Count true against predicted categories, with boxes matched whatever their category.

    Best score first, each detection takes the free true box of the highest IoU at or above the threshold;
    category plays no part, except that among equal IoUs a box of the detection's category is taken first.
    A correct detection may thus find its box taken by a wrong one of a better score, and then counts as
    background. The order of the detections plays no part: tied scores go by category and coordinates.

    Crowd and ignored truth is in no row. A detection that takes no true box is excused, and in no column, if
    such a region, of any category, covers `iou_threshold` of its own area: what the region holds is not known.

    Parameters
    ----------
    truth : GroundTruth
        The split.
    detections : Detections
        Of images and categories that `truth` has; images not run have none.
    iou_threshold : float
        Smallest IoU of a match, in (0, 1]; equal counts (within 1e-10).
    score_threshold : float
        Detections under this score are left out, and counted.
    check : bool
        Whether to look for mistakes that would score without an error, such as x, y, width, height as corners, or
        shifted labels, and warn; see `check_split`.

    Returns
    -------
    ConfusionMatrix

    Warns
    -----
    SplitWarning
        If `check` finds such a sign; once for the same truth and detections.

    Raises
    ------
    SettingError
        If a threshold is out of range.
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Notes
    -----
    The diagonal can be less than the true positives of `detection_metrics`, where only boxes of one category
    compete with each other.

    References
    ----------
    Matching by IoU alone as in the confusion matrix of YOLOv5 (Ultralytics), but in order of score, as in COCO,
    not of IoU.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1}],
    ...         "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    ...         "annotations": [
    ...             {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]},
    ...             {"id": 2, "image_id": 1, "category_id": 2, "bbox": [20, 0, 10, 10]},
    ...         ],
    ...     }
    ... )
    >>> boxes = [[0, 0, 10, 9], [20, 0, 30, 10], [50, 50, 60, 60]]
    >>> found = Detections.from_arrays([(boxes, [0.9, 0.8, 0.7], [0, 0, 1])], [1], [1, 2])
    >>> result = confusion_matrix(truth, found)
    >>> result.counts
    array([[1, 0, 0],
           [1, 0, 0],
           [0, 1, 0]])
    >>> result.normalized("predicted")[1]
    array([0.5, 0. , nan])
    """
    require_fraction(iou_threshold, "iou_threshold", "0.5")
    truth, _, aligned, _ = checked_pair(truth, detections, check=check)
    require_threshold(score_threshold, aligned)
    seen = aligned.above(score_threshold)
    t_order = canonical_order(truth.image_index, truth.category_ids, truth.boxes)
    d_order = canonical_order(seen.image_index, seen.category_ids, seen.boxes, seen.scores)
    categories = np.array(list(truth.category_names), dtype=np.int64)
    n = len(categories)
    true = np.searchsorted(categories, truth.category_ids[t_order])
    predicted = np.searchsorted(categories, seen.category_ids[d_order])
    boxes, d_boxes, region = truth.boxes[t_order], seen.boxes[d_order], truth.is_region[t_order]
    near = near_pairs(
        BoxesByImage(boxes, area_of(boxes), truth.image_splits),
        region,
        BoxesByImage(d_boxes, area_of(d_boxes), seen.image_splits),
        iou_threshold - TOLERANCE,
    )
    in_region = region[near.truth]
    excused = np.zeros(len(predicted), dtype=np.bool_)
    excused[near.detection[in_region]] = True
    near = near.where(~in_region)
    other = true[near.truth] != predicted[near.detection]
    matched = take_free(near, np.lexsort([near.truth, other, -near.overlap, near.detection]))
    excused[matched.detection] = False

    counts = np.zeros((n + 1, n + 1), dtype=np.int64)
    np.add.at(counts, (true[matched.truth], predicted[matched.detection]), 1)
    counts[:n, n] = np.bincount(true[~region], minlength=n) - counts[:n].sum(axis=1)
    counts[n, :n] = np.bincount(predicted[~excused], minlength=n) - counts[:, :n].sum(axis=0)
    counts.setflags(write=False)
    return ConfusionMatrix(
        counts=counts,
        category_ids=tuple(categories.tolist()),
        names=tuple(truth.category_names.values()),
        iou_threshold=float(iou_threshold),
        score_threshold=float(score_threshold),
        n_excused=int(excused.sum()),
        n_below_score=aligned.n_boxes - seen.n_boxes,
        n_dropped=aligned.n_dropped,
    )
