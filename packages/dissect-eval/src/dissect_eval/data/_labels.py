"""Translate between a detector's contiguous labels and a data set's category ids, by the class names."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints
from .._text import cut, quoted, visible
from ..errors import CategoryError, CategoryWarning, DetectionError, SettingError
from ._records import exact_int, listing, with_guesses
from ._truth import GroundTruth
from ._truth_like import TruthLike, as_truth

__all__ = [
    "NOT_USED",
    "UNSCORED",
    "ClassNames",
    "OnUnknown",
    "category_to_label",
    "class_list",
    "ids_by_name",
    "label_to_category",
    "names_told",
    "require_free",
    "require_same",
    "unknown_rows",
]

NAMED_AT_MOST = 200
"""Most names in a message."""
MOST_LABELS = 1_000_000
"""Labels that a mapping may have."""
UNSCORED = -1
"""Stands for a category id where the truth has no category for a detector's class."""

NOT_USED = "N/A"
"""Name of labels that stand for no class, as lists of COCO's 91 labels have them."""

ClassNames: TypeAlias = "Sequence[str] | Mapping[int, str] | Mapping[str, str]"
"""Names of a detector's classes: position or key is the label."""
OnUnknown = Literal["error", "drop"]


def class_list(class_names: ClassNames) -> list[str]:
    """Return names of classes as a list, in which the position is the label; gaps of a mapping are `NOT_USED`.

    Parameters
    ----------
    class_names : sequence of str, or mapping of int to str
        Also ``model.names`` of Ultralytics, and ``model.config.id2label`` of Transformers, whose keys may be texts.

    Raises
    ------
    CategoryError
        If it is a text, a label is no whole number from 0, or a name is no text.

    Examples
    --------
    >>> class_list({0: "cat", "2": "dog"})
    ['cat', 'N/A', 'dog']
    """
    if isinstance(class_names, str) or not isinstance(class_names, Iterable):
        raise CategoryError(
            f"`class_names` must be a sequence of names, got {quoted(class_names)}. Put it in [ ]."
        )
    if not isinstance(class_names, Mapping):
        names = list(class_names)
    else:
        labels = {exact_int(label): name for label, name in class_names.items()}
        if wrong := [label for label in labels if label is None or not 0 <= label < MOST_LABELS]:
            raise CategoryError(
                f"Labels of `class_names` must be whole numbers from 0, got {quoted(wrong[0])}."
            )
        last = max((label for label in labels if label is not None), default=-1)
        names = [labels.get(label, NOT_USED) for label in range(last + 1)]
    if others := [name for name in names if not isinstance(name, str)]:
        raise CategoryError(
            f"`class_names` must be texts, got {quoted(others[0])}. Give names, in the order of labels."
        )
    return names


def label_to_category(truth: TruthLike, class_names: ClassNames) -> Ints:
    """Return the category id of each of a detector's contiguous labels, found by name.

    COCO numbers 80 categories from 1 to 90 with gaps, a detector numbers its classes from 0: only names
    connect the two. Sides that do not fit are an error: metrics over them would look like a dead model.

    Parameters
    ----------
    truth : GroundTruth
        The data set to score against.
    class_names : sequence of str, or mapping of int to str
        The detector's classes; position or key is the label: also ``model.names`` of Ultralytics, and
        ``model.config.id2label`` of Transformers. "N/A" stands for no class, and may be repeated.

    Returns
    -------
    ndarray of int64, shape (number of labels,)
        Category id of label 0, 1, …; -1, with a `CategoryWarning`, for a class that the truth has no category of.
        Detections of such a class are refused by metrics, unless ``on_unknown="drop"`` leaves them out;
        `match_classes` settles both sides at once.

    Raises
    ------
    CategoryError
        If names repeat on a side, a category that has boxes is not among the classes, or no name is on both
        sides; the message names them. Categories without a box may be missing.

    Examples
    --------
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [],
    ...         "annotations": [],
    ...         "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    ...     }
    ... )
    >>> label_to_category(truth, ["dog", "person"])
    array([18,  1])
    """
    truth, class_names = as_truth(truth), class_list(class_names)
    by_name = ids_by_name(truth, class_names)
    unknown = [name for name in class_names if name not in by_name and name != NOT_USED]
    require_free(truth)
    used = {truth.category_names[int(key)] for key in np.unique(truth.category_ids)}
    if used - set(class_names) or (class_names and len(unknown) == len(class_names)):
        require_same(truth, class_names)
    if unknown:
        warnings.warn(
            f"{len(unknown)} of {len(class_names)} classes of the detector are no categories of the ground truth, and "
            f"have the id {UNSCORED}: {with_guesses(unknown, list(by_name))}. Metrics refuse their detections, or "
            'leave them out with `on_unknown="drop"`; `match_classes(truth, class_names, common_classes=True)` scores '
            "the classes that both know.",
            CategoryWarning,
            stacklevel=2,
        )
    return np.array([by_name.get(name, UNSCORED) for name in class_names], dtype=np.int64)


def category_to_label(truth: TruthLike, class_names: ClassNames) -> dict[int, int]:
    """Return the detector's contiguous label of each of a data set's category ids, found by name.

    The inverse of `label_to_category`, with the same checks.

    Parameters
    ----------
    truth : GroundTruth
        The data set.
    class_names : sequence of str
        The detector's classes; position is the label.

    Returns
    -------
    dict of int to int
        Label of each category id, ascending by id. Categories without a box that the detector does not know
        are left out.

    Raises
    ------
    CategoryError
        As `label_to_category`.

    Examples
    --------
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [],
    ...         "annotations": [],
    ...         "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    ...     }
    ... )
    >>> category_to_label(truth, ["dog", "person"])
    {1: 1, 18: 0}
    """
    categories = label_to_category(truth, class_names).tolist()
    return dict(
        sorted((category, label) for label, category in enumerate(categories) if category != UNSCORED)
    )


def ids_by_name(truth: GroundTruth, class_names: Sequence[str]) -> dict[str, int]:
    """Return the truth's category ids by name, if the names of both sides are unique.

    Raises
    ------
    CategoryError
        If `class_names` is a text, or names repeat on a side.
    """
    names = class_list(class_names)
    known = list(truth.category_names.values())
    for side, on_it in (
        ("the detector's `class_names`", [name for name in names if name != NOT_USED or name in known]),
        ("the ground truth's categories", known),
    ):
        repeated = [name for name, count in Counter(on_it).items() if count > 1]
        if repeated:
            raise CategoryError(
                f"Names must be unique, but in {side} these repeat: {listing(repeated)}. Call labels that stand for no "
                f"class {NOT_USED!r}."
            )
    return {name: key for key, name in truth.category_names.items()}


def require_free(truth: GroundTruth) -> None:
    """Raise `CategoryError` if the truth has a category with the id -1, which stands for no category."""
    if UNSCORED in truth.category_names:
        raise CategoryError(
            f"Category ids must not be {UNSCORED}, which stands for classes without a category, but that is the id of "
            f"{quoted(truth.category_names[UNSCORED])}. Number the categories from 0 or 1."
        )


def require_same(truth: GroundTruth, class_names: Sequence[str]) -> None:
    """Raise `CategoryError` unless the classes are the truth's categories, but for categories without a box."""
    known = list(truth.category_names.values())
    used = {truth.category_names[int(key)] for key in np.unique(truth.category_ids)}
    has = set(known)
    not_in_truth = [name for name in class_names if name not in has and name != NOT_USED]
    not_in_detector = sorted(used - set(class_names))
    if not not_in_truth and not not_in_detector:
        return
    parts = ["Classes of the detector and categories of the ground truth must have the same names."]
    if not_in_truth:
        parts.append(f"Not in the ground truth: {with_guesses(not_in_truth, known)}.")
    if not_in_detector:
        parts.append(f"Not in the detector: {with_guesses(not_in_detector, list(class_names))}.")
    parts.append(
        "Is this the annotation file of another data set? To score the classes that both know, ask for "
        "`common_classes` (--common-classes); where names differ, give a `class_map` (--class-map FILE) from names of "
        f"the detector to names of the truth, or to nothing. {names_told(class_names, known)}"
    )
    raise CategoryError(" ".join(parts))


def names_told(class_names: Sequence[str], category_names: Sequence[str]) -> str:
    """Return all names of both sides, for a message."""
    sides: Mapping[str, Sequence[str]] = {
        "the detector's classes": class_names,
        "the truth's categories": category_names,
    }
    told = [f"{side} ({len(names)}): {_all(names) or 'none'}" for side, names in sides.items()]
    return f"All names: {'; '.join(told)}."


def _all(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED_AT_MOST:,} more" if len(names) > NAMED_AT_MOST else ""
    return f"{', '.join(cut(visible(name)) for name in names[:NAMED_AT_MOST])}{more}"


def unknown_rows(
    row_image: Ints, category_ids: Ints, truth: GroundTruth, on_unknown: OnUnknown
) -> NDArray[np.bool_]:
    """Return True for detections whose image or category `truth` does not have, or raise naming the first."""
    if on_unknown not in ("error", "drop"):
        raise SettingError(f"`on_unknown` must be 'error' or 'drop', got {on_unknown!r}.")
    bad_image = ~np.isin(row_image, truth.image_ids)
    bad = bad_image | ~np.isin(category_ids, np.array(list(truth.category_names), dtype=np.int64))
    if bad.any() and on_unknown == "error":
        row = int(np.argmax(bad))
        what, value = ("image", row_image) if bad_image[row] else ("category", category_ids)
        if what == "category" and value[row] == UNSCORED:
            raise DetectionError(
                f"{int((category_ids == UNSCORED).sum())} detections, the first in image {row_image[row]}, are of "
                "classes that the ground truth has no category of. To score the classes that both know, match both "
                'sides by `match_classes(..., common_classes=True)`; to leave these out pass `on_unknown="drop"`, or '
                'score `detections.aligned_to(truth, on_unknown="drop")`.'
            )
        raise DetectionError(
            f"detection {row} (image {row_image[row]}): the {what} id must be one of the ground truth's, got "
            f"{value[row]} ({int(bad.sum())} such detections). Is this the right annotation file? "
            'To leave them out and count them pass `on_unknown="drop"`, or score '
            '`detections.aligned_to(truth, on_unknown="drop")`.'
        )
    return bad
