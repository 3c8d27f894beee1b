"""The query panel: where each object query's boxes are, and how an ablation moves them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Button

from dissect_core.store import Study
from dissect_eval.study import missing_weights

from ..base import (
    ModelPanel,
    Selection,
    choice_box,
    html_text,
    line,
    segments,
    share_box,
    status_html,
    variant_box,
)
from ..figure import number_text, picture_html, table_html
from ..front import Column, Figure, Grid, GridRow
from ._model import PAGE, SHOWS, SORTS, QueriesModel

_COLUMNS = (
    Column("query", "Query"),
    Column("images", "Images", "number"),
    Column("alone", "Without partner", "number", help="Images in which the box has none at its place"),
    Column("distance", "Distance", "number", help="Mean way of the centre, as a share of the image"),
    Column("shift", "Shift x, y", "number"),
    Column("giou", "GIoU with whole", "number"),
    Column("score", "Change of score", "number"),
)
_BY_PLACE = (
    "{why} Query k is the k-th proposal of an image, another one in each variant; so boxes are compared with those at "
    "the same place (one to one), not with those of the same number. What has no partner is counted, and is in no mean."
)
_CHOSEN = "This detector chooses its queries from each image (two-stage: DINO, RT-DETR and their kin)."
_UNKNOWN = (
    "The study does not say whether its detector chooses its queries from each image, so that is assumed."
)


class QueryPanel(ModelPanel):
    """Panel that shows the object queries of a study's detector, a page at a time.

    Parameters
    ----------
    source : QueriesModel, Path, str or Study
        The state to show, or a study's folder.
    selection : Selection, optional
        What is chosen, shared with other panels.

    Attributes
    ----------
    model : QueriesModel
        The state.
    variant : Combobox
        The ablated model: type a part of its id.
    show, sort : RadioButtons, Dropdown
    threshold : BoundedFloatText
    figure : Figure
        The queries; a mark stands for one.
    table : Grid
    previous, next : Button
    status : HTML
    """

    _fields = ("variant", "show", "sort", "threshold")
    _shown = ("page", "query")
    _restarts: Mapping[str, str] = {"variant": "page", "sort": "page", "threshold": "page"}

    def __init__(
        self, source: QueriesModel | Path | str | Study, *, selection: Selection | None = None
    ) -> None:
        is_own = not isinstance(source, QueriesModel)
        super().__init__(
            source if isinstance(source, QueriesModel) else QueriesModel(source, selection=selection)
        )
        self.variant = variant_box(self.model.study.variants)
        self.show = segments("Show", SHOWS)
        self.sort = choice_box("Queries", SORTS)
        self.threshold = share_box("Score threshold")
        self.previous, self.next = self._looks.make_steps("queries")
        self.figure = Figure("object queries")
        self.table = Grid("Object queries", self._columns(), empty="No query to list.")
        self.status, self._nothing, self._how = HTML(), HTML(), HTML(self._how_compared())
        self._follow(self.figure, self._on_mark, "chosen")
        self._follow(self.table, self._on_row, "chosen")
        self._on_click(self.previous, self._on_step)
        self._on_click(self.next, self._on_step)
        if is_own:
            self._undo.append(self.model.close)
        self._assemble(
            self.variant,
            self.show,
            line(self.sort, self.threshold, self.previous, self.next),
            self.status,
            self._nothing,
            self.figure,
            self.table,
            self._how,
        )

    def _how_compared(self) -> str:
        """Return which boxes are compared, as HTML; nothing where it is those of the same query."""
        if not self.model.by_place:
            return ""
        why = _CHOSEN if self.model.study.chooses_queries else _UNKNOWN
        return f'<p class="dd-sub">{html_text(_BY_PLACE.format(why=why))}</p>'

    def snapshot(self) -> str:
        """Return the queries as plain HTML."""
        picture = self.model.picture()
        shown = picture_html(picture.named) if picture else self._nothing.value
        cells = [[str(cell) for cell in row.cells] for row in self.table.rows]
        table = table_html([one.title for one in self._columns()], cells, self.table.label)
        parts = f"{self.status.value}{shown}{table}{self._how.value}"
        return f'<section aria-label="Object queries of a study">{parts}</section>'

    def _show(self) -> None:
        model = self.model
        n, n_pages = len(model.changes.queries), model.n_pages()
        page = min(max(0, model.page), n_pages - 1)
        self.previous.disabled, self.next.disabled = page == 0, page == n_pages - 1
        picture = model.picture()
        nothing = f"<p>{html_text('No query reaches this score in any image.')}</p>"
        self._nothing.value = "" if picture else nothing
        chosen = "" if model.query is None else str(model.query)
        if picture is None:
            self.figure.show(marks=(), svg="", alt="", caption="", width=0.0, chosen="")
        else:
            self.figure.show(
                marks=picture.marks,
                svg=picture.svg,
                width=picture.width,
                alt=picture.named.caption,
                caption=picture.named.caption,
                subject=f"{model.show} {model.variant} {page}",
                chosen=picture.mark_of(chosen, ""),
            )
        rows = self._rows()
        caption = (
            f"What {model.variant} changes in queries: means over images; distances are shares of the image"
        )
        self.table.show(rows, label=caption, chosen=chosen if any(row.id == chosen for row in rows) else "")
        self.status.value = status_html(self._status(page, n))

    def _columns(self) -> tuple[Column, ...]:
        return _COLUMNS if self.model.by_place else tuple(one for one in _COLUMNS if one.key != "alone")

    def _rows(self) -> list[GridRow]:
        shown = self.model.shown()
        rows = []
        for i, query in enumerate(shown.queries.tolist()):
            x, y = (number_text(float(value), signed=True) for value in shown.shifts[i])
            cells = {
                "query": f"query {query}",
                "images": f"{shown.n_images[i]:,}",
                "alone": f"{shown.n_alone[i]:,}",
                "distance": number_text(float(shown.distances[i])),
                "shift": f"{x}, {y}",
                "giou": number_text(float(shown.giou[i])),
                "score": number_text(float(shown.score_changes[i]), signed=True),
            }
            rows.append(GridRow(str(query), tuple(cells[column.key] for column in self._columns())))
        return rows

    def _status(self, page: int, n: int) -> str:
        model = self.model
        missing = missing_weights(model.study)
        few = "" if n == model.n_queries else f" ({model.n_queries:,} in all)"
        chosen = "" if model.query is None else f" Chosen: query {model.query}."
        return (
            f"Queries {page * PAGE + 1 if n else 0:,} to {min(n, (page + 1) * PAGE):,} of {n:,}{few}, "
            f"{SORTS[model.sort]}, at score {model.threshold:g}, {SHOWS[model.show]}.{chosen}"
            f"{f' Warning: {missing}.' if missing else ''}{self._said}"
        )

    def _on_mark(self, change: Mapping[str, Any]) -> None:
        picture = self.model.picture()
        if not self._is_refreshing and change["new"] and picture is not None:
            self.model.query = int(picture.stands_for(change["new"])[0])

    def _on_row(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing and change["new"]:
            self.model.query = int(change["new"])

    def _on_step(self, button: Button) -> None:
        self.model.step(1 if button is self.next else -1)
