"""COCO average precision and recall: the twelve numbers, and AP per category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .._plain import as_record
from ..data import Detections, DetectionsLike, TruthLike, checked_pair
from ..errors import SettingError
from . import _ap_numpy, _pycocotools
from ._index import TieBreak
from ._ranking import MAX_DETECTIONS

__all__ = ["Backend", "CocoAP", "TieBreak", "coco_ap"]

Backend = Literal["numpy", "pycocotools"]

GROUPS_COUNTED_AT_ONCE = 10_000_000
"""Up to this many pairs of image and category, one table holds the counts of all of them."""
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


@dataclass(frozen=True)
class CocoAP:
    """The twelve numbers of COCO detection evaluation, in [0, 1]; NaN where undefined, never -1.

    Attributes
    ----------
    AP, AP50, AP75 : float
        Average precision over IoU .50 to .95, at .50 and at .75.
    APs, APm, APl : float
        AP for small, medium and large objects: area up to 32², from 32² to 96², from 96² pixels, both ends
        included.
    AR1, AR10, AR100 : float
        Average recall with at most 1, 10 and 100 detections per image and category.
    ARs, ARm, ARl : float
        AR100 for small, medium and large objects.
    per_class : mapping of int to float
        AP of every category of the ground truth by its id; NaN without truth.
    n_cut : int
        Detections beyond the best 100 of their image and category, which COCO does not look at.
    tie_break : str
        How tied scores were ordered.
    undefined : mapping of str to str
        Why a field is NaN.
    """

    AP: float
    AP50: float
    AP75: float
    APs: float
    APm: float
    APl: float
    AR1: float
    AR10: float
    AR100: float
    ARs: float
    ARm: float
    ARl: float
    per_class: Mapping[int, float]
    n_cut: int
    tie_break: TieBreak
    undefined: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)


def coco_ap(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    tie_break: TieBreak = "canonical",
    backend: Backend = "numpy",
    check: bool = True,
) -> CocoAP:
    """Compute COCO's box AP and AR of a split.

    Parameters
    ----------
    truth : GroundTruth
        The split. Annotation ids play no part (pycocotools gives wrong numbers for ids from 0); ``ignore`` is
        honoured like crowd.
    detections : Detections
        Of images and categories that `truth` has; images not run have none.
    tie_break : {"canonical", "input"}
        Order of detections with tied scores. "canonical" goes by category and coordinates, so that the result
        does not depend on the order of the input; "input" keeps it, and equals pycocotools to the last digit.
    backend : {"numpy", "pycocotools"}
        "numpy" computes with arrays; "pycocotools" is the reference implementation, for comparison (many times slower).
    check : bool
        Whether to look for mistakes that would score without an error, such as x, y, width, height as corners, or
        shifted labels, and warn; see `check_split`.

    Returns
    -------
    CocoAP
        All 0 if nothing was detected; NaN, with the reason, where there is no truth.

    Warns
    -----
    SplitWarning
        If `check` finds such a sign; once for the same truth and detections.

    Raises
    ------
    SettingError
        If `tie_break` or `backend` is unknown.
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Notes
    -----
    A truth is indexed on its first use and the index is kept with it, so further detections cost less. To suppress
    what pycocotools prints, that backend replaces ``sys.stdout`` while it runs.

    References
    ----------
    Lin et al., ECCV 2014, arXiv:1405.0312; COCO API, ``COCOeval``.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [{"id": 0, "image_id": 1, "category_id": 1, "bbox": [0, 0, 100, 100]}],
    ...     }
    ... )
    >>> found = Detections.from_arrays([([[0, 0, 100, 80]], [0.9], [0])], [1], [1])
    >>> result = coco_ap(truth, found)
    >>> round(result.AP, 6), round(result.AP50, 6), result.APs, result.undefined["APs"]
    (0.7, 1.0, nan, 'no small truth')
    """
    if tie_break not in ("canonical", "input"):
        raise SettingError(f"`tie_break` must be 'canonical' or 'input', got {tie_break!r}.")
    if backend not in ("numpy", "pycocotools"):
        raise SettingError(f"`backend` must be 'numpy' or 'pycocotools', got {backend!r}.")
    truth, _, aligned, _ = checked_pair(truth, detections, check=check)
    categories = list(truth.category_names)
    counted = ~truth.is_region
    if counted.any():
        computed = _ap_numpy.evaluate if backend == "numpy" else _pycocotools.evaluate
        stats, per_class = computed(truth, aligned, tie_break)
    else:
        stats, per_class = [float("nan")] * 12, [float("nan")] * len(categories)
    numbers = dict(zip(NAMES, stats, strict=True))
    undefined = {
        name: _reason(name, bool(counted.any())) for name, value in numbers.items() if np.isnan(value)
    }
    return CocoAP(
        **numbers,
        per_class=dict(zip(categories, per_class, strict=True)),
        n_cut=_n_cut(aligned, categories),
        tie_break=tie_break,
        undefined=undefined,
    )


def _n_cut(aligned: Detections, categories: list[int]) -> int:
    group = aligned.image_index * len(categories) + np.searchsorted(categories, aligned.category_ids)
    few = aligned.n_images * len(categories) <= GROUPS_COUNTED_AT_ONCE
    counts = np.bincount(group) if few else np.unique(group, return_counts=True)[1]
    return int(np.maximum(counts - MAX_DETECTIONS, 0).sum())


def _reason(name: str, any_truth: bool) -> str:
    size = {"s": "small ", "m": "medium ", "l": "large "}.get(name[-1], "") if any_truth else ""
    return f"no {size}truth"
