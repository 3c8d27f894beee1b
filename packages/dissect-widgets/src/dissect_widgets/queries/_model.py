"""State of the query panel: boxes of object queries, and how an ablation moves them. No widgets in here."""

from __future__ import annotations

from typing import Any

import numpy as np
from traitlets import Int

from dissect_eval.study import (
    NamedFigure,
    QueryBoxes,
    QueryChanges,
    displacement_map,
    query_boxes,
    query_changes,
    query_map,
)

from ..base import OneOf, StudyModel
from ..figure import Picture, page_colours, picture_of

PAGE = 20
"""Queries on a page: as many as figure 7 of the DETR paper shows."""

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


class QueriesModel(StudyModel):
    """State of the query panel: works without a notebook; `QueryPanel` shows it.

    Parameters
    ----------
    source : Path, str or Study
        A study's folder; its detector must be of the DETR family.

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
        Trait: of a query, only images count in which its baseline score is at least this, in [0, 1].
    page : int
        Trait: page of the queries, from 0.
    query : int or None
        Trait: the chosen query.

    Raises
    ------
    StudyFolderError
        If the folder holds no study with truth, or its detections are not from object queries.
    """

    show = OneOf(SHOWS, "baseline")
    sort = OneOf(SORTS, "distance")
    page = Int(0)
    query = Int(None, allow_none=True)

    _drawn: tuple[Any, Picture | None] | None = None
    _changes: tuple[tuple[str, float, str], QueryChanges] | None = None

    @property
    def changes(self) -> QueryChanges:
        """Return what the variant changes in each query that counts at the threshold, in the chosen order."""
        key = self.variant, self.threshold, self.sort
        if self._changes is None or self._changes[0] != key:
            self._changes = key, self._sorted()
        return self._changes[1]

    def _sorted(self) -> QueryChanges:
        before, after = self._boxes_of(self.baseline), self._boxes_of(self.variant)
        found = query_changes(before, after, self.threshold, by_place=self.by_place)
        keys = {
            "distance": -found.distances,
            "giou": found.giou,
            "score": found.score_changes,
            "number": found.queries,
        }
        return found.at(np.argsort(keys[self.sort], kind="stable"))

    @property
    def by_place(self) -> bool:
        """Return whether boxes are compared by their place, as queries are chosen from each image, or may be."""
        return self.study.chooses_queries is not False

    @property
    def n_queries(self) -> int:
        """Return how many queries gave a box in the baseline."""
        return len(self._boxes_of(self.baseline).numbers)

    def n_pages(self) -> int:
        """Return the number of pages, at least one."""
        return max(1, -(-len(self.changes.queries) // PAGE))

    def step(self, by: int) -> None:
        """Move by a number of pages, at most to the first or last."""
        with self.lock:
            self.page = min(max(0, self.page + by), self.n_pages() - 1)

    def shown(self) -> QueryChanges:
        """Return the queries of the current page."""
        changes = self.changes
        page = min(max(0, self.page), max(0, -(-len(changes.queries) // PAGE) - 1))
        return changes.at(slice(page * PAGE, (page + 1) * PAGE))

    def picture(self) -> Picture | None:
        """Return the drawn queries with a mark for each; None if no query counts."""
        key = self.variant, self.threshold, self.sort, self.show, self.page
        if self._drawn is None or self._drawn[0] != key:
            drawn = self.figure()
            self._drawn = key, None if drawn is None else picture_of(drawn)
        return self._drawn[1]

    def figure(self) -> NamedFigure | None:
        """Draw the queries of the current page, or the displacement of all of them; None if no query counts."""
        changes = self.changes if self.show == "displacement" else self.shown()
        if not len(changes.queries):
            return None
        with page_colours():
            if self.show == "displacement":
                return displacement_map(changes, what=self.variant)
            variant = self.baseline if self.show == "baseline" else self.variant
            boxes = self._boxes_of(variant)
            if self.show == "baseline":
                boxes = boxes.where(boxes.scores >= self.threshold)
            return query_map(boxes, changes.queries.tolist(), what=variant, chosen=self.by_place)

    def _read(self, variant: str) -> QueryBoxes:
        return query_boxes(self._detections, variant)
