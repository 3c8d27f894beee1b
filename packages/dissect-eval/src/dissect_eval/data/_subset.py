"""Parts of ground truth and of detections: by image, by category, by size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..coco._index import AREA_RANGES
from ..errors import CategoryError, DetectionError, EvalError, SettingError, TruthError
from ._detections import Detections
from ._labels import with_guesses
from ._ragged import Ints, rows_of_images, splits_of
from ._records import exact_int, listing
from ._truth import GroundTruth

__all__ = ["AreaRange", "subset_detections", "subset_truth"]

AreaRange: TypeAlias = Literal["small", "medium", "large"] | tuple[float, float]
"""COCO's name of a size, or the lowest and the highest area in square pixels, both included."""

NAMED_AREAS = {name: tuple(AREA_RANGES[i]) for i, name in enumerate(("small", "medium", "large"), start=1)}

TRUTH_ARRAYS = ("annotation_ids", "boxes", "sizes", "category_ids", "iscrowd", "ignore", "area")


def subset_truth(
    truth: GroundTruth,
    image_ids: Iterable[int] | None,
    categories: Iterable[int | str] | None,
    area: AreaRange | None,
) -> GroundTruth:
    """Return the truth of some images and categories, in which boxes of another size are ignored."""
    if image_ids is not None:
        wanted, keep = _images(
            image_ids,
            truth.image_ids,
            "ids of this ground truth, got {}. Take them from `truth.image_ids`.",
            TruthError,
        )
        rows, splits = rows_of_images(truth.image_splits, keep)
        truth = replace(
            truth,
            image_ids=wanted,
            image_sizes=truth.image_sizes[keep],
            file_names=tuple(truth.file_names[i] for i in keep),
            image_splits=splits,
            **{name: getattr(truth, name)[rows] for name in TRUTH_ARRAYS},
        )
    if categories is not None:
        chosen = _category_ids(categories, truth.category_names)
        rows, splits = _kept(np.isin(truth.category_ids, chosen), truth.image_index, truth.n_images)
        truth = replace(
            truth,
            image_splits=splits,
            category_names={i: truth.category_names[i] for i in chosen.tolist()},
            **{name: getattr(truth, name)[rows] for name in TRUTH_ARRAYS},
        )
    if area is not None:
        truth = replace(truth, ignore=truth.ignore | ~_within(truth.area, area))
    return truth


def subset_detections(
    detections: Detections,
    image_ids: Iterable[int] | None,
    categories: Iterable[int] | None,
    area: AreaRange | None,
) -> Detections:
    """Return the detections of some images, categories and sizes."""
    if image_ids is not None:
        wanted, keep = _images(
            image_ids, detections.image_ids, "images that the detector has seen, got {}.", DetectionError
        )
        detections = detections._take(*rows_of_images(detections.image_splits, keep), image_ids=wanted)
    kept = np.ones(detections.n_boxes, dtype=np.bool_)
    if categories is not None:
        kept &= np.isin(detections.category_ids, _category_ids(categories, None))
    if area is not None:
        kept &= _within(detections.sizes.prod(axis=1), area)
    if kept.all():
        return detections
    return detections._take(*_kept(kept, detections.image_index, detections.n_images))


def _images(image_ids: Iterable[int], known: Ints, rule: str, error: type[EvalError]) -> tuple[Ints, Ints]:
    """Return the wanted ids, ascending without repeats, and their places in `known`."""
    wanted = np.unique(np.fromiter(image_ids, dtype=np.int64))
    unknown = np.setdiff1d(wanted, known)
    if len(unknown):
        raise error(f"`image_ids` must be {rule.format(listing(unknown.tolist()))}")
    return wanted, np.searchsorted(known, wanted)


def _kept(kept: NDArray[np.bool_], image_index: Ints, n_images: int) -> tuple[Ints, Ints]:
    """Return the rows that are kept and the offsets of the images over them."""
    rows = np.flatnonzero(kept)
    return rows, splits_of(np.bincount(image_index[rows], minlength=n_images))


def _category_ids(categories: Iterable[int | str], names: Mapping[int, str] | None) -> Ints:
    """Return the ids of categories given by id or by name, ascending; `names` is None where none are known."""
    if isinstance(categories, (str, int)):
        raise CategoryError(
            f"`categories` must be a list of ids or names, got {categories!r}. Put it in [ ]."
        )
    found = set()
    for category in categories:
        if isinstance(category, str):
            found.add(_id_of_name(category, names))
            continue
        number = exact_int(category)
        if number is None or (names is not None and number not in names):
            known = f" Known ids are {listing(list(names))}." if names is not None else ""
            raise CategoryError(f"`categories` must be ids or names of categories, got {category!r}.{known}")
        found.add(number)
    return np.array(sorted(found), dtype=np.int64)


def _id_of_name(name: str, names: Mapping[int, str] | None) -> int:
    if names is None:
        raise CategoryError(
            f"`categories` of detections must be ids, got {name!r}: detections know no names. Pass "
            "`truth.subset(categories=...).category_names`."
        )
    having = [key for key, known in names.items() if known == name]
    if len(having) > 1:
        raise CategoryError(f"`categories`: {name!r} is the name of {listing(having)}. Choose by id.")
    if not having:
        raise CategoryError(
            f"`categories` must be names of this ground truth, got {with_guesses([name], list(names.values()))}. "
            f"Known are {listing(list(names.values()))}."
        )
    return having[0]


def _within(areas: NDArray[np.float64], area: AreaRange) -> NDArray[np.bool_]:
    """Return True for areas in a range, both ends included."""
    try:
        bounds = NAMED_AREAS[area] if isinstance(area, str) else area
        low, high = (float(bound) for bound in bounds)
        if not low <= high:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise SettingError(
            "`area` must be 'small', 'medium', 'large' or (low, high) in square pixels with low <= high, got "
            f"{area!r}. Small ends at 32² = 1024, medium at 96² = 9216."
        ) from None
    return (areas >= low) & (areas <= high)
