"""Between a detector's contiguous labels and a data set's category ids, through the class names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np

from ._ragged import Ints
from ._records import listing
from ._truth import GroundTruth
from .errors import CategoryError

__all__ = ["category_to_label", "label_to_category", "with_guesses"]


def label_to_category(truth: GroundTruth, class_names: Sequence[str]) -> Ints:
    """Return the category id of each of a detector's contiguous labels, found by name.

    COCO numbers 80 categories from 1 to 90 with gaps, a detector numbers its classes from 0: only names
    connect the two. Sides that do not fit are an error: metrics over them would look like a dead model.

    Parameters
    ----------
    truth : GroundTruth
        The data set to score against.
    class_names : sequence of str
        The detector's classes; position is the label.

    Returns
    -------
    ndarray of int64, shape (len(class_names),)
        Category id of label 0, 1, …

    Raises
    ------
    CategoryError
        If names repeat on a side, a class is not in the data set, or a category that has boxes is not among
        the classes; the message names them. Categories without a box may be missing.

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
    if isinstance(class_names, str):
        raise CategoryError(f"`class_names` must be a sequence of names, got the text {class_names!r}.")
    by_name = {name: key for key, name in truth.category_names.items()}
    for side, names in (
        ("the detector's `class_names`", list(class_names)),
        ("the ground truth's categories", list(truth.category_names.values())),
    ):
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise CategoryError(f"Names must be unique, but in {side} these repeat: {listing(repeated)}.")
    used = {truth.category_names[int(key)] for key in np.unique(truth.category_ids)}
    not_in_truth = [name for name in class_names if name not in by_name]
    not_in_detector = sorted(used - set(class_names))
    if not_in_truth or not_in_detector:
        parts = ["Classes of the detector and categories of the ground truth must have the same names."]
        if not_in_truth:
            parts.append(f"Not in the ground truth: {with_guesses(not_in_truth, list(by_name))}.")
        if not_in_detector:
            parts.append(f"Not in the detector: {with_guesses(not_in_detector, list(class_names))}.")
        parts.append(
            "Is this the annotation file of another data set? If only spellings differ, rename them."
        )
        raise CategoryError(" ".join(parts))
    return np.array([by_name[name] for name in class_names], dtype=np.int64)


def category_to_label(truth: GroundTruth, class_names: Sequence[str]) -> dict[int, int]:
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
    return dict(sorted((category, label) for label, category in enumerate(categories)))


def with_guesses(missing: Sequence[str], known: Sequence[str]) -> str:
    """Return the missing names for a message, with known ones that they may be misspellings of."""
    shown = listing(missing)
    folded = {name.casefold(): name for name in known}
    guesses = []
    for name in missing[:8]:
        close = get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.8)
        if close:
            guesses.append(f"{name!r} may be {folded[close[0]]!r}")
    return f"{shown} ({', '.join(guesses)})" if guesses else shown
