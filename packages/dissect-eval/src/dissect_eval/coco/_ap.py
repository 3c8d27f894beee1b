"""COCO average precision and recall: the twelve numbers, and AP per category."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from .._per_class import PerClass
from .._plain import as_record
from .._readable import Readable, class_records, number_text, undefined_lines
from ..data import Detections, DetectionsLike, GroundTruth, TruthLike, checked_pair
from ..errors import SettingError
from . import _ap_numpy, _pycocotools
from ._agnostic import as_one_class
from ._cut import tell_cut
from ._index import TieBreak
from ._ranking import Ranking
from ._settings import DEFAULT, LETTERS, AreaRanges, CocoSettings, IouType, coco_settings

__all__ = ["Backend", "CocoAP", "TieBreak", "ap_of_aligned", "coco_ap"]

Backend = Literal["numpy", "pycocotools"]

GROUPS_COUNTED_AT_ONCE = 10_000_000
"""Up to this many pairs of image and category, one table holds the counts of all of them."""
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


@dataclass(frozen=True)
class CocoAP(Readable):
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
        AP of every category of the ground truth by its id or name, ``per_class["cat"]``; NaN without truth. Empty if
        classes do not count.
    n_cut : int
        Detections beyond the best 100 of their image and category (the last of `max_detections`), which COCO does not
        look at.
    tie_break : str
        How tied scores were ordered.
    undefined : mapping of str to str
        Why a number is NaN. Of `others`, AP at one threshold is undefined where AP is, and not listed.
    others : mapping of str to float
        All further numbers that the settings define: ``AP55`` to ``AP95``; AP at other thresholds (``AP30``), AR with
        other numbers of detections (``AR300``), both in other ranges of area (``AP_tiny``, ``AR_tiny``).
    settings : CocoSettings
        IoU thresholds, numbers of detections, ranges of area, whether classes count, and boxes or masks.
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
    per_class: PerClass[float]
    n_cut: int
    tie_break: TieBreak
    undefined: Mapping[str, str]
    others: Mapping[str, float] = field(default_factory=dict)
    settings: CocoSettings = DEFAULT

    def to_dict(self) -> dict[str, Any]:
        """Return all fields ready for JSON; NaN becomes None."""
        return as_record(self)

    def lines(self) -> list[str]:
        """Return the numbers in the words in which pycocotools prints them, and what they leave out."""
        numbers, ious = self.settings.numbers, self.settings.iou_thresholds
        is_own = self.settings.iou_thresholds != DEFAULT.iou_thresholds
        lines = []
        for name, number in numbers.items():
            if number.threshold is not None and name not in NAMES and not is_own:
                continue  # AP55 to AP95
            kind = "Average Recall     (AR)" if number.is_recall else "Average Precision  (AP)"
            one = number.threshold is not None or len(ious) == 1
            iou = f"{ious[number.threshold or 0]:.2f}" if one else f"{ious[0]:.2f}:{ious[-1]:.2f}"
            area = self.settings.area_ranges[number.area][0]
            value = getattr(self, name) if name in NAMES else self.others[name]
            where = f"@[ IoU={iou:<9} | area={area:>6} | maxDets={number.cut:>3} ]"
            lines.append(f" {kind} {where} = {number_text(value)}  {name}")
        if self.n_cut:
            lines.append(
                f"left out: {self.n_cut:,} detections beyond the best {self.settings.most:,} of their image"
                f"{'' if self.settings.class_agnostic else ' and class'}"
            )
        known = {name: reason for name, reason in self.undefined.items() if name in numbers}
        return lines + undefined_lines(known)

    def records(self) -> list[dict[str, Any]]:
        """Return AP of each category, with its name."""
        return class_records(self.per_class, AP="")


def coco_ap(
    truth: TruthLike,
    detections: DetectionsLike,
    *,
    iou_thresholds: float | Iterable[float] | None = None,
    max_detections: int | Iterable[int] | None = None,
    area_ranges: AreaRanges | None = None,
    class_agnostic: bool = False,
    iou_type: IouType = "bbox",
    tie_break: TieBreak = "canonical",
    backend: Backend = "numpy",
    check: bool = True,
) -> CocoAP:
    """Compute COCO's AP and AR of a split, of boxes or of masks.

    Parameters
    ----------
    truth : GroundTruth
        The split. Annotation ids play no part (pycocotools gives wrong numbers for ids from 0); ``ignore`` is
        honoured like crowd.
    detections : Detections
        Of images and categories that `truth` has; images not run have none.
    iou_thresholds : float or iterable of float, optional
        Smallest IoUs of a hit, in (0, 1]; .50, .55, …, .95 by default. AP is the mean over them.
    max_detections : int or iterable of int, optional
        Most detections per image and category that count, the best by score: recall is given for each number, all else
        for the last. By default 1, 10 and 100.
    area_ranges : mapping of str to (float, float), optional
        Lowest and highest area in square pixels, both included, by name; numbers over all areas are always given. By
        default COCO's small, medium and large.
    class_agnostic : bool
        Whether to take all classes as one, as ``useCats = 0`` does.
    iou_type : {"bbox", "segm"}
        Whether IoU is that of boxes or of masks, which truth and detections then must have. The area of a detection is
        then that of its mask (pycocotools takes that of its box if the results have one, as Detectron2 warns).
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
        If a setting is unknown or out of range.
    DetectionError
        If a detection has an image or category that `truth` does not have, or a mask is missing or cannot be right.
    TruthError
        If a mask is missing or cannot be right.

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
    >>> strict = coco_ap(truth, found, iou_thresholds=[0.5, 0.9], max_detections=300, area_ranges={"huge": (1e4, 1e6)})
    >>> round(strict.AP, 6), strict.AP75, strict.undefined["AP75"]
    (0.5, nan, '0.75 is not among `iou_thresholds`')
    >>> {name: round(value, 6) for name, value in strict.others.items()}
    {'AP90': 0.0, 'AP_huge': 0.5, 'AR300': 0.5, 'AR_huge': 0.5}
    """
    settings = coco_settings(iou_thresholds, max_detections, area_ranges, class_agnostic, iou_type)
    if tie_break not in ("canonical", "input"):
        raise SettingError(f"`tie_break` must be 'canonical' or 'input', got {tie_break!r}.")
    if backend not in ("numpy", "pycocotools"):
        raise SettingError(f"`backend` must be 'numpy' or 'pycocotools', got {backend!r}.")
    truth, given, aligned, _ = checked_pair(truth, detections, check=check, masks=iou_type == "segm")
    if check:
        tell_cut(truth, given, settings)
    return ap_of_aligned(truth, aligned, tie_break, settings, backend)


def ap_of_aligned(
    truth: GroundTruth,
    aligned: Detections,
    tie_break: TieBreak = "canonical",
    settings: CocoSettings = DEFAULT,
    backend: Backend = "numpy",
    ranking: Ranking | None = None,
) -> CocoAP:
    """Return what `coco_ap` does, for detections that are aligned already, and in the order of `ranking` if given."""
    if settings.class_agnostic:
        truth, aligned = as_one_class(truth, aligned)
    categories = list(truth.category_names)
    any_truth = bool((~truth.is_region).any())
    if any_truth:
        if backend == "numpy":
            values, per_class = _ap_numpy.evaluate(truth, aligned, tie_break, settings, ranking)
        else:
            values, per_class = _pycocotools.evaluate(truth, aligned, tie_break, settings)
    else:
        values, per_class = (
            dict.fromkeys(settings.numbers, float("nan")),
            [float("nan")] * len(categories),
        )
    named = {name: values.get(name, float("nan")) for name in NAMES}
    others = {name: value for name, value in values.items() if name not in NAMES}
    return CocoAP(
        **named,
        per_class=PerClass(
            () if settings.class_agnostic else zip(categories, per_class, strict=True), truth.category_names
        ),
        n_cut=_n_cut(aligned, categories, settings.most),
        tie_break=tie_break,
        undefined={
            name: _reason(name, any_truth, settings)
            for name, value in (named | others).items()
            if np.isnan(value) and (name in named or settings.numbers[name].threshold is None)
        },
        others=others,
        settings=settings,
    )


def _n_cut(aligned: Detections, categories: list[int], most: int) -> int:
    group = aligned.image_index * len(categories) + np.searchsorted(categories, aligned.category_ids)
    few = aligned.n_images * len(categories) <= GROUPS_COUNTED_AT_ONCE
    counts = np.bincount(group) if few else np.unique(group, return_counts=True)[1]
    return int(np.maximum(counts - most, 0).sum())


def _reason(name: str, any_truth: bool, settings: CocoSettings) -> str:
    """Return why a number is undefined: it is not among the settings, or there is no truth for it."""
    number = settings.numbers.get(name)
    if number is not None:
        area = settings.area_ranges[number.area][0]
        return f"no {area} truth" if any_truth and number.area else "no truth"
    if name.startswith("AP") and name[2:].isdigit():
        return f"{int(name[2:]) / 100:g} is not among `iou_thresholds`"
    if name[2:].isdigit():
        return f"{name[2:]} is not among `max_detections`"
    area = next(area for area, letter in LETTERS.items() if letter == name[2:])
    return f"'{area}' is not among `area_ranges`"
