"""State of the query panel: where object queries look, and what an ablation does to them. No widgets in here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from traitlets import Float, HasTraits, Int, Unicode, validate

from dissect_core import DissectError, near_matches
from dissect_core.store import Study
from dissect_eval import EvalError
from dissect_eval.study import (
    NamedFigure,
    QueryBoxes,
    QueryChanges,
    StudyDetections,
    displacement_map,
    query_boxes,
    query_changes,
    query_map,
)

from ..errors import StudyFolderError, UnknownNameError
from ..figure import plots

PAGE = 20
"""Queries of a page, as many as figure 7 of the DETR paper has."""

SHOWS: dict[str, str] = {
    "baseline": "boxes of the baseline",
    "ablated": "boxes of the variant",
    "displacement": "displacement",
}
SORTS: dict[str, str] = {
    "distance": "farthest moved first",
    "giou": "least overlap first",
    "score": "score lost first",
    "number": "by number",
}


class QueriesModel(HasTraits):
    """Object queries of a study's detector, as they are looked at; `QueryPanel` shows it.

    Parameters
    ----------
    source : Path, str or Study
        A study's folder; of a detector of the DETR family.

    Attributes
    ----------
    study : dissect_core.store.Study
    variant : str
        Trait: the ablated model beside the baseline.
    show : {"baseline", "ablated", "displacement"}
        Trait: what the picture shows.
    sort : {"distance", "giou", "score", "number"}
        Trait: order of the queries.
    threshold : float
        Trait: only images count in which the baseline's query scores at least so much, in [0, 1].
    page : int
        Trait: page of the queries, from 0.
    theme : {"light", "dark"}
        Trait: the page that figures are drawn for.

    Raises
    ------
    StudyFolderError
        If the folder holds no study with truth, or its detections are not from object queries.
    """

    variant = Unicode()
    show = Unicode("baseline")
    sort = Unicode("distance")
    threshold = Float(0.0)
    page = Int(0)
    theme = Unicode("light")

    def __init__(self, source: Path | str | Study) -> None:
        self.lock = RLock()
        self._changes: tuple[tuple[str, float, str], QueryChanges] | None = None
        try:
            self.study = source if isinstance(source, Study) else Study.open(source)
            self._found = StudyDetections(self.study)
            self._boxes = {self.study.variants[0]: query_boxes(self._found, self.study.variants[0])}
        except (DissectError, EvalError) as error:
            raise StudyFolderError(str(error)) from error
        super().__init__()
        self.variant = self.study.variants[min(1, len(self.study.variants) - 1)]

    @validate("variant", "show", "sort", "theme")
    def _known(self, proposal: Mapping[str, Any]) -> str:
        name, value = proposal["trait"].name, str(proposal["value"])
        known: Mapping[str, tuple[str, ...]] = {
            "variant": self.study.variants,
            "show": tuple(SHOWS),
            "sort": tuple(SORTS),
            "theme": ("light", "dark"),
        }
        if value not in known[name]:
            near = ", ".join(near_matches(value, known[name], n=3)) or ", ".join(known[name][:4])
            raise UnknownNameError(f"`{name}` must be one of the study's, got {value!r}: {near}.")
        return value

    @validate("threshold")
    def _share(self, proposal: Mapping[str, Any]) -> float:
        value = float(proposal["value"])
        if not 0 <= value <= 1:
            raise UnknownNameError(f"`threshold` must be in [0, 1], got {value}.")
        return value

    @property
    def changes(self) -> QueryChanges:
        """What the variant changes, of the queries that count at the threshold, in the order asked for."""
        key = self.variant, self.threshold, self.sort
        if self._changes is None or self._changes[0] != key:
            self._changes = key, self._sorted()
        return self._changes[1]

    def _sorted(self) -> QueryChanges:
        found = query_changes(
            self._boxes_of(self.study.variants[0]), self._boxes_of(self.variant), self.threshold
        )
        keys = {
            "distance": -found.distances,
            "giou": found.giou,
            "score": found.score_changes,
            "number": found.queries,
        }
        return found.at(np.argsort(keys[self.sort], kind="stable"))

    @property
    def n_queries(self) -> int:
        """How many queries gave a box in the baseline."""
        return len(self._boxes_of(self.study.variants[0]).numbers)

    def n_pages(self) -> int:
        """Pages of the queries, at least one."""
        return max(1, -(-len(self.changes.queries) // PAGE))

    def step(self, by: int) -> None:
        """Go on by some pages, and stay among them."""
        with self.lock:
            self.page = min(max(0, self.page + by), self.n_pages() - 1)

    def shown(self) -> QueryChanges:
        """The queries of the page."""
        changes = self.changes
        page = min(max(0, self.page), max(0, -(-len(changes.queries) // PAGE) - 1))
        return changes.at(slice(page * PAGE, (page + 1) * PAGE))

    def figure(self) -> NamedFigure | None:
        """The picture of the page; of the displacement, of all queries. None where no query counts."""
        changes = self.changes if self.show == "displacement" else self.shown()
        if not len(changes.queries):
            return None
        with plots.themed(self.theme):  # type: ignore[arg-type]  # checked when it was set
            if self.show == "displacement":
                return displacement_map(changes, what=self.variant)
            variant = self.study.variants[0] if self.show == "baseline" else self.variant
            boxes = self._boxes_of(variant)
            if self.show == "baseline":
                boxes = boxes.where(boxes.scores >= self.threshold)
            return query_map(boxes, changes.queries.tolist(), what=variant)

    def _boxes_of(self, variant: str) -> QueryBoxes:
        if variant not in self._boxes:
            first = self.study.variants[0]
            self._boxes = {
                first: self._boxes[first],
                variant: query_boxes(self._found, variant),
            }
        return self._boxes[variant]
