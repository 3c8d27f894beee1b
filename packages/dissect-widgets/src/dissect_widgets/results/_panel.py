"""The results explorer: a study's pictures and tables, from its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Button, Checkbox, Layout, Text

from dissect_eval.study import StudyTables, title_of

from ..base import ModelPanel, choice_box, counted, html_text, labelled, line, status_html
from ..figure import named_figure_html, number_text, table_html
from ._model import PAGE, SHOWS, VIEWS, ResultsModel
from ._points import POINTS_AT_MOST, PointList

_DIMMED = "opacity:0.7"  # easily seen, and of enough contrast to be read


class ResultsExplorer(ModelPanel):
    """Panel that shows the results of a study; a chosen point or cell leads to its images.

    Parameters
    ----------
    source : ResultsModel, Path, str or StudyTables
        The state to show, or a study's folder.
    show_images : callable, optional
        Called to show the images of the chosen point; without it, an `ImageBrowser` opens below.

    Attributes
    ----------
    model : ResultsModel
        The state. Observe ``variant`` and ``category`` to learn what is chosen.
    metric, view, show, theme, sort : Dropdown
        What is shown.
    chosen : PointList
        The picture's points or cells, the largest loss first, with the images of the chosen one.
    search : Text
        Words that rows of the table must hold.
    descending : Checkbox
    previous, next, save_table, save_picture : Button
    target : Text
        Folder to save in.
    status, remarks, pictures, table : HTML

    Examples
    --------
    >>> ResultsExplorer("no/such/folder")
    Traceback (most recent call last):
    dissect_widgets.errors.StudyFolderError: There is no folder no/such/folder. Give a study's folder.
    """

    _title, _pages = "Results of a study", ("status", "remarks", "pictures", "table")
    _fields = ("metric", "view", "show", "theme", "sort", "search", "descending")
    _shown = ("page", "variant", "category", "outdated")
    _restarts: Mapping[str, str] = {"search": "page", "sort": "page", "descending": "page"}

    def __init__(
        self,
        source: ResultsModel | Path | str | StudyTables,
        *,
        show_images: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(source if isinstance(source, ResultsModel) else ResultsModel(source))
        model = self.model
        self.metric = choice_box("Metric", {name: title_of(name) for name in model.tables.metrics})
        self.view = choice_box("Picture", {name: VIEWS[name] for name in model.views})
        self.show = choice_box("Cells show", {name: name for name in SHOWS})
        self.theme = choice_box("Page", {"light": "light", "dark": "dark"})
        self.search = labelled(Text, "Search the table", continuous_update=False)
        self.sort = choice_box("Sort by", {name: name for name in model.columns()})
        self.descending = Checkbox(description="Largest first", indent=False, layout=Layout(width="auto"))
        self.previous, self.next = self._looks.make_steps("page")
        folder = str(model.folder or Path.cwd())
        self.target = labelled(Text, "Save in", max_width="40rem", value=folder)
        self.save_table = self._looks.make_button("Save table as CSV")
        self.save_picture = self._looks.make_button("Save picture as PNG")
        self.status, self.remarks, self.pictures, self.table = HTML(), HTML(), HTML(), HTML()
        self.chosen = self._own(PointList(model, show_images))
        self._on_click(self.previous, self._on_page)
        self._on_click(self.next, self._on_page)
        self._on_click(self.save_table, self._on_save)
        self._on_click(self.save_picture, self._on_save)
        self._assemble(
            line(self.metric, self.view, self.show, self.theme),
            self.status,
            self.remarks,
            self.pictures,
            self.chosen,
            line(self.search, self.sort, self.descending, self.previous, self.next),
            self.table,
            line(self.target, self.save_table, self.save_picture),
        )

    def _show_fields(self) -> None:
        columns = self.model.columns()  # of the current metric
        self.sort.options = [(name, name) for name in columns]
        if self.model.sort not in columns:
            self.model.sort = columns[0]
        super()._show_fields()

    def _show(self) -> None:
        model = self.model
        self.show.disabled = model.view not in ("classes", "units")
        remarks = [f"<strong>{html_text(text)}</strong>" for text in model.remarks]
        notes = [f"Note: {html_text(text)}" for text in model.notes]
        self.remarks.value = "".join(f'<p role="note">{text}</p>' for text in (*remarks, *notes))
        self._show_pictures()
        self._show_table()
        self.status.value = status_html(self._status())

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
        n_points = len(model.points())
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

    def _set_field(self, name: str, value: Any) -> None:
        if name == "metric" and self.model.sort not in ("id", "ablation", "dose"):
            self.model.sort = "id"  # columns of the other metric are gone
        super()._set_field(name, value)

    def _dimmed(self, html: str) -> str:
        return f'<div style="{_DIMMED}">{html}</div>' if self.model.remarks else html

    def _on_page(self, button: Button) -> None:
        step = 1 if button is self.next else -1
        self.model.page = min(max(0, self.model.page + step), self.model.n_pages() - 1)

    def _on_save(self, button: Button) -> None:
        kind = "csv" if button is self.save_table else "png"
        name = f"results-{self.model.metric}" + ("" if kind == "csv" else f"-{self.model.view}")
        path = Path(self.target.value) / f"{name}.{kind}"
        self._attempt(lambda: f"Saved: {self.model.export(path)}", "Not saved: ")
