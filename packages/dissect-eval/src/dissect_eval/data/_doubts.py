"""Signs of a mistake in truth and detections that would score without an error: each is a sentence with its remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from .._text import quoted
from ..errors import DetectionError
from ._detections import Detections
from ._health import MIN_TRUTH, outside_reason
from ._labels import OnUnknown
from ._readings import better_reading
from ._sample import Fit, sample_of
from ._split import other_image_reason
from ._truth import GroundTruth
from ._truth_like import TruthLike, as_truth, kind_of

__all__ = ["check_split", "doubts_of"]

NEGATIVE_SHARE = 0.05
"""Share of inverted boxes from which it is no accident."""
CLASSES_LOST = 0.25
"""Share of true boxes that are met, but not by their class, from which labels are in doubt."""
NORMALISED = 1.5
"""Largest coordinate of normalised boxes: some stick out of their image."""
PIXELS = 16
"""A coordinate above this is one in pixels."""
SAME_SHIFT = 0.6
"""Share of pairs of classes that have to differ by the same step to call it a shift."""


def check_split(truth: TruthLike, detections: Detections) -> tuple[str, ...]:
    """Return the reasons to doubt that truth and detections are what is meant, and belong together.

    All of these score without an error. Looked at are: boxes that fit far better when they are read otherwise (x, y,
    width, height as corners, centre and size, normalised, of images of another size, y before x); inverted boxes, and
    boxes outside their image; scores that are no probabilities; classes that do not fit while boxes do; images that the
    detector has not seen; and whether detections fit the truth of their own image better than that of another image,
    since two splits of a data set often use the same image ids.

    Parameters
    ----------
    truth : GroundTruth
        The split to score against.
    detections : Detections
        Of images and categories that `truth` has.

    Returns
    -------
    tuple of str
        Sentences; empty if nothing is wrong. A detector that an ablation has destroyed fits no image either, and gets
        such a sentence too.

    Raises
    ------
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Examples
    --------
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1, "width": 50, "height": 50}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [{"id": 0, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 20]}],
    ...     }
    ... )
    >>> from dissect_eval import Detections
    >>> found = Detections.from_arrays([([[400, 300, 500, 400]], [0.9], [0])], [1], [1])
    >>> check_split(truth, found)
    ('1 of 1 boxes stick out of their image by more than 5 % of its size.',)
    """
    if not isinstance(detections, Detections):
        raise DetectionError(
            f"`detections` must be Detections, got {kind_of(detections)}. Write `check_split(truth, detections)`."
        )
    return doubts_of(as_truth(truth), detections)


def doubts_of(truth: GroundTruth, detections: Detections, on_unknown: OnUnknown = "error") -> tuple[str, ...]:
    """Return the signs that truth or detections are not what the caller means; the likeliest cause of each once."""
    seen = np.intersect1d(truth.image_ids, detections.image_ids)
    unseen = truth.n_images - len(seen)
    if not unseen or not detections.n_images:
        return tuple(_signs(truth, detections.aligned_to(truth, on_unknown)))
    not_run = f"{unseen:,} of {truth.n_images:,} images were not run; score a part with `truth.subset`."
    part = truth.subset(seen.tolist())
    return (*_signs(part, detections.aligned_to(part, "drop")), not_run)


def _signs(truth: GroundTruth, aligned: Detections) -> Iterator[str]:
    if not aligned.n_boxes:
        return
    yield from _scores(aligned)
    sample = sample_of(truth, aligned)
    own = sample.fit() if sample is not None else None
    read = better_reading(sample, own) if sample is not None and own is not None else ""
    if read:
        yield read
        return  # it explains the signs below
    if aligned.n_boxes >= MIN_TRUTH and aligned.n_negative > NEGATIVE_SHARE * aligned.n_boxes:
        yield (
            f"{aligned.n_negative:,} of {aligned.n_boxes:,} boxes have a negative width or height and match nothing. "
            "Are they x, y, width, height (`xywh_to_xyxy`), centre and size (`cxcywh_to_xyxy`), or flipped?"
        )
        return
    normalised = _normalised(truth, aligned)
    if normalised:
        yield normalised
        return
    outside = outside_reason(aligned.boxes, truth.image_sizes[aligned.image_index])
    if outside:
        yield outside
    classes = _classes(truth, own) if own is not None else ""
    if classes:
        yield classes
        return
    other = other_image_reason(truth, aligned)
    if other:
        yield other


def _normalised(truth: GroundTruth, aligned: Detections) -> str:
    """Return a sentence if all boxes of one side, or of both, are as small as those between 0 and 1."""
    if min(truth.n_boxes, aligned.n_boxes) < MIN_TRUTH:
        return ""
    true, found = float(truth.boxes.max()), float(aligned.boxes.max())
    if true <= NORMALISED and found <= NORMALISED:
        return (
            f"All boxes lie between 0 and {NORMALISED} pixels: are they normalised? AP is the same, but objects have "
            "no size (APs, APm, APl): multiply both sides by the width and height of each image."
        )
    if true <= NORMALISED and found > PIXELS:
        return (
            f"All true boxes lie between 0 and {NORMALISED} pixels, and detections reach {found:.0f}: are true boxes "
            "normalised? Multiply them by the width and height of each image."
        )
    if found <= NORMALISED and true > PIXELS:
        return (
            f"All detections lie between 0 and {NORMALISED} pixels, and true boxes reach {true:.0f}: are detections "
            "normalised? Give `found.scaled(sizes)`, with the width and height of each image."
        )
    return ""


def _scores(aligned: Detections) -> Iterator[str]:
    low, high = float(aligned.scores.min()), float(aligned.scores.max())
    if low < 0 or high > 1:
        yield (
            f"Scores lie between {low:.3g} and {high:.3g}, not in [0, 1]: AP is the same, but score thresholds mean "
            "something else. Give probabilities, such as the sigmoid of logits."
        )


def _classes(truth: GroundTruth, own: Fit) -> str:
    """Return a sentence if boxes fit and classes do not: labels that are shifted, exchanged, or of another list."""
    lost = own.met - own.met_by_class
    if own.total < MIN_TRUTH or lost < CLASSES_LOST * own.total or own.met_by_class > own.met / 2:
        return ""
    categories = np.array(list(truth.category_names), dtype=np.int64)
    true, found = (np.searchsorted(categories, column) for column in own.pairs.T)
    steps = Counter((found - true).tolist())
    step, n = steps.most_common(1)[0]
    said = (
        f"Boxes fit and classes do not: {own.met:,} of {own.total:,} true boxes are met, {own.met_by_class:,} of them "
        "by their own class."
    )
    names = list(truth.category_names.values())
    if step and n >= SAME_SHIFT * len(true):
        first = int(true[found - true == step][0])
        there = names[first + step]
        return (
            f"{said} Most labels are {abs(step)} too {'high' if step > 0 else 'low'} ({quoted(there)} for "
            f"{quoted(names[first])}): are they counted from 1, or with a background class? Map them by class names, "
            "`label_to_category`."
        )
    pairs = Counter(
        zip(true[true != found].tolist(), found[true != found].tolist(), strict=True)
    ).most_common(3)
    taken = ", ".join(f"{quoted(names[b])} for {quoted(names[a])}" for (a, b), _ in pairs)
    return f"{said} Most often: {taken}. Are labels those of another list of classes? Map them by `label_to_category`."
