"""One table of two detectors, an image a row: what the second one loses and gains, worst first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from .._numbers import require_fraction
from .._plain import to_jsonable
from .._readable import Readable
from .._text import cut, quoted, visible
from ..data import DetectionsLike, GroundTruth, TruthLike, as_detections, checked_pair, require_threshold
from ..errors import SettingError
from ..matching import f1_of_counts
from ._counts import ERRORS, ImageCounts, image_counts

__all__ = ["ImageChange", "ImageChanges", "compare_images"]

ORDERS = ("errors", "f1")
SHOWN = 20
"""Images that are printed."""
NAME_SHOWN = 60


@dataclass(frozen=True)
class ImageChange:
    """What a second detector changes on an image.

    Attributes
    ----------
    image_id : int
    file_name : str
    n_truth : int
        True boxes that are to be found.
    errors_before, errors_after, change : int
        Misses and false positives of both detectors, and the difference: positive is worse.
    f1_before, f1_after : float
        NaN without truth and detections.
    lost, gained : int
        True boxes that only the first, and only the second detector finds.
    iou_change : float
        Mean change of IoU over the true boxes that both find; NaN if there are none.
    missed, of_wrong_class, badly_placed, wrong_class_and_place, duplicate, background : int
        Change of the number of errors of each kind, as TIDE tells them apart.
    worst_class : str
        Class of which most true boxes are lost; empty if none is.
    reason : str
        What got worse, in words.
    """

    image_id: int
    file_name: str
    n_truth: int
    errors_before: int
    errors_after: int
    change: int
    f1_before: float
    f1_after: float
    lost: int
    gained: int
    iou_change: float
    missed: int
    of_wrong_class: int
    badly_placed: int
    wrong_class_and_place: int
    duplicate: int
    background: int
    worst_class: str
    reason: str


@dataclass(frozen=True)
class ImageChanges(Readable):
    """All images that both detectors have seen, worst first.

    Attributes
    ----------
    rows : tuple of ImageChange
    iou_threshold : float
    score_thresholds : tuple of (float, float)
        Of the first and the second detector.
    n_left_out : int
        Images of the truth that one of the detectors has not seen.
    """

    rows: tuple[ImageChange, ...]
    iou_threshold: float
    score_thresholds: tuple[float, float]
    n_left_out: int

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ImageChange]:
        return iter(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def lines(self) -> list[str]:
        """Return the worst images and what got worse."""
        worse = sum(row.change > 0 for row in self.rows)
        better = sum(row.change < 0 for row in self.rows)
        left_out = f"; {self.n_left_out:,} not seen by both" if self.n_left_out else ""
        return [
            f"{len(self.rows):,} images: {worse:,} worse, {better:,} better{left_out}",
            *(
                f"{row.change:+5}  {cut(visible(row.file_name or str(row.image_id)), NAME_SHOWN)}: {row.reason}"
                for row in self.rows[:SHOWN]
                if row.reason
            ),
        ]

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as dicts."""
        return [asdict(row) for row in self.rows]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows ready for JSON; NaN becomes None."""
        found: list[dict[str, Any]] = to_jsonable(self.rows)
        return found


def compare_images(
    truth: TruthLike,
    before: DetectionsLike,
    after: DetectionsLike,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float | tuple[float, float] = 0.3,
    background: float = 0.1,
    order_by: str = "errors",
    check: bool = True,
) -> ImageChanges:
    """Compare two detectors image by image: which images got worse, and by what.

    Parameters
    ----------
    truth : GroundTruth
        The split.
    before, after : Detections
        Of images and categories that `truth` has; images that one of them has not seen are left out, and counted.
    iou_threshold : float
        Smallest IoU of a hit, in (0, 1].
    score_threshold : float or (float, float)
        Detections under this score are left out; of both detectors, or of each. `dissect_eval.matching.best_f1` finds
        that of each.
    background : float
        IoU under which a detection lies on the background, under `iou_threshold`: as in `error_types`.
    order_by : {"errors", "f1"}
        Whether the rows go by the change of misses and false positives, or by that of F1. Ties go by the change of IoU.
    check : bool
        Whether to look for mistakes that would score without an error, and warn; see `check_split`.

    Returns
    -------
    ImageChanges
        Hits, misses and false positives are those of `detection_metrics`; only the kinds of false positives are TIDE's.

    Raises
    ------
    SettingError
        If a setting is out of range.
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> boxes = [[0, 0, 10, 10], [50, 0, 60, 10]]
    >>> truth = GroundTruth.from_arrays([(boxes, [1, 1])] * 2, [7, 8], {1: "cat"}, file_names=["a.png", "b.png"])
    >>> good = Detections.from_arrays([(boxes, [0.9, 0.8], [0, 0])] * 2, [7, 8], [1])
    >>> one = ([[0, 0, 10, 10], [80, 0, 90, 10]], [0.9, 0.8], [0, 0])
    >>> bad = Detections.from_arrays([(boxes, [0.9, 0.8], [0, 0]), one], [7, 8], [1])
    >>> worst = compare_images(truth, good, bad)[0]
    >>> worst.file_name, worst.change, worst.reason
    ('b.png', 2, '1 more missed (cat), 1 more on the background')
    """
    thresholds = _settings(iou_threshold, score_threshold, background, order_by)
    pair = checked_pair(truth, before, check=check)
    given = pair.given, as_detections(after, pair.truth)
    seen = np.intersect1d(given[0].image_ids, given[1].image_ids)
    seen = np.intersect1d(seen, pair.truth.image_ids)
    part = pair.truth if len(seen) == pair.truth.n_images else pair.truth.subset(seen)
    counts = []
    for one, score in zip(given, thresholds, strict=True):
        aligned = one.aligned_to(pair.truth)
        aligned = aligned if part is pair.truth else aligned.subset(seen)
        require_threshold(score, aligned)
        counts.append(image_counts(part, aligned, iou_threshold, score, background))
    return ImageChanges(
        rows=_rows(part, counts[0], counts[1], order_by),
        iou_threshold=float(iou_threshold),
        score_thresholds=thresholds,
        n_left_out=pair.truth.n_images - part.n_images,
    )


def _settings(
    iou_threshold: float, score_threshold: Any, background: float, order_by: str
) -> tuple[float, float]:
    require_fraction(iou_threshold, "iou_threshold", "0.5")
    if not 0 < background < iou_threshold:
        raise SettingError(
            f"`background` must be above 0 and under `iou_threshold`, {iou_threshold}, got {background}. TIDE's is 0.1."
        )
    if order_by not in ORDERS:
        raise SettingError(f"`order_by` must be 'errors' or 'f1', got {quoted(order_by)}.")
    both = tuple(score_threshold) if isinstance(score_threshold, (tuple, list)) else (score_threshold,) * 2
    if len(both) != 2:
        raise SettingError(f"`score_threshold` must be one number or two, got {quoted(score_threshold)}.")
    return both[0], both[1]


def _rows(
    truth: GroundTruth, before: ImageCounts, after: ImageCounts, order_by: str
) -> tuple[ImageChange, ...]:
    image, counted = truth.image_index, ~truth.is_region
    n_truth = np.bincount(image[counted], minlength=truth.n_images)
    f1 = [f1_of_counts(c.hits, c.errors[:, 1:].sum(axis=1), c.errors[:, 0]) for c in (before, after)]
    errors = [c.errors.sum(axis=1) for c in (before, after)]
    kinds = after.errors - before.errors
    was, now = ~np.isnan(before.iou), ~np.isnan(after.iou)
    both = was & now
    n_both = np.bincount(image[both], minlength=truth.n_images)
    moved = np.bincount(image[both], (after.iou - before.iou)[both], truth.n_images)
    iou_change = np.divide(moved, n_both, out=np.full(truth.n_images, np.nan), where=n_both > 0)
    worst = _most_lost(truth, was & ~now)
    change = errors[1] - errors[0]
    first = (
        -change.astype(np.float64) if order_by == "errors" else np.nan_to_num(f1[1]) - np.nan_to_num(f1[0])
    )
    order = np.lexsort([truth.image_ids, np.nan_to_num(iou_change), first])
    columns: list[NDArray[Any]] = [
        truth.image_ids,
        np.array(truth.file_names, dtype=object),
        n_truth,
        *errors,
        change,
        *f1,
        np.bincount(image[was & ~now], minlength=truth.n_images),
        np.bincount(image[now & ~was], minlength=truth.n_images),
        iou_change,
        *kinds.T,
        worst,
        _reasons(kinds, iou_change, worst),
    ]
    return tuple(
        ImageChange(*row) for row in zip(*(column[order].tolist() for column in columns), strict=True)
    )


def _most_lost(truth: GroundTruth, lost: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Return for each image the name of the class of which most true boxes are lost, the first of several."""
    ids = np.array(list(truth.category_names), dtype=np.int64)
    key = truth.image_index[lost] * len(ids) + np.searchsorted(ids, truth.category_ids[lost])
    found, number = np.unique(key, return_counts=True)
    order = np.lexsort([-found, number])  # the most come last, and stay
    names: NDArray[np.object_] = np.full(truth.n_images, "", dtype=object)
    of_class = np.array(list(truth.category_names.values()), dtype=object)
    names[found[order] // len(ids)] = of_class[found[order] % len(ids)]
    return names


def _reasons(kinds: Ints, iou_change: NDArray[np.float64], worst: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return what got worse in each image, in words; empty where nothing did."""
    words = list(ERRORS.values())
    reasons: NDArray[np.object_] = np.full(len(kinds), "", dtype=object)
    at = np.flatnonzero((kinds > 0).any(axis=1) | (iou_change < 0) | (worst != ""))
    for i, row, moved, name in zip(
        at.tolist(), kinds[at].tolist(), iou_change[at].tolist(), worst[at].tolist(), strict=True
    ):
        parts = [
            f"{n} more {word}" + (f" ({name})" if k == 0 and name else "")
            for k, (n, word) in enumerate(zip(row, words, strict=True))
            if n > 0
        ]
        if name and row[0] <= 0:
            parts.append(f"others missed ({name})")
        if moved < 0:
            parts.append(f"IoU {moved:.3f}")
        reasons[i] = ", ".join(parts)
    return reasons
