"""The query panel: where each object query's boxes are, and where an ablation moves them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ipywidgets import HTML, Button

from dissect_core.store import Study
from dissect_eval.study import missing_weights

from ..base import ModelPanel, choice_box, html_text, line, share_box, status_html, variant_box
from ..figure import named_figure_html, number_text, table_html
from ._model import PAGE, SHOWS, SORTS, QueriesModel


class QueryPanel(ModelPanel):
    """Panel that shows the object queries of a study's detector, a page at a time.

    Parameters
    ----------
    source : QueriesModel, Path, str or Study
        The state to show, or a study's folder.

    Attributes
    ----------
    model : QueriesModel
        The state.
    variant : Combobox
        The ablated model: type a part of its id.
    show, sort, theme : Dropdown
    threshold : BoundedFloatText
    previous, next : Button
    status, picture, table : HTML
    """

    _title, _pages = "Object queries of a study", ("status", "picture", "table")
    _fields = ("variant", "show", "sort", "theme", "threshold")
    _shown = ("page",)
    _restarts: Mapping[str, str] = {"variant": "page", "sort": "page", "threshold": "page"}

    def __init__(self, source: QueriesModel | Path | str | Study) -> None:
        super().__init__(source if isinstance(source, QueriesModel) else QueriesModel(source))
        self.variant = variant_box(self.model.study.variants)
        self.show = choice_box("Show", SHOWS)
        self.sort = choice_box("Queries", SORTS)
        self.theme = choice_box("Page", {"light": "light", "dark": "dark"})
        self.threshold = share_box("Score threshold")
        self.previous, self.next = self._looks.make_steps("queries")
        self.status, self.picture, self.table = HTML(), HTML(), HTML()
        self._on_click(self.previous, self._on_step)
        self._on_click(self.next, self._on_step)
        self._assemble(
            self.variant,
            line(self.show, self.sort, self.threshold),
            line(self.theme, self.previous, self.next),
            self.status,
            self.picture,
            self.table,
        )

    def _show(self) -> None:
        model = self.model
        n, n_pages = len(model.changes.queries), model.n_pages()
        page = min(max(0, model.page), n_pages - 1)
        self.previous.disabled, self.next.disabled = page == 0, page == n_pages - 1
        drawn = model.figure()
        nothing = f"<p>{html_text('No query reaches this score in any image.')}</p>"
        self.picture.value = named_figure_html(drawn, dpi=80) if drawn else nothing
        self.table.value = self._table(page, n)
        self.status.value = status_html(self._status(page, n))

    def _status(self, page: int, n: int) -> str:
        model = self.model
        missing = missing_weights(model.study)
        few = "" if n == model.n_queries else f" ({model.n_queries:,} in all)"
        return (
            f"Queries {page * PAGE + 1 if n else 0:,} to {min(n, (page + 1) * PAGE):,} of {n:,}{few}, "
            f"{SORTS[model.sort]}, at score {model.threshold:g}, {SHOWS[model.show]}."
            f"{f' Warning: {missing}.' if missing else ''}{self._said}"
        )

    def _table(self, page: int, n: int) -> str:
        rows = self.model.shown()
        cells = [
            [
                f"query {query}",
                f"{images:,}",
                number_text(float(distance)),
                f"{number_text(float(shift[0]), signed=True)}, {number_text(float(shift[1]), signed=True)}",
                number_text(float(giou)),
                number_text(float(score), signed=True),
            ]
            for query, images, _, shift, distance, giou, score in zip(*rows, strict=True)
        ]
        head = ("query", "images", "distance", "shift x, y", "GIoU with baseline", "change of score")
        first = page * PAGE + 1 if n else 0
        caption = (
            f"What {self.model.variant} changes in queries {first:,} to {first + len(cells) - 1:,} of {n:,}: means "
            "over images; distances are shares of the image"
        )
        return table_html(head, cells, caption if cells else "No query to list")

    def _on_step(self, button: Button) -> None:
        self.model.step(1 if button is self.next else -1)
