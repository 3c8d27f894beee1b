"""Tell of true boxes that COCO's limit of detections keeps from being found."""

from __future__ import annotations

import warnings
from weakref import WeakKeyDictionary

import numpy as np

from ..data import Detections, GroundTruth
from ..errors import SplitWarning
from ._settings import MAX_DETECTIONS, CocoSettings

__all__ = ["tell_cut"]

_TOLD: WeakKeyDictionary[GroundTruth, WeakKeyDictionary[Detections, set[int]]] = WeakKeyDictionary()


def tell_cut(truth: GroundTruth, given: Detections, settings: CocoSettings, stacklevel: int = 3) -> None:
    """Warn once if an image has more objects of a category than COCO counts detections, and some are cut off for it.

    Parameters
    ----------
    truth : GroundTruth
    given : Detections
        As they came.
    settings : CocoSettings
    stacklevel : int
        Of the warning: whose line it names.
    """
    most = settings.most
    if most != MAX_DETECTIONS or np.diff(truth.image_splits).max(initial=0) <= most:
        return  # a limit of one's own is meant
    counted = ~truth.is_region
    categories = truth.category_ids[counted] * (not settings.class_agnostic)
    pairs = np.column_stack([truth.image_ids[truth.image_index[counted]], categories])
    groups, n_truth = np.unique(pairs, axis=0, return_counts=True)
    n_cut, n_groups, largest = 0, 0, int(n_truth.max(initial=0))
    for image, category in groups[n_truth > most].tolist():
        at = np.flatnonzero(given.image_ids == image)
        rows = slice(*given.image_splits[at[0] : at[0] + 2]) if len(at) else slice(0)
        here = given.category_ids[rows]
        cut = (len(here) if settings.class_agnostic else int((here == category).sum())) - most
        n_cut, n_groups = n_cut + max(cut, 0), n_groups + (cut > 0)
    told = _TOLD.setdefault(truth, WeakKeyDictionary()).setdefault(given, set())
    if not n_cut or most in told:
        return
    told.add(most)
    warnings.warn(
        f"AP and AR count the best {most:,} detections of each image and category, but {n_groups:,} of these hold more "
        f"objects, up to {largest:,}: {n_cut:,} detections are cut off there and their objects cannot be "
        f"found. Raise `max_detections`, such as to {_round_up(largest):,}; `detection_metrics` has no such "
        "limit.",
        SplitWarning,
        stacklevel=stacklevel,
    )


def _round_up(number: int) -> int:
    step: int = 10 ** max(len(str(number)) - 1, 1)
    return -(-number // step) * step
