"""What a caller gives as truth and detections: files and lists are read, anything else is refused in a sentence."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from .._text import quoted
from ..errors import DetectionError, SettingError, SplitWarning
from ._coco_results import BOXES_OF_MASKS
from ._detections import Detections
from ._doubts import doubts_of
from ._labels import OnUnknown
from ._truth import GroundTruth
from ._truth_like import as_truth, kind_of

__all__ = [
    "DetectionsLike",
    "Pair",
    "as_detections",
    "checked_pair",
    "require_threshold",
]

DetectionsLike: TypeAlias = "Detections | str | os.PathLike[str] | Sequence[Mapping[str, Any]]"
"""Detections, or a COCO results file or its content."""


class Pair(NamedTuple):
    """Truth and detections that are scored together.

    Attributes
    ----------
    truth : GroundTruth
    given : Detections
        As they came.
    aligned : Detections
        Over exactly the images of the truth.
    doubts : tuple of str
        Signs of a mistake; see `check_split`.
    """

    truth: GroundTruth
    given: Detections
    aligned: Detections
    doubts: tuple[str, ...]


_LOOKED_AT: WeakKeyDictionary[GroundTruth, WeakKeyDictionary[Detections, tuple[str, ...]]] = (
    WeakKeyDictionary()
)

_TOLD_OF_MASKS: WeakSet[Detections] = WeakSet()


def checked_pair(
    truth: Any,
    detections: Any,
    *,
    check: bool,
    on_unknown: OnUnknown = "error",
    masks: bool = False,
    stacklevel: int = 3,
) -> Pair:
    """Return truth and detections ready to be scored; what looks like a mistake is told once for each pair.

    Parameters
    ----------
    truth : GroundTruth, path or mapping
    detections : Detections, path or sequence of mapping
    check : bool
        Whether to look for mistakes.
    on_unknown : {"error", "drop"}
    masks : bool
        Whether masks are scored, not boxes.
    stacklevel : int
        Of the warning: whose line it names.

    Raises
    ------
    TruthError, DetectionError
        If they are neither, or given in the wrong order.
    """
    if isinstance(truth, Detections) and isinstance(detections, GroundTruth):
        raise DetectionError(
            "`truth` must come before `detections`, got them the other way round. Write (truth, detections)."
        )
    known = as_truth(truth)
    found = as_detections(detections, known)
    aligned = found.aligned_to(known, on_unknown)
    if not check:
        return Pair(known, found, aligned, ())
    if not masks and BOXES_OF_MASKS in found.notes and found not in _TOLD_OF_MASKS:
        _TOLD_OF_MASKS.add(found)
        warnings.warn(BOXES_OF_MASKS, SplitWarning, stacklevel=stacklevel)
    kept = _LOOKED_AT.setdefault(known, WeakKeyDictionary())
    if found not in kept:
        kept[found] = doubts_of(known, found, on_unknown)
        new = [text for text in kept[found] if text not in found.notes]  # which the reader told already
        if new:
            warnings.warn(
                f"Truth and detections may not be what is meant. {' '.join(new)}",
                SplitWarning,
                stacklevel=stacklevel,
            )
    return Pair(known, found, aligned, tuple(dict.fromkeys((*found.notes, *kept[found]))))


def as_detections(given: Any, truth: GroundTruth) -> Detections:
    """Return detections, read from a COCO results file or its content if need be.

    Raises
    ------
    DetectionError
        If they are something else; what to do is said.
    """
    if isinstance(given, Detections):
        return given
    is_list = isinstance(given, (list, tuple)) and all(
        isinstance(one, Mapping) and ("bbox" in one or "segmentation" in one) for one in given[:3]
    )
    if isinstance(given, (str, os.PathLike)) or is_list:
        return Detections.from_results(given, truth)
    raise DetectionError(
        f"`detections` must be Detections, or a COCO results file or its content, got {kind_of(given)}. Make them by "
        "`Detections.from_arrays`, `from_torchvision` (also for Hugging Face), `from_ultralytics`, `from_supervision` "
        "or `from_samples`."
    )


def require_threshold(score_threshold: Any, detections: Detections) -> None:
    """Raise `SettingError` if a score threshold is no number, or lies above every possible score."""
    if isinstance(score_threshold, bool) or not isinstance(score_threshold, (int, float, np.number)):
        raise SettingError(
            f"`score_threshold` must be a number, got {quoted(score_threshold)}. The usual one is 0.3."
        )
    if not abs(score_threshold) < np.inf:
        raise SettingError(f"`score_threshold` must be finite, got {score_threshold}. To keep all use 0.")
    scores = detections.scores
    if score_threshold > 1 and len(scores) and scores.min() >= 0 and scores.max() <= 1:
        raise SettingError(
            f"`score_threshold` must not be above 1, as scores are in [0, 1], got {score_threshold:g}. For "
            f"{score_threshold:g} % write {score_threshold / 100:g}."
        )
