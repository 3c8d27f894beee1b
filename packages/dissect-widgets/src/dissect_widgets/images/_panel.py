"""The image browser: what a variant changes in each image, the images that lose most first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Accordion, Button, HBox, Layout, Text, VBox

from dissect_core.store import Study
from dissect_core.text import visible
from dissect_eval.study import variant_names

from ..base import (
    ModelPanel,
    Selection,
    choice_box,
    counted,
    html_text,
    labelled,
    line,
    segments,
    share_box,
    status_html,
    variant_box,
)
from ..figure import figure_html, number_text, table_html
from ..front import Cell, Column, Figure, Grid, GridRow, Slider
from ._model import CROPS, EVERY_CLASS, ORDERS, ImagesModel, ListedImage
from ._objects import FATES, ObjectChange
from ._sheet import COLUMNS, sheet_of

THUMBNAILS = 12
MODES = {"changes": "changes", "beside": "truth | whole | ablated"}
_OBJECTS = (
    Column("object", "Object"),
    Column("whole", "Whole", "number"),
    Column("ablated", "Ablated", "number"),
    Column("giou", "GIoU", "number"),
)
_LOOKS = {"lost": "lost", "gained": "gained", "kept": "", "missed": "faint"}


class ImageBrowser(ModelPanel):
    """Panel that shows what a variant changes in each image of a study, those that lose most first.

    Lost objects are red, those found anew green, those kept thin; what stands at a box is shown while the pointer is
    there. An object in the table and its box are the same choice.

    Parameters
    ----------
    source : ImagesModel, Path, str or Study
        The state to show, or a study's folder.
    images : Path or str, optional
        Folder of its images. Without it only images below the study's folder are shown, until the field names one.
    selection : Selection, optional
        What is chosen, shared with other panels.
    show_query : callable, optional
        Called to show the object query of the chosen object.

    Attributes
    ----------
    model : ImagesModel
        The state.
    variant : Combobox
        The ablated model: type a part of its id.
    images : Text
        The folder of the images.
    category, order, crop : Dropdown
    opacity : BoundedFloatText
    threshold : Slider
    mode : RadioButtons
        One picture with the changes, or truth, whole and ablated model side by side.
    figure : Figure
        The image with its boxes.
    sheet : Figure
        Small pictures of the images; a mark's id is the number of its image.
    objects : Grid
        The true objects of the image.
    previous, next, see_query : Button
    title, status, beside, query : HTML
    """

    _fields = ("variant", "images", "category", "order", "crop", "opacity", "threshold")
    _shown = ("image", "query")

    def __init__(
        self,
        source: ImagesModel | Path | str | Study,
        *,
        images: Path | str | None = None,
        selection: Selection | None = None,
        show_query: Callable[[], object] | None = None,
    ) -> None:
        is_own = not isinstance(source, ImagesModel)
        model = (
            source
            if isinstance(source, ImagesModel)
            else ImagesModel(source, images=images, selection=selection)
        )
        super().__init__(model)
        self._names = _names_of(model)
        self._elsewhere = show_query
        self._changes: list[ObjectChange] = []
        self._sheet_key: Any = None
        self.variant = variant_box(model.study.variants)
        self.images = labelled(Text, "Folder of the images", max_width="40rem", continuous_update=False)
        classes = {name: visible(name) for name in model.class_names}
        self.category = choice_box("Class", {EVERY_CLASS: "all classes", **classes})
        self.order = choice_box("Sort images by", ORDERS)
        self.crop = choice_box("Side by side, show", CROPS)
        self.opacity = share_box("Opacity of boxes there")
        self.threshold = Slider("Score threshold")
        self.mode = segments("Show", MODES)
        self.previous, self.next = self._looks.make_steps("image")
        self.see_query = Button(description="See this query")
        self.figure, self.sheet = Figure("image"), Figure("images by loss")
        self.objects = Grid(
            "Objects of the image", _OBJECTS, height="18rem", empty="No true object is in this image."
        )
        self.title, self.status, self.beside, self.query, self._legend = (HTML() for _ in range(5))
        self._cut = HTML()
        self._more = Accordion(
            (VBox((self.variant, self.images, line(self.category, self.order, self.crop, self.opacity))),),
            titles=("Variant, class, order, folder",),
        )
        self._follow(self.mode, self._refresh, "value")
        self._follow(self.figure, self._on_mark, "chosen")
        self._follow(self.objects, self._on_object, "chosen")
        self._follow(self.sheet, self._on_thumbnail, "chosen")
        self._on_click(self.previous, self._on_step)
        self._on_click(self.next, self._on_step)
        self._on_click(self.see_query, self._on_query)
        if is_own:
            self._undo.append(model.close)
        left = VBox((self.figure, self.beside, self._legend), layout=Layout(max_width="100%"))
        right = VBox(
            (
                VBox((self.objects, self.query, self.see_query)).add_class("dd-box"),
                HTML("<h3>Images by loss</h3>"),
                self.sheet,
                self._cut,
            )
        )
        self._assemble(
            self.title,
            line(self.mode, self.threshold, self.previous, self.next),
            HBox((left, right)).add_class("dd-two"),
            self.status,
            self._more,
        )

    def snapshot(self) -> str:
        """Return the image with truth, baseline and ablated detections side by side, and its objects, as plain HTML."""
        row = self.model.shown
        cells = [_texts(one) for one in self.model.changes(row.image)]
        table = table_html([one.title for one in _OBJECTS], cells, f"Objects of {row.file_name}")
        return (
            f'<section aria-label="Images of a study">{self.title.value}{self.status.value}{self._beside(row)}{table}'
            "</section>"
        )

    def _show(self) -> None:
        model = self.model
        row, place, n = model.shown, model.place, len(model.listed())
        self._changes = model.changes(row.image)
        self.previous.disabled, self.next.disabled = place == 0, place == n - 1
        name = self._names.get(model.variant, model.variant)
        counts = {fate: sum(one.fate == fate for one in self._changes) for fate in FATES}
        marks = model.marks(row.image)
        alarms = sum(mark.look == "alarm" for mark in marks)
        chips = "".join(
            f'<span class="dd-chip">{text}</span>'
            for text in (
                f"{counts['lost']} lost",
                f"{counts['gained']} found anew",
                f"{counts['kept']} kept",
                *([f"{counts['missed']} missed by both"] if counts["missed"] else []),
                *([counted(alarms, "new false alarm")] if alarms else []),
            )
        )
        removed = "" if model.variant == model.baseline else " removed"
        self.title.value = f"<h2>{html_text(name[:1].upper() + name[1:] + removed)}</h2><div>{chips}</div>"
        if self.mode.value == "changes":
            content, kind = model.picture(row.image)
            chosen = self.figure.chosen if any(mark.id == self.figure.chosen for mark in marks) else ""
            self.figure.show(
                marks=marks,
                name=row.file_name,
                image=content,
                mime=kind,
                alt=self._alt(row, counts, alarms),
                subject=str(row.image),
                chosen=chosen,
            )
            self._legend.value = (
                '<p class="dd-sub">Red: lost. Green: found anew. Thin white: kept. Dashed white: missed by both. '
                "Dashed orange: new false alarm.</p>"
            )
        self.figure.layout.display = None if self.mode.value == "changes" else "none"
        self._legend.layout.display = self.figure.layout.display
        self.beside.value = self._beside(row) if self.mode.value == "beside" else ""
        rows = [GridRow(f"object {one.place}", _cells(one), visible(one.category)) for one in self._changes]
        self.objects.show(rows, chosen=self.figure.chosen if self.figure.chosen.startswith("object") else "")
        self._show_query()
        self._show_sheet(row)
        self.status.value = status_html(self._status(row, place))

    def _show_sheet(self, shown: ListedImage) -> None:
        model = self.model
        listed = model.listed()
        start = min(max(0, model.place - THUMBNAILS // 3), max(0, len(listed) - THUMBNAILS))
        rows = listed[start : start + THUMBNAILS]
        key = model.images, model.variant, model.category, model.threshold, tuple(rows)
        if key != self._sheet_key:
            content, size, marks = sheet_of(model, rows, COLUMNS)
            alt = f"{counted(len(rows), 'image')}, small"
            self.sheet.show(marks=marks, image=content, width=float(size[0]), alt=alt)
            self._sheet_key = key
        self.sheet.chosen = str(shown.image)
        if len(rows) < len(listed):
            text = f"Images {start + 1:,} to {start + len(rows):,} of {len(listed):,}, sorted by {ORDERS[model.order]}."
            self._cut.value = f'<p class="dd-sub">{text}</p>'
        else:
            self._cut.value = ""

    def _show_query(self) -> None:
        """Say which object query found the chosen object, and what that query finds now."""
        model, row = self.model, self.model.shown
        one = self._object()
        self.see_query.layout.display = "none" if self._elsewhere is None else None
        self.see_query.disabled = model.query is None
        if one is None:
            self.query.value = '<p class="dd-sub">Choose an object to see what found it.</p>'
            return
        text = f"{one.category}: {FATES[one.fate]}."
        query = None if one.before is None else model.query_of(model.baseline, row.image, one.before.place)
        if one.before is not None:
            now = model.found_at(row.image, one.before.box)
            by = "" if now is None or now.query is None else f" (query {now.query})"
            finds = f"finds {now.category} at {now.score:.2f}{by}" if now else "finds nothing"
            found = "" if query is None else f" Query {query} found it."
            text += f"{found} At its place the ablated model {finds}."
        if query is not None:
            with self._quietly():
                model.query = query
            self.see_query.disabled = False
        self.query.value = f"<p>{html_text(text)}</p>"

    def _object(self) -> ObjectChange | None:
        place = self.figure.chosen.removeprefix("object ")
        return next((one for one in self._changes if str(one.place) == place), None)

    def _alt(self, row: ListedImage, counts: Mapping[str, int], alarms: int) -> str:
        told = ", ".join(f"{n} {FATES[fate]}" for fate, n in counts.items() if n)
        return f"{row.file_name}: {counted(len(self._changes), 'object')} ({told or 'none'}), {alarms} new false alarms"

    def _beside(self, row: ListedImage) -> str:
        return figure_html(self.model.figure(), self._caption(row), dpi=80, kind="jpeg")

    def _line(self, row: ListedImage) -> str:
        return f"{visible(row.file_name)}: {row.lost} lost, {row.gained} found anew, {row.alarms:+d} false alarms"

    def _caption(self, row: ListedImage) -> str:
        truth, before, after = (len(part.boxes) for part in self.model.boxes(row.image))
        return (
            f"{row.file_name}: {counted(truth, 'object')}, {counted(before, 'detection')} of the baseline, "
            f"{counted(after, 'detection')} of {self.model.variant} at score {self.model.threshold:g} or more; "
            f"{row.lost} lost, {row.gained} found anew; the legend says what the outlines mean."
        )

    def _status(self, row: ListedImage, place: int) -> str:
        model = self.model
        listed = model.listed()
        lost, gained = sum(each.lost for each in listed), sum(each.gained for each in listed)
        of = f" Class {model.category}." if model.category else ""
        missing = f" The image is not shown: {why}. Give its folder." if (why := model.why_grey) else ""
        return (
            f"Image {place + 1:,} of {len(listed):,}, {self._line(row)}. In all {counted(lost, 'object')} lost, "
            f"{gained:,} found anew at score {model.threshold:g}.{of}{missing}"
            f"{''.join(f' {note}' for note in model.notes)}{self._said}"
        )

    def _on_mark(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing:
            self._refresh()

    def _on_object(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing and change["new"]:
            self.figure.chosen = change["new"]

    def _on_thumbnail(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing and change["new"]:
            self.model.image = int(change["new"])

    def _on_step(self, button: Button) -> None:
        self.model.step(1 if button is self.next else -1)

    def _on_query(self, _: Button) -> None:
        if self._elsewhere is not None:
            self._elsewhere()


def _cells(one: ObjectChange) -> tuple[Cell, ...]:
    name, before, after, giou = _texts(one)
    return (
        {"text": name, "look": ""},
        before,
        {"text": after, "look": _LOOKS[one.fate]},
        giou,
    )


def _texts(one: ObjectChange) -> list[str]:
    """Return the cells of an object: its class, and its score and GIoU in the whole and in the ablated model."""
    missing = {"lost": "lost", "missed": "missed"}
    before = f"{one.before.score:.2f}" if one.before else "missed"
    after = f"{one.after.score:.2f}" if one.after else missing[one.fate]
    overlaps = [number_text(side.giou) if side else "–" for side in (one.before, one.after)]
    return [visible(one.category), before, after, " \N{RIGHTWARDS ARROW} ".join(overlaps)]


def _names_of(model: ImagesModel) -> Mapping[str, str]:
    """Return names of the study's variants for people, as far as its tables are there."""
    from dissect_eval import EvalError
    from dissect_eval.study import StudyTables

    try:
        return variant_names(StudyTables.read(model.study.path).summary)
    except (EvalError, OSError):
        return {}
