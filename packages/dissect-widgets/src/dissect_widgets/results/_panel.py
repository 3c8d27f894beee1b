"""The results explorer: a study's answer, pictures and table, and what is chosen in them beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Button, HBox, Layout, Text, VBox

from dissect_eval.study import StudyTables, title_of

from ..base import (
    ModelPanel,
    Selection,
    choice_box,
    counted,
    html_text,
    labelled,
    line,
    segments,
    status_html,
)
from ..errors import StudyFolderError
from ..figure import picture_html, table_html
from ..front import Figure, Grid
from ..images import ImageSheet
from ._chosen import chosen_html
from ._model import SHOWS, VIEWS, ResultsModel
from ._table import columns_of, grid_rows

_NOTHING = "<p>Nothing is chosen. Click a cell, a point or a row; Enter chooses, too.</p>"


class ResultsExplorer(ModelPanel):
    """Panel that shows the tables and figures of a study that was run; a variant that is chosen is told of beside.

    A cell, a point and a row are the same choice: a click or Enter makes it, a double click or Enter again opens its
    images.

    Parameters
    ----------
    source : ResultsModel, Path, str or StudyTables
        The state to show, or a study's folder, or its tables.
    show_images : callable, optional
        Called to show the images of the chosen variant; without it, an `ImageBrowser` opens below.
    select : callable, optional
        Called with the id of the chosen variant to select what it removes in a model's tree; returns what to say.
    selection : Selection, optional
        What is chosen, shared with other panels.
    images : Path or str, optional
        Folder of the study's images. Without it only images below the study's folder are shown.

    Attributes
    ----------
    model : ResultsModel
        The state. Observe ``variant`` and ``category`` to learn what is chosen.
    metric, view, show : Dropdown, RadioButtons, Dropdown
        What is shown.
    figures : list of Figure
        The pictures: ``figures[0].choose(mark)``.
    search : Text
        Words that rows of the table must hold.
    table : Grid
        The variants.
    see_images, select_it : Button
    sheet : ImageSheet or None
        The images that lose most by the chosen variant.
    save_table, save_picture, target : Button, Button, Text
    title, status, remarks, chosen : HTML

    Examples
    --------
    >>> ResultsExplorer("no/such/folder")
    Traceback (most recent call last):
    dissect_widgets.errors.StudyFolderError: There is no folder no/such/folder. Give a study's folder.
    """

    _fields = ("metric", "view", "show", "search")
    _shown = ("sort", "descending", "variant", "category", "outdated")

    def __init__(
        self,
        source: ResultsModel | Path | str | StudyTables,
        *,
        show_images: Callable[[], object] | None = None,
        select: Callable[[str], str] | None = None,
        selection: Selection | None = None,
        images: Path | str | None = None,
    ) -> None:
        is_own = not isinstance(source, ResultsModel)
        model = source if isinstance(source, ResultsModel) else ResultsModel(source, selection=selection)
        super().__init__(model)
        self._elsewhere, self._select = show_images, select
        self._folder = str(images or "")
        self._shown_table: Any = None
        self.figures: list[Figure] = []
        self.title, self.status, self.remarks, self.chosen = HTML(), HTML(), HTML(), HTML()
        self.metric = choice_box("Metric", {name: title_of(name) for name in model.tables.metrics})
        self.view = segments("Picture", {name: VIEWS[name] for name in model.views})
        self.show = choice_box("Cells show", {name: name for name in SHOWS})
        self.search = labelled(Text, "Search", placeholder="words", continuous_update=False)
        self.table = Grid("Variants", names="name")
        self.sheet = ImageSheet(model.folder, images=self._folder) if model.folder is not None else None
        self.see_images = self._looks.make_button("See its images")
        self.see_images.add_class("dd-primary")
        self.select_it = Button(description="Select it in Model", layout=Layout(width="auto"))
        self.select_it.add_class("dd-link")
        self._close_all_of(self.select_it)  # not always among the children
        self._on_click(self.select_it, self._on_select)
        self.target = labelled(Text, "Save in", max_width="40rem", value=str(model.folder or Path.cwd()))
        self.save_table = self._looks.make_button("Save table as CSV")
        self.save_picture = self._looks.make_button("Save picture as PNG")
        self._pictures = VBox(layout=Layout(max_width="100%"))
        self._heading = HTML()
        self._below = VBox(layout=Layout(max_width="100%"))
        self._images: Any = None
        self._follow(self.table, self._on_row, "chosen")
        self.table.on("sort", self._guarded(self.model.sort_by, self.table))
        self.table.on("open", self._guarded(self._on_open_row, self.table))
        self._on_click(self.see_images, self._on_images)
        self._on_click(self.save_table, self._on_save)
        self._on_click(self.save_picture, self._on_save)
        if self.sheet is not None:
            self.sheet.figure.on_open(self._guarded(self._on_open_image, self.sheet))
            self._follow(self.sheet.figure, self._on_image, "chosen")
            self._own(self.sheet)
        self._undo.append(self._close_images)
        if is_own:
            self._undo.append(model.close)
        selecting = (line(self.select_it),) if select is not None else ()
        beside = VBox((self.chosen, self.see_images, *selecting, *([self.sheet] if self.sheet else ())))
        beside.add_class("dd-box")
        left = VBox((self._pictures, self._heading, self.search, self.table))
        self._columns = HBox((left, beside)).add_class("dd-two")
        self._assemble(
            self.title,
            self.remarks,
            self.view,
            line(self.metric, self.show),
            self._columns,
            self.status,
            self._below,
            line(self.target, self.save_table, self.save_picture),
        )

    def snapshot(self) -> str:
        """Return the answer, the pictures and the table as plain HTML."""
        model = self.model
        pictures = "".join(picture_html(one.named) for one in model.pictures())
        rows = model.rows()
        columns = [one for one in self.table.columns if one.kind != "interval"]
        keys = [one.key for one in self.table.columns]
        cells = []
        for i in model.order():
            made = self.table.rows[i].cells
            texts = [made[keys.index(one.key)] for one in columns]
            cells.append([str(text["text"]) if isinstance(text, Mapping) else str(text) for text in texts])
        table = table_html(
            [one.title for one in columns], cells, f"{counted(len(cells), 'variant')} of {len(rows):,}"
        )
        chosen = self.chosen.value if model.variant else ""
        return (
            f'<section aria-label="Results of a study">{self.title.value}{self.remarks.value}{pictures}{table}{chosen}'
            "</section>"
        )

    def _show(self) -> None:
        model = self.model
        answer, about = model.headline
        self.title.value = f'<h2>{html_text(answer)}</h2><p class="dd-sub">{html_text(about)}</p>'
        self.show.disabled = model.view not in ("classes", "units")
        remarks = [f'<p class="dd-warning"><strong>{html_text(text)}</strong></p>' for text in model.remarks]
        notes = [f"<p>{html_text(text)}</p>" for text in model.notes]
        told = f"<details><summary>Notes on these numbers ({len(notes)})</summary>{''.join(notes)}</details>"
        self.remarks.value = f'<div role="note">{"".join(remarks)}{told if notes else ""}</div>'
        for part in (self._pictures, self.table):
            (part.add_class if model.remarks else part.remove_class)("dd-outdated")
        self._show_pictures()
        self._show_table()
        self._show_chosen()
        self.status.value = status_html(self._status())

    def _show_pictures(self) -> None:
        model = self.model
        pictures = model.pictures()
        while len(self.figures) < len(pictures):
            figure = Figure("picture")
            figure.on_open(self._guarded(self._opener(len(self.figures)), figure))
            self._follow(figure, self._on_mark, "chosen")
            self._close_all_of(figure)
            self.figures.append(figure)
        for figure, one in zip(self.figures, pictures, strict=False):
            figure.show(
                marks=one.marks,
                name=one.named.name,
                svg=one.svg,
                width=one.width,
                alt=one.named.caption,
                caption=one.named.caption,
                subject=f"{model.view} {model.metric} {one.named.name}",
                chosen=one.mark_of(model.variant, model.category),
            )
        shown = tuple(self.figures[: len(pictures)])
        if self._pictures.children != shown:
            self._pictures.children = shown

    def _show_table(self) -> None:
        model = self.model
        rows = model.rows()
        if self._shown_table is not rows:
            confidence = float(model.tables.about["settings"].get("confidence", 0.95))
            columns = columns_of(rows, model.metric, confidence)
            made = grid_rows(rows, columns, model.metric)
            self.table.show(made, columns=columns, empty="No variant matches the search.")
            self._shown_table = rows
        order = model.order()
        chosen = model.variant if any(row.id == model.variant for row in rows) else ""
        self.table.show(order=order, sort=[model.sort, model.descending], chosen=chosen)
        way = "largest" if model.descending else "smallest"
        what = "largest loss first" if model.sort == "change" and not model.descending else f"{way} first"
        shown = (
            f"{len(order):,} of {counted(len(rows), 'variant')}" if len(order) < len(rows) else "All variants"
        )
        self._heading.value = f"<h3>{shown}, {what}</h3>"

    def _show_chosen(self) -> None:
        model = self.model
        chosen = model.chosen()
        self.chosen.value = chosen_html(chosen, model.metric, model.category) if chosen else _NOTHING
        self.select_it.disabled = chosen is None
        self.see_images.disabled = not model.variant or (model.folder is None and self._elsewhere is None)
        if self.sheet is not None:
            self.sheet.show(model.variant if chosen else "", model.category)
        if self._images is not None and model.variant:
            self._images.model.look_at(model.variant, model.category)

    def _status(self) -> str:
        model = self.model
        n = len(model.points())
        chosen = model.chosen()
        told = (
            f" Chosen: {chosen.row.name}{f', {model.category}' if model.category else ''}." if chosen else ""
        )
        about = model.tables.about
        return (
            f"{about.get('study', 'study')}: {counted(len(model.tables.summary), 'variant')}, "
            f"{counted(int(about.get('n_images') or 0), 'image')}. {VIEWS[model.view]} of {model.title}, "
            f"{counted(n, 'mark')}.{told}{self._said}"
        )

    def _on_mark(self, change: Mapping[str, Any]) -> None:
        if self._is_refreshing or not change["new"]:
            return
        number = next(i for i, one in enumerate(self.figures) if one is change["owner"])
        variant, category = self.model.pictures()[number].stands_for(change["new"])
        if variant:
            self.model.choose(variant, category)

    def _opener(self, number: int) -> Callable[[str], None]:
        def opened(mark: str) -> None:
            variant, category = self.model.pictures()[number].stands_for(mark)
            if variant:
                self.model.choose(variant, category)
                self._open_images()

        return opened

    def _on_row(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing and change["new"]:
            self.model.choose(change["new"])

    def _on_open_row(self, row: str) -> None:
        self.model.choose(row)
        self._open_images()

    def _on_image(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing and change["new"]:
            self.model.selection.image = int(change["new"])

    def _on_open_image(self, image: str) -> None:
        self.model.selection.image = int(image)
        self._open_images()

    def _on_images(self, _: Button) -> None:
        self._open_images()

    def _on_select(self, _: Button) -> None:
        if self._select is not None and self.model.variant:
            self._said = f" {self._select(self.model.variant)}"
            self._refresh()

    def _open_images(self) -> None:
        if self._elsewhere is not None:
            self._elsewhere()
            return
        from ..images import ImageBrowser

        if self._images is None and self.model.folder is not None:
            try:
                self._images = ImageBrowser(
                    self.model.folder, images=self._folder, selection=self.model.selection
                )
            except StudyFolderError as error:
                raise StudyFolderError(f"No images: {error}") from error
            self._below.children = (self._images,)

    def _close_images(self) -> None:
        self._below.children = ()
        if self._images is not None:
            self._images.close()

    def _on_save(self, button: Button) -> None:
        kind = "csv" if button is self.save_table else "png"
        name = f"results-{self.model.metric}" + ("" if kind == "csv" else f"-{self.model.view}")
        path = Path(self.target.value) / f"{name}.{kind}"
        self._attempt(lambda: f"Saved: {self.model.export(path)}", "Not saved: ")
