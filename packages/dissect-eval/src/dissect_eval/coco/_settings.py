"""What ``COCOeval.params`` sets: IoU thresholds, numbers of detections, ranges of area, and whether classes count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._text import quoted
from ..data import AREA_RANGES
from ..errors import SettingError

__all__ = [
    "AREA_NAMES",
    "DEFAULT",
    "IOU_THRESHOLDS",
    "LETTERS",
    "MAX_DETECTIONS",
    "AreaRanges",
    "CocoSettings",
    "IouType",
    "Number",
    "coco_settings",
]

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCO's thresholds, computed as COCO does: the last bit decides whether a hit at the threshold counts."""
MAX_DETECTIONS = 100
"""Most detections per image and category that COCO counts, the best by score."""
AREA_NAMES = ("all", "small", "medium", "large")
LETTERS = {"small": "s", "medium": "m", "large": "l"}
MOST_DETECTIONS = 2**31 - 1
SHOWN_PER_CENT = 6
"""Decimals of a threshold in per cent that the name of its AP shows."""

IouType: TypeAlias = Literal["bbox", "segm"]
AreaRanges: TypeAlias = Mapping[str, Sequence[float]]
"""Lowest and highest area in square pixels, both included, by the name of the range."""


class Number(NamedTuple):
    """One of the numbers that summarise an evaluation.

    Attributes
    ----------
    name : str
        ``AP``, ``AP50``, ``APs``, ``AR10``, …; of a range of area with another name, ``AP_tiny``.
    is_recall : bool
        Whether it is average recall, not precision.
    threshold : int or None
        Index of its IoU threshold; None for the mean over all.
    area : int
        Index of its range of area.
    cut : int
        Most detections per image and category.
    """

    name: str
    is_recall: bool
    threshold: int | None
    area: int
    cut: int

    @property
    def thresholds(self) -> slice:
        """The thresholds that it is the mean over, as a slice of all."""
        return slice(None) if self.threshold is None else slice(self.threshold, self.threshold + 1)


@dataclass(frozen=True)
class CocoSettings:
    """Settings of COCO's evaluation; the defaults are those of ``COCOeval.params``.

    Attributes
    ----------
    iou_thresholds : tuple of float
    max_detections : tuple of int
        Ascending: recall is given for each, all else for the last.
    area_ranges : tuple of (str, (float, float))
        Names with their lowest and highest area in square pixels; the first one is ``all``.
    class_agnostic : bool
    iou_type : {"bbox", "segm"}
    """

    iou_thresholds: tuple[float, ...] = tuple(IOU_THRESHOLDS.tolist())
    max_detections: tuple[int, ...] = (1, 10, MAX_DETECTIONS)
    area_ranges: tuple[tuple[str, tuple[float, float]], ...] = tuple(
        (name, (low, high)) for name, (low, high) in zip(AREA_NAMES, AREA_RANGES.tolist(), strict=True)
    )
    class_agnostic: bool = False
    iou_type: IouType = "bbox"

    @property
    def most(self) -> int:
        """Most detections per image and category that are looked at."""
        return self.max_detections[-1]

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """The IoU thresholds as an array, shape (T,)."""
        return np.array(self.iou_thresholds)

    @property
    def areas(self) -> NDArray[np.float64]:
        """The ranges of area as an array, shape (A, 2)."""
        return np.array([bounds for _, bounds in self.area_ranges], dtype=np.float64)

    @cached_property
    def numbers(self) -> dict[str, Number]:
        """All numbers that these settings define, by name."""
        found = [Number("AP", False, None, 0, self.most)]
        found += [
            Number(f"AP{_per_cent(t)}", False, i, 0, self.most) for i, t in enumerate(self.iou_thresholds)
        ]
        named = [(_suffix(name), i) for i, (name, _) in enumerate(self.area_ranges) if i]
        found += [Number(f"AP{suffix}", False, None, i, self.most) for suffix, i in named]
        found += [Number(f"AR{cut}", True, None, 0, cut) for cut in self.max_detections]
        found += [Number(f"AR{suffix}", True, None, i, self.most) for suffix, i in named]
        return {number.name: number for number in found}


DEFAULT = CocoSettings()


def coco_settings(
    iou_thresholds: float | Iterable[float] | None = None,
    max_detections: int | Iterable[int] | None = None,
    area_ranges: AreaRanges | None = None,
    class_agnostic: bool = False,
    iou_type: IouType = "bbox",
) -> CocoSettings:
    """Check settings as a caller gives them; None stands for COCO's own.

    Parameters
    ----------
    iou_thresholds : float or iterable of float, optional
    max_detections : int or iterable of int, optional
    area_ranges : mapping of str to (float, float), optional
    class_agnostic : bool
    iou_type : {"bbox", "segm"}

    Returns
    -------
    CocoSettings

    Raises
    ------
    SettingError
        If one of them is out of range, occurs twice, or is of another type.

    Examples
    --------
    >>> settings = coco_settings(iou_thresholds=[0.3, 0.5], area_ranges={"tiny": (0, 256)}, max_detections=300)
    >>> list(settings.numbers)
    ['AP', 'AP30', 'AP50', 'AP_tiny', 'AR300', 'AR_tiny']
    """
    if iou_type not in ("bbox", "segm"):
        raise SettingError(
            f"`iou_type` must be 'bbox' or 'segm', for boxes or masks, got {quoted(iou_type)}. Keypoints are not "
            "scored here: use pycocotools' `COCOeval` for them."
        )
    if not isinstance(class_agnostic, (bool, np.bool_)):
        raise SettingError(
            f"`class_agnostic` must be True or False, got {quoted(class_agnostic)}. True takes all classes as one."
        )
    return CocoSettings(
        DEFAULT.iou_thresholds if iou_thresholds is None else _thresholds(iou_thresholds),
        DEFAULT.max_detections if max_detections is None else _cuts(max_detections),
        DEFAULT.area_ranges if area_ranges is None else _ranges(area_ranges),
        bool(class_agnostic),
        iou_type,
    )


def _thresholds(given: Any) -> tuple[float, ...]:
    values = _numbers(given)
    if not values or not all(0 < value <= 1 for value in values):
        raise SettingError(
            f"`iou_thresholds` must be one or more numbers in (0, 1], got {quoted(given)}. COCO's are "
            "np.linspace(0.5, 0.95, 10)."
        )
    if len({_per_cent(value) for value in values}) < len(values):
        raise SettingError(f"`iou_thresholds` must all differ, got {quoted(given)}. Give each of them once.")
    return tuple(values)


def _cuts(given: Any) -> tuple[int, ...]:
    values = _numbers(given)
    if not values or not all(1 <= value <= MOST_DETECTIONS and value == int(value) for value in values):
        raise SettingError(
            f"`max_detections` must be one or more whole numbers from 1, got {quoted(given)}. COCO's are (1, 10, 100)."
        )
    if len(set(values)) < len(values):
        raise SettingError(f"`max_detections` must all differ, got {quoted(given)}. Give each of them once.")
    return tuple(sorted(int(value) for value in values))


def _ranges(given: Any) -> tuple[tuple[str, tuple[float, float]], ...]:
    if not isinstance(given, Mapping):
        raise SettingError(
            f"`area_ranges` must map names to (low, high) in square pixels, got {quoted(given)}. Write "
            "{'tiny': (0, 256)}, or dict(zip(params.areaRngLbl, params.areaRng)) for those of a COCOeval."
        )
    found = {"all": DEFAULT.area_ranges[0][1]}
    for name, bounds in given.items():
        values = None if isinstance(bounds, (int, float)) else _numbers(bounds)
        if not isinstance(name, str) or not name or values is None or len(values) != 2:
            raise SettingError(
                "`area_ranges` must map names to (low, high) in square pixels, got "
                f"{quoted(name)}: {quoted(bounds)}. Write {{'tiny': (0, 256)}}."
            )
        low, high = values
        if not 0 <= low <= high:
            raise SettingError(
                f"`area_ranges` must have 0 <= low <= high, in square pixels, got {quoted(name)}: {quoted(bounds)}. "
                "COCO's small is (0, 1024), medium (1024, 9216)."
            )
        found[name] = (low, high)
    return tuple(found.items())


def _numbers(given: Any) -> list[float] | None:
    """Return one or several numbers as a list; None if there is anything else among them."""
    try:
        values = [given] if np.ndim(given) == 0 and not isinstance(given, Iterable) else list(given)
    except (TypeError, ValueError):
        return None
    plain = (int, float, np.integer, np.floating)
    if isinstance(given, (str, bytes)) or not all(
        isinstance(value, plain) and not isinstance(value, bool) for value in values
    ):
        return None
    try:
        return [float(value) for value in values]
    except OverflowError:
        return None


def _per_cent(threshold: float) -> str:
    return f"{round(100 * threshold, SHOWN_PER_CENT):.10g}"


def _suffix(area: str) -> str:
    """Return how a range of area shows in the name of a number: ``s`` for small as in ``APs``, else ``_name``."""
    return LETTERS.get(area) or f"_{area}"
