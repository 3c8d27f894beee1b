"""The query panel: where each object query's boxes are, and where an ablation moves them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ipywidgets import HTML, BoundedFloatText, Button, Combobox, Dropdown, HBox, Layout

from dissect_core.store import Study
from dissect_eval.study import missing_weights

from ..base._controls import Looks, close_all, status_html
from ..base._panel import Panel
from ..base._text import html_text
from ..errors import UnknownNameError
from ..figure._figure_html import named_figure_html, number_text, table_html
from ._model import PAGE, SHOWS, SORTS, QueriesModel


class QueryPanel(Panel):
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

    _fields = ("show", "sort", "theme", "threshold")

    def __init__(self, source: QueriesModel | Path | str | Study) -> None:
        self.model = source if isinstance(source, QueriesModel) else QueriesModel(source)
        self._looks = Looks()
        self._is_refreshing = False
        self._wrong = ""
        self.variant = Combobox(
            description="Ablated variant",
            options=list(self.model.study.variants),
            ensure_option=False,
            continuous_update=False,
            layout=Layout(width="auto", max_width="40rem"),
        )
        self.show = self._dropdown("Show", SHOWS)
        self.sort = self._dropdown("Queries", SORTS)
        self.theme = self._dropdown("Page", {"light": "light", "dark": "dark"})
        self.threshold = BoundedFloatText(
            description="Score threshold",
            min=0,
            max=1,
            step=0.05,
            continuous_update=False,
            layout=Layout(width="auto"),
        )
        for each in (self.variant, self.threshold):
            each.style.description_width = "initial"
        self.previous, self.next = (
            self._looks.make_button(f"{word} queries") for word in ("Previous", "Next")
        )
        self.status, self.picture, self.table = HTML(), HTML(), HTML()
        wrap = Layout(flex_flow="row wrap", align_items="center")
        super().__init__(
            (
                self.variant,
                HBox((self.show, self.sort, self.threshold), layout=wrap),
                HBox((self.theme, self.previous, self.next), layout=wrap),
                self.status,
                self.picture,
                self.table,
            ),
            layout=Layout(max_width="100%"),
        )
        for name in self._fields:
            getattr(self, name).observe(self._on_field, "value")
        self.variant.observe(self._on_variant, "value")
        self.previous.on_click(self._on_step)
        self.next.on_click(self._on_step)
        self.model.observe(self._refresh, (*self._fields, "variant", "page"))
        self._is_live = True
        self._refresh()

    def snapshot(self) -> str:
        """Show what the panel shows as plain HTML, which survives without a kernel and without widgets."""
        shown = "".join(part.value for part in (self.status, self.picture, self.table))
        return f'<section aria-label="Object queries of a study">{shown}</section>'

    def close(self) -> None:
        """Close the panel and all of its widgets, and stop observing the model, which stays as it is."""
        if self._is_live:
            self._is_live = False
            self.model.unobserve(self._refresh, (*self._fields, "variant", "page"))
            for name in (*self._fields, "variant"):
                getattr(self, name).unobserve_all()
            close_all(self)
            self._looks.close()
        super().close()

    def _dropdown(self, description: str, options: Mapping[str, str]) -> Dropdown:
        pairs = [(text, name) for name, text in options.items()]
        box = Dropdown(description=description, options=pairs, layout=Layout(width="auto"))
        box.style.description_width = "initial"
        return box

    def _refresh(self, _: Mapping[str, Any] | None = None) -> None:
        model = self.model
        with model.lock:
            if not self._is_live:
                return
            self._is_refreshing = True
            try:
                for name in ("variant", *self._fields):
                    getattr(self, name).value = getattr(model, name)
                n, n_pages = len(model.changes.queries), model.n_pages()
                page = min(max(0, model.page), n_pages - 1)
                self.previous.disabled, self.next.disabled = page == 0, page == n_pages - 1
                drawn = model.figure()
                self.picture.value = (
                    named_figure_html(drawn, dpi=80)
                    if drawn
                    else f"<p>{html_text('No query scores so much in any image.')}</p>"
                )
                self.table.value = self._table(page, n)
                missing = missing_weights(model.study)
                few = "" if n == model.n_queries else f" ({model.n_queries:,} in all)"
                self.status.value = status_html(
                    f"Queries {page * PAGE + 1 if n else 0:,} to {min(n, (page + 1) * PAGE):,} of {n:,}{few}, "
                    f"{SORTS[model.sort]}, at score {model.threshold:g}, {SHOWS[model.show]}."
                    f"{f' Warning: {missing}.' if missing else ''}{self._wrong}"
                )
            finally:
                self._is_refreshing = False

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

    def _on_field(self, change: Mapping[str, Any]) -> None:
        if self._is_refreshing:
            return
        name = next(name for name in self._fields if getattr(self, name) is change["owner"])
        self._wrong = ""
        with self.model.lock, self.model.hold_trait_notifications():
            if name in ("sort", "threshold"):
                self.model.page = 0
            setattr(self.model, name, change["new"])

    def _on_variant(self, change: Mapping[str, Any]) -> None:
        if self._is_refreshing:
            return
        self._wrong = ""
        try:
            with self.model.lock, self.model.hold_trait_notifications():
                self.model.page = 0
                self.model.variant = change["new"]
        except UnknownNameError as error:
            self._wrong = f" {error}"
            self._refresh()

    def _on_step(self, button: Button) -> None:
        self.model.step(1 if button is self.next else -1)
