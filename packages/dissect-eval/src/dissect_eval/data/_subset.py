"""Choose a part of ground truth or of detections: by image, by category, by size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from .._text import quoted
from ..errors import CategoryError, EvalError, SettingError
from ._records import exact_int, ids, listing, with_guesses

__all__ = ["AREA_RANGES", "AreaRange", "chosen_categories", "chosen_images", "within_area"]

AreaRange: TypeAlias = Literal["small", "medium", "large"] | tuple[float, float]
"""COCO's name of a size, or the lowest and the highest area in square pixels, both included."""

AREA_RANGES = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]], dtype=np.float64)
"""COCO's ranges of area, in square pixels, both ends included: all, small, medium, large."""

NAMED_AREAS = {name: tuple(AREA_RANGES[i]) for i, name in enumerate(("small", "medium", "large"), start=1)}


def chosen_images(
    image_ids: Iterable[int], known: Ints, rule: str, error: type[EvalError]
) -> tuple[Ints, Ints]:
    """Return the wanted ids, ascending without repeats, and their positions in `known`."""
    if isinstance(image_ids, (str, Mapping)) or not isinstance(image_ids, Iterable):
        raise error(f"`image_ids` must be a sequence of ids, got {quoted(image_ids)}. Put it in [ ].")
    given = image_ids.tolist() if isinstance(image_ids, np.ndarray) else list(image_ids)
    if any(isinstance(one, str) and exact_int(one) is None for one in given):
        raise error(
            f"`image_ids` must be ids, got names such as {quoted(given[0])}. For names of files give "
            "`truth.ids_of_files(names)`."
        )
    wanted = np.unique(ids(given, "image_ids", lambda i: f"image {i}", error))
    unknown = np.setdiff1d(wanted, known)
    if len(unknown):
        raise error(f"`image_ids` must be {rule.format(listing(unknown.tolist()))}")
    return wanted, np.searchsorted(known, wanted)


def chosen_categories(categories: Iterable[int | str], names: Mapping[int, str] | None) -> Ints:
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


def within_area(areas: NDArray[np.float64], area: AreaRange) -> NDArray[np.bool_]:
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
