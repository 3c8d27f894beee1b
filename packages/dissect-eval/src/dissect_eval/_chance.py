"""What boxes drawn at random reach in `matched` mode: the floor under a mean GIoU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._json import as_record
from ._matching import _match
from ._ragged import Ints, splits_of
from ._truth import GroundTruth
from .errors import SettingError

__all__ = ["ChanceLevel", "chance_level"]


@dataclass(frozen=True)
class ChanceLevel:
    """Matched mean GIoU of random boxes.

    Attributes
    ----------
    mean_giou : float
        Mean over the repeats; NaN if no image has both truth and boxes.
    per_repeat : tuple of float
        One mean GIoU per repeat.
    n_boxes_mean : float
        Mean number of random boxes per image.
    seed : int
        Seed of the draw.
    undefined : str or None
        Why `mean_giou` is NaN.
    """

    mean_giou: float
    per_repeat: tuple[float, ...]
    n_boxes_mean: float
    seed: int
    undefined: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)


def chance_level(truth: GroundTruth, n_per_image: ArrayLike, seed: int = 0, repeats: int = 3) -> ChanceLevel:
    """Return the matched mean GIoU of random boxes, as many per image as a detector gives.

    The more boxes a detector emits, the better the best of them fits whatever is there: 300 random boxes per
    image reach a mean GIoU of about .25 on COCO. A matched GIoU says something only above this level.

    Parameters
    ----------
    truth : GroundTruth
        The split. An image of unknown size counts as large as its true boxes reach.
    n_per_image : int or array-like of int, shape (I,)
        Number of boxes on every image, or on each in the order of ``truth.image_ids``.
    seed : int
        Seed of the draw; repeat r uses the stream ``(seed, r)``.
    repeats : int
        How often to draw, at least 1.

    Returns
    -------
    ChanceLevel

    Raises
    ------
    SettingError
        If a count is negative, there are not as many as images, or `repeats` is not positive.

    Notes
    -----
    A box is spanned by two points drawn uniformly from the image.

    Examples
    --------
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1, "width": 100, "height": 100}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 20, 50, 60]}],
    ...     }
    ... )
    >>> few, many = (chance_level(truth, n).mean_giou for n in (1, 1000))
    >>> few < 0.5 < many
    True
    """
    if repeats < 1 or seed < 0:
        raise SettingError(f"`repeats` must be >= 1 and `seed` >= 0, got {repeats} and {seed}.")
    counts = np.asarray(n_per_image, dtype=np.int64)
    counts = np.broadcast_to(counts, (truth.n_images,)) if counts.ndim == 0 else counts
    if counts.shape != (truth.n_images,) or (counts < 0).any():
        raise SettingError(
            f"`n_per_image` must be one count >= 0, or {truth.n_images} of them (one per image), "
            f"got shape {counts.shape}. Take them from `np.diff(detections.aligned_to(truth).image_splits)`."
        )
    means = tuple(_one_draw(truth, counts, np.random.default_rng([seed, r])) for r in range(repeats))
    undefined = "no image has both truth and boxes" if np.isnan(means[0]) else None
    return ChanceLevel(
        mean_giou=float(np.mean(means)),
        per_repeat=means,
        n_boxes_mean=float(counts.mean()) if len(counts) else 0.0,
        seed=int(seed),
        undefined=undefined,
    )


def _one_draw(truth: GroundTruth, counts: Ints, rng: np.random.Generator) -> float:
    splits = splits_of(counts)
    points = rng.random((int(splits[-1]), 2, 2))
    points.sort(axis=1)
    boxes = points.reshape(-1, 4) * np.repeat(np.tile(_extents(truth), 2), counts, axis=0)
    t = truth.image_splits
    images = np.flatnonzero((np.diff(t) > 0) & (counts > 0))
    gious = [_match(truth.boxes[t[i] : t[i + 1]], boxes[splits[i] : splits[i + 1]])[2] for i in images]
    return float(np.concatenate(gious).mean()) if gious else float("nan")


def _extents(truth: GroundTruth) -> NDArray[np.float64]:
    """Return width and height of every image; where unknown, how far its true boxes reach."""
    reach = np.zeros((truth.n_images, 2))
    np.maximum.at(reach, truth.image_index, truth.boxes[:, 2:])
    return np.where(np.isnan(truth.image_sizes), reach, truth.image_sizes)
