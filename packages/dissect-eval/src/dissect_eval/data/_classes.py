"""Match the classes of a detector with the categories of a truth, and leave out what only one side has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._arrays import Ints
from .._text import cut, quoted, visible
from ..errors import CategoryError
from ._detections import Detections
from ._labels import (
    NOT_USED,
    UNSCORED,
    ClassNames,
    class_list,
    ids_by_name,
    names_told,
    require_free,
    require_same,
)
from ._records import with_guesses
from ._truth import GroundTruth
from ._truth_like import TruthLike, as_truth

__all__ = ["ClassMatch", "match_classes"]

NAMED_AT_MOST = 12


@dataclass(frozen=True, eq=False)
class ClassMatch:
    """The category of a truth that each class of a detector is scored as.

    Attributes
    ----------
    truth : GroundTruth
        With the boxes of scored categories only.
    categories : ndarray of int64, shape (C,)
        Category id of each of the detector's C labels; -1 for a class that is not scored.
    unscored_classes : tuple of str
        Classes of the detector whose detections are left out.
    unscored_categories : mapping of str to int
        Categories of the truth that are left out, with the number of their boxes.
    """

    truth: GroundTruth
    categories: Ints
    unscored_classes: tuple[str, ...] = ()
    unscored_categories: Mapping[str, int] | None = None

    @property
    def is_partial(self) -> bool:
        """True if anything is left out."""
        return bool(self.unscored_classes or self.unscored_categories)

    def detections(self, found: Sequence[Any], image_ids: Iterable[int]) -> Detections:
        """Return the detections of a detector, without classes that are not scored.

        Parameters
        ----------
        found : sequence of (boxes, scores, labels)
            Of each image; see `Detections.from_arrays`.
        image_ids : iterable of int

        Returns
        -------
        Detections
            `n_dropped` counts those left out.
        """
        whole = Detections.from_arrays(found, list(image_ids), self.categories)
        kept = whole.subset(categories=self.categories[self.categories != UNSCORED].tolist())
        return replace(kept, n_dropped=kept.n_dropped + whole.n_boxes - kept.n_boxes)

    def note(self, n_dropped: int | None = None) -> str:
        """Return a sentence on what is scored and what is left out; empty if nothing is.

        Parameters
        ----------
        n_dropped : int, optional
            Detections that were left out, for the sentence.
        """
        if not self.is_partial:
            return ""
        names = list(self.truth.category_names.values())
        said = f"only {_counted(len(names), 'class', 'classes')} scored ({_named(names)}). Left out: "
        sides = []
        if self.unscored_classes:
            of = (
                "" if n_dropped is None else f", with {_counted(n_dropped, 'detection', 'detections', False)}"
            )
            number = _counted(len(self.unscored_classes), "class", "classes", False)
            sides.append(f"{number} of the detector ({_named(self.unscored_classes)}){of}")
        if self.unscored_categories:
            number = _counted(len(self.unscored_categories), "category", "categories", False)
            boxes = _counted(sum(self.unscored_categories.values()), "object", "objects", False)
            sides.append(f"{number} of the truth ({_named(list(self.unscored_categories))}), with {boxes}")
        return f"{said}{'; '.join(sides)}."


def match_classes(
    truth: TruthLike,
    class_names: ClassNames,
    *,
    common_classes: bool = False,
    class_map: Mapping[str, str | None] | None = None,
) -> ClassMatch:
    """Match a detector's classes with a truth's categories by name, all of them or those asked for.

    Parameters
    ----------
    truth : GroundTruth
        The data set to score against.
    class_names : sequence of str, or mapping of int to str
        The detector's classes; position or key is the label. "N/A" stands for no class.
    common_classes : bool, default False
        Score the classes that both sides know. Detections of other classes are left out, and so are true boxes of
        other categories: neither are false positives or misses.
    class_map : mapping of str to (str or None), optional
        The truth's name for each name of the detector, or None to leave the class out; see `read_class_map`. Other
        classes keep their name. Classes without a counterpart are left out, as with `common_classes`. Several classes
        may be one category: then two detections of one object, one of each class, are a true and a false positive.

    Returns
    -------
    ClassMatch

    Raises
    ------
    CategoryError
        If names repeat on a side; `class_map` names what is not there; nothing is in common; or, where neither was
        asked for, the classes are not the truth's categories. Categories without a box may be missing.

    Examples
    --------
    >>> truth = GroundTruth.from_arrays([([[0, 0, 5, 5], [2, 2, 9, 9]], [1, 4])], [7], {1: "vehicle", 4: "tree"})
    >>> match = match_classes(truth, ["car", "truck", "dog"], class_map={"car": "vehicle", "truck": "vehicle"})
    >>> match.categories.tolist(), match.truth.n_boxes
    ([1, 1, -1], 1)
    >>> match.note()
    'only 1 class is scored (vehicle). Left out: 1 class of the detector (dog); 1 category of the truth (tree), with
    1 object.'
    """
    truth, class_names = as_truth(truth), class_list(class_names)
    by_name = ids_by_name(truth, class_names)
    if not common_classes and class_map is None:
        require_same(truth, class_names)
        return ClassMatch(
            truth, np.array([by_name.get(name, UNSCORED) for name in class_names], dtype=np.int64)
        )
    require_free(truth)
    wanted = {name: name for name in class_names} | _checked(class_map or {}, class_names, by_name)
    categories = np.array(
        [
            by_name.get(name, UNSCORED) if (name := wanted[own]) is not None else UNSCORED
            for own in class_names
        ],
        dtype=np.int64,
    )
    kept = sorted({int(category) for category in categories if category != UNSCORED})
    if not kept:
        raise CategoryError(
            "No class of the detector is a category of the ground truth, so that nothing can be scored. Give a "
            "`class_map` (--class-map FILE) from names of the detector to names of the truth. "
            f"{names_told(class_names, list(by_name))}"
        )
    scored = set(kept)
    counts = dict(zip(*np.unique(truth.category_ids, return_counts=True), strict=True))
    return ClassMatch(
        truth.subset(categories=kept),
        categories,
        tuple(
            name
            for name, category in zip(class_names, categories, strict=True)
            if category == UNSCORED and name != NOT_USED
        ),
        {name: int(counts.get(key, 0)) for key, name in truth.category_names.items() if key not in scored},
    )


def _checked(
    class_map: Mapping[str, str | None], class_names: Sequence[str], by_name: Mapping[str, int]
) -> dict[str, str | None]:
    """Return the map itself, if both sides have its names."""
    if not isinstance(class_map, Mapping):
        raise CategoryError(
            f"`class_map` must be a mapping from names of the detector to names of the truth, got {quoted(class_map)}. "
            "`read_class_map` reads one from a file."
        )
    known, own = list(by_name), set(class_names)
    for side, names, has in (
        (
            "the detector's classes",
            [name for name in class_map if name not in own],
            list(class_names),
        ),
        (
            "the truth's categories",
            [n for n in class_map.values() if n is not None and n not in by_name],
            known,
        ),
    ):
        if names:
            raise CategoryError(
                "`class_map` must go from names of the detector to names of the truth, but these are not among "
                f"{side}: {with_guesses([str(name) for name in names], has)}. {names_told(class_names, known)}"
            )
    return dict(class_map)


def _counted(number: int, one: str, many: str, verb: bool = True) -> str:
    word, is_ = (one, "is") if number == 1 else (many, "are")
    return f"{number:,} {word} {is_}" if verb else f"{number:,} {word}"


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(cut(visible(name)) for name in names[:NAMED_AT_MOST]) + (
        f" and {more} more" if more > 0 else ""
    )
