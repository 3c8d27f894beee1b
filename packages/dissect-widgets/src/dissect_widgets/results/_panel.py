"""The results explorer: a study's pictures and tables, from its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Button, Checkbox, Dropdown, HBox, Layout, Text

from dissect_core import DissectError
from dissect_eval.study import StudyTables, title_of

from ..base._controls import Looks, close_all, status_html
from ..base._panel import Panel
from ..base._text import counted, html_text
from ..figure._figure_html import named_figure_html, number_text, table_html
from ._model import PAGE, SHOWS, VIEWS, ResultsModel
from ._points import POINTS_AT_MOST, PointList

_DIMMED = "opacity:0.7"  # seen at a glance, and still of enough contrast


class ResultsExplorer(Panel):
    """Panel that shows what a study found out; a point or cell that is chosen leads to its images.

    Parameters
    ----------
    source : ResultsModel, Path, str or StudyTables
        The state to show, or a study's folder.
    show_images : callable, optional
        What shows the images of the point that is chosen, instead of an `ImageBrowser` below.

    Attributes
    ----------
    model : ResultsModel
        The state. Observe ``variant`` and ``category`` to show the images of what is chosen.
    metric, view, show, theme, sort : Dropdown
        What is shown.
    chosen : PointList
        The picture's points or cells, the largest loss first, with the images of the one that is chosen.
    search : Text
        Words that rows of the table must hold.
    descending : Checkbox
    previous, next, save_table, save_picture : Button
    target : Text
        Folder to save in.
    status, remarks, pictures, table : HTML

    Examples
    --------
    >>> import tempfile
    >>> try:
    ...     ResultsExplorer(tempfile.mkdtemp())
    ... except DissectError as error:
    ...     print(type(error).__name__)
    StudyFolderError
    """

    def __init__(
        self,
        source: ResultsModel | Path | str | StudyTables,
        *,
        show_images: Callable[[], object] | None = None,
    ) -> None:
        model = source if isinstance(source, ResultsModel) else ResultsModel(source)
        self.model = model
        self._looks = Looks()
        self._is_refreshing = False
        self.metric = self._dropdown("Metric", [(title_of(name), name) for name in model.tables.metrics])
        self.view = self._dropdown("Picture", [(VIEWS[name], name) for name in model.views])
        self.show = self._dropdown("Cells show", [(name, name) for name in SHOWS])
        self.theme = self._dropdown("Page", [("light", "light"), ("dark", "dark")])
        self.search = Text(
            description="Search the table", continuous_update=False, layout=Layout(width="auto")
        )
        self.search.style.description_width = "initial"
        self.sort = self._dropdown("Sort by", [(name, name) for name in model.columns()])
        self.descending = Checkbox(description="Largest first", indent=False, layout=Layout(width="auto"))
        self.previous, self.next = (self._looks.make_button(f"{word} page") for word in ("Previous", "Next"))
        self.target = Text(
            value=str(model.folder or Path.cwd()),
            description="Save in",
            layout=Layout(width="auto", max_width="40rem"),
        )
        self.target.style.description_width = "initial"
        self.save_table = self._looks.make_button("Save table as CSV")
        self.save_picture = self._looks.make_button("Save picture as PNG")
        self.status, self.remarks, self.pictures, self.table = HTML(), HTML(), HTML(), HTML()
        self.chosen = PointList(model, show_images)
        wrap = Layout(flex_flow="row wrap", align_items="center")
        super().__init__(
            (
                HBox((self.metric, self.view, self.show, self.theme), layout=wrap),
                self.status,
                self.remarks,
                self.pictures,
                self.chosen,
                HBox((self.search, self.sort, self.descending, self.previous, self.next), layout=wrap),
                self.table,
                HBox((self.target, self.save_table, self.save_picture), layout=wrap),
            ),
            layout=Layout(max_width="100%"),
        )
        self._said = ""
        for name in self._fields:
            getattr(self, name).observe(self._on_field, "value")
        self.previous.on_click(self._on_page)
        self.next.on_click(self._on_page)
        self.save_table.on_click(self._on_save)
        self.save_picture.on_click(self._on_save)
        self.model.observe(self._refresh, (*self._fields, *self._shown))
        self._is_live = True
        self._refresh()

    _fields = ("metric", "view", "show", "theme", "sort", "search", "descending")
    _shown = ("page", "variant", "category", "outdated")

    def snapshot(self) -> str:
        """Show what the panel shows as plain HTML, which survives without a kernel and without widgets."""
        shown = "".join(part.value for part in (self.status, self.remarks, self.pictures, self.table))
        return f'<section aria-label="Results of a study">{shown}</section>'

    def close(self) -> None:
        """Close the panel and all of its widgets, and stop observing the model, which stays as it is."""
        if self._is_live:
            self._is_live = False
            self.model.unobserve(self._refresh, (*self._fields, *self._shown))
            for name in self._fields:
                getattr(self, name).unobserve_all()
            self.chosen.close()
            close_all(self)
            self._looks.close()
        super().close()

    def _dropdown(self, description: str, options: list[tuple[str, str]]) -> Dropdown:
        box = Dropdown(description=description, options=options, layout=Layout(width="auto"))
        box.style.description_width = "initial"
        return box

    def _refresh(self, _: Mapping[str, Any] | None = None) -> None:
        model = self.model
        with model.lock:
            if not self._is_live:
                return
            self._is_refreshing = True
            try:
                self.sort.options = [(name, name) for name in model.columns()]
                if model.sort not in model.columns():
                    model.sort = model.columns()[0]
                for name in self._fields:
                    getattr(self, name).value = getattr(model, name)
                self.show.disabled = model.view not in ("classes", "units")
                self.remarks.value = "".join(
                    f'<p role="note"><strong>{html_text(text)}</strong></p>' for text in model.remarks
                ) + "".join(f'<p role="note">Note: {html_text(text)}</p>' for text in model.notes)
                self._show_pictures()
                self._show_table()
                self.status.value = status_html(self._status())
            finally:
                self._is_refreshing = False

    def _show_pictures(self) -> None:
        model = self.model
        self.chosen.refresh()
        pages = [named_figure_html(one) for one in model.figures()]
        self.pictures.value = self._dimmed(
            "".join(pages) or f"<p>{html_text(VIEWS[model.view])}: nothing to show.</p>"
        )

    def _show_table(self) -> None:
        model = self.model
        rows, columns = model.rows(), model.columns()
        page = min(max(0, model.page), model.n_pages() - 1)
        shown = rows[page * PAGE : (page + 1) * PAGE]
        cells = [
            [number_text(row[name], signed=name.endswith("_difference")) for name in columns] for row in shown
        ]
        caption = (
            f"Rows {page * PAGE + 1:,} to {page * PAGE + len(shown):,} of {counted(len(rows), 'variant')}"
        )
        self.table.value = self._dimmed(
            table_html(columns, cells, caption if shown else "No variant matches the search")
        )
        self.previous.disabled, self.next.disabled = page == 0, page >= model.n_pages() - 1

    def _status(self) -> str:
        model = self.model
        about = model.tables.about
        n_points = len(model.choices())
        more = f" The list holds the first {POINTS_AT_MOST:,}." if n_points > POINTS_AT_MOST else ""
        chosen = (
            f" Chosen: {model.variant}{f', {model.category}' if model.category else ''}."
            if model.variant
            else ""
        )
        return (
            f"{about.get('study', 'study')}: {counted(len(model.tables.summary), 'variant')}, "
            f"{counted(int(about.get('n_images') or 0), 'image')}. {VIEWS[model.view]} of {model.title}, "
            f"{counted(n_points, 'point')}.{more}{chosen}{self._said}"
        )

    def _on_field(self, change: Mapping[str, Any]) -> None:
        if self._is_refreshing:
            return
        name = next(name for name in self._fields if getattr(self, name) is change["owner"])
        self._said = ""
        with self.model.lock, self.model.hold_trait_notifications():
            if name in ("search", "sort", "descending"):
                self.model.page = 0
            if name == "metric" and self.model.sort not in ("id", "ablation", "dose"):
                self.model.sort = "id"
            setattr(self.model, name, change["new"])

    def _dimmed(self, html: str) -> str:
        return f'<div style="{_DIMMED}">{html}</div>' if self.model.remarks else html

    def _on_page(self, button: Button) -> None:
        step = 1 if button is self.next else -1
        self.model.page = min(max(0, self.model.page + step), self.model.n_pages() - 1)

    def _on_save(self, button: Button) -> None:
        kind = "csv" if button is self.save_table else "png"
        name = f"results-{self.model.metric}" + ("" if kind == "csv" else f"-{self.model.view}")
        try:
            path = self.model.export(Path(self.target.value) / f"{name}.{kind}")
        except DissectError as error:
            self._said = f" Not saved: {error}"
        else:
            self._said = f" Saved: {path}"
        self._refresh()
