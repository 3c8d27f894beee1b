"""Measure how much average precision each of TIDE's error types costs a detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._numbers import require_fraction
from .._per_class import PerClass
from ..data import DetectionsLike, TruthLike, checked_pair
from ..errors import SettingError
from ._assign import EXCUSED, HIT, Assignment, assign
from ._fix import ERROR_TYPES, KINDS, SPECIAL_TYPES, ap_before, ap_fixed, missed
from ._result import ClassErrors, ErrorTypes

if TYPE_CHECKING:
    from ..coco import TieBreak

__all__ = ["ClassErrors", "ErrorTypes", "error_types"]

NO_TRUTH = "no truth to be found"
NOTHING_FOUND = "no detection is a hit, and fixing these errors alone makes none"
NOTHING_REMAINS = "neither truth nor detections remain once these errors are fixed"


def error_types(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    foreground: float = 0.5,
    background: float = 0.1,
    tie_break: TieBreak = "canonical",
    check: bool = True,
) -> ErrorTypes:
    """Sort a detector's errors into TIDE's types, and measure the AP that each type costs.

    Parameters
    ----------
    truth : GroundTruth
        The split.
    detections : Detections
        Of images and categories that `truth` has; images not run have none.
    foreground : float
        Smallest IoU of a hit, in (0, 1]; equal counts as a hit.
    background : float
        A detection whose IoU with all truth is below this is on background; in (0, `foreground`].
    tie_break : {"canonical", "input"}
        Order of detections with tied scores, as in `coco_ap`.
    check : bool
        Whether to look for mistakes that would score without an error, such as x, y, width, height as corners, or
        shifted labels, and warn; see `check_split`.

    Returns
    -------
    ErrorTypes

    Warns
    -----
    SplitWarning
        If `check` finds such a sign; once for the same truth and detections.

    Raises
    ------
    SettingError
        If a threshold is out of range or `tie_break` unknown.
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Notes
    -----
    Hits are COCO's: same category, best score first, the free true box of the highest IoU. A detection that
    is no hit is excused if a crowd or ignored region of its category covers `foreground` of its own area:
    it is no error and is left out of every AP. No error is ever attributed to a region. Any other detection gets
    the first type that fits, in this order. It is attributed to the true box named, whether that is found or not:

    ====  ==================================================================================================
    Loc   Highest IoU with truth of its category is in [`background`, `foreground`). That true box.
    Cls   Highest IoU with truth of other categories is at least `foreground`. That true box.
    Dupe  Highest IoU with truth of its category is at least `foreground`: better scores have taken it.
    Both  Highest IoU with truth of other categories is in [`background`, `foreground`).
    Bkg   Every IoU is below `background`.
    Miss  A true box that is not found, and to which no Cls or Loc error is attributed.
    ====  ==================================================================================================

    Of equal IoUs the last in the order of the tie-break is taken. One type is fixed at a time:

    - Cls, Loc: the detection becomes a hit at its score, Cls in the category of its truth. But it is removed
      if its truth is found already, or if a Cls or Loc error of a better score (whichever of the two is
      fixed) has the same truth.
    - Both, Dupe, Bkg: removed.
    - Miss: the number of true boxes shrinks by the missed ones.
    - FalsePos: only hits remain. FalseNeg: only the true boxes that are found remain.

    AP is interpolated at 101 recalls and averaged over the categories that have truth, as COCO does. A
    category left with neither truth nor detections by a fix leaves the average; one left with detections
    alone has AP 0. The best 100 detections per image *and category* take part, so that `ap` is COCO's.

    Where no detection is a hit and a fix alone makes none, AP is 0 before and after. This does not mean that these
    errors cost nothing, so the change is NaN, for the detector as for a category.

    TIDE's own code, tidecv 1.0.1, gives the same counts, and the same AP up to rounding, except that it has 0
    where nothing is found, takes 100 detections per image (the same for a detector that gives no more), has AP 0
    of categories without truth in its mean, counts excused detections among the errors, rounds the recalls at which
    precision is sampled differently from COCO, and lets an IoU exactly at a threshold be on either side.

    References
    ----------
    Bolya et al., TIDE: A General Toolbox for Identifying Object Detection Errors, ECCV 2020,
    arXiv:2008.08115, sections 2.2 and 2.3; order and attribution as in its code, tidecv 1.0.1.

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
    >>> found = Detections.from_arrays([([[0, 0, 10, 10], [20, 0, 30, 10]], [0.9, 0.8], [0, 0])], [1], [1, 2])
    >>> result = error_types(truth, found)
    >>> result.counts
    {'Cls': 1, 'Loc': 0, 'Both': 0, 'Dupe': 0, 'Bkg': 0, 'Miss': 0}
    >>> round(result.ap, 6), round(result.delta_ap["Cls"], 6), round(result.delta_ap["FalsePos"], 6)
    (0.5, 0.5, 0.0)
    """
    require_fraction(foreground, "foreground", "0.5")
    require_fraction(background, "background", "0.1")
    if not 0 < background <= foreground:
        raise SettingError(
            f"`background` must be in (0, `foreground`], (0, {foreground}], got {background}. "
            "TIDE's usual one is 0.1."
        )
    if tie_break not in ("canonical", "input"):
        raise SettingError(f"`tie_break` must be 'canonical' or 'input', got {tie_break!r}.")
    truth, _, aligned, _ = checked_pair(truth, detections, check=check)
    found = assign(truth, aligned, foreground, background, tie_break)
    categories = list(truth.category_names)
    before = ap_before(found, len(categories))
    after = {error: ap_fixed(found, error, len(categories)) for error in (*ERROR_TYPES, *SPECIAL_TYPES)}
    ap = _mean(before)
    delta_ap = {error: _gain(ap, _mean(values)) for error, values in after.items()}
    per_class = _per_class(found, categories, before, after)
    n_excused = int((found.kind == EXCUSED).sum())
    return ErrorTypes(
        foreground=float(foreground),
        background=float(background),
        tie_break=tie_break,
        counts={error: sum(one.counts[error] for one in per_class.values()) for error in ERROR_TYPES},
        ap=ap,
        delta_ap=delta_ap,
        per_class=PerClass(per_class, truth.category_names),
        n_truth=int(found.counted.sum()),
        n_detections=len(found.kind) - n_excused,
        n_true_positives=int(found.hit.sum()),
        n_false_negatives=int((found.counted & ~found.hit).sum()),
        n_regions=int((~found.counted).sum()),
        n_excused=n_excused,
        n_cut=found.n_cut,
        n_dropped=aligned.n_dropped,
        undefined=_reasons(ap, delta_ap, per_class),
    )


def _per_class(
    found: Assignment,
    categories: list[int],
    before: NDArray[np.float64],
    after: Mapping[str, NDArray[np.float64]],
) -> dict[int, ClassErrors]:
    def count(of: NDArray[np.int64], mask: NDArray[np.bool_]) -> list[int]:
        return [int(n) for n in np.bincount(of[mask], minlength=len(categories))]

    truths, kind = found.truth_category, found.kind
    errors = {error: count(found.category, kind == code) for error, code in KINDS.items()}
    errors["Miss"] = count(truths, missed(found))
    n_truth, n_lost = count(truths, found.counted), count(truths, found.counted & ~found.hit)
    n_detections, n_hits = count(found.category, kind != EXCUSED), count(found.category, kind == HIT)
    return {
        category: ClassErrors(
            n_truth=n_truth[k],
            n_detections=n_detections[k],
            n_true_positives=n_hits[k],
            n_false_negatives=n_lost[k],
            counts={error: errors[error][k] for error in ERROR_TYPES},
            ap=float(before[k]),
            delta_ap={error: _gain(float(before[k]), float(values[k])) for error, values in after.items()},
        )
        for k, category in enumerate(categories)
    }


def _mean(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _gain(before: float, after: float) -> float:
    """Return the AP gained by a fix; NaN where AP is 0 before and after: 0 would say that the errors cost nothing."""
    return float("nan") if before == 0 and not after > 0 else after - before


def _reasons(
    ap: float, delta_ap: Mapping[str, float], per_class: Mapping[int, ClassErrors]
) -> dict[str, str]:
    undefined: dict[str, str] = {}
    results = {"": (ap, delta_ap)} | {
        f"per_class.{k}.": (one.ap, one.delta_ap) for k, one in per_class.items()
    }
    for prefix, (before, deltas) in results.items():
        if np.isnan(before):
            undefined[f"{prefix}ap"] = NO_TRUTH
        reason = NO_TRUTH if np.isnan(before) else NOTHING_FOUND if before == 0 else NOTHING_REMAINS
        for error, value in deltas.items():
            if np.isnan(value):
                undefined[f"{prefix}delta_ap.{error}"] = reason
    return undefined
