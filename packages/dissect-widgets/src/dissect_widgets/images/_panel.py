"""The image browser: truth, baseline and ablated detections side by side, sorted by what a variant changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ipywidgets import HTML, BoundedFloatText, Button, Combobox, Dropdown, HBox, Layout, Select, Text

from dissect_core.store import Study
from dissect_core.text import visible

from ..base._controls import Looks, close_all, status_html
from ..base._panel import Panel
from ..base._text import counted
from ..errors import UnknownNameError
from ..figure._figure_html import figure_html, number_text, table_html
from ._model import EVERY_CLASS, ORDERS, ImagesModel, Listed

LISTED_AT_MOST = 1000
CROPS = {"whole": "whole image", "boxes": "around the boxes"}


class ImageBrowser(Panel):
    """Panel that shows images of a study; its list is walked with the arrow keys.

    Parameters
    ----------
    source : ImagesModel, Path, str or Study
        The state to show, or a study's folder.
    images : Path or str, optional
        Folder of its images. Without it only images below the study's folder are shown; the field names it later.

    Attributes
    ----------
    model : ImagesModel
        The state.
    variant : Combobox
        The ablated model: type a part of its id.
    images : Text
        The folder of the images.
    category, order, crop, theme : Dropdown
    threshold, opacity : BoundedFloatText
    listed : Select
        The images, in order.
    previous, next : Button
    status, picture, pairs : HTML
    """

    _fields = ("images", "category", "order", "crop", "theme", "threshold", "opacity")

    def __init__(self, source: ImagesModel | Path | str | Study, *, images: Path | str | None = None) -> None:
        self.model = source if isinstance(source, ImagesModel) else ImagesModel(source, images=images)
        model = self.model
        self._looks = Looks()
        self._rows: list[Listed] = []
        self._is_refreshing = False
        self._wrong = ""
        self.variant = Combobox(
            description="Ablated variant",
            options=list(model.study.variants),
            ensure_option=False,
            continuous_update=False,
            layout=Layout(width="auto", max_width="40rem"),
        )
        self.images = Text(
            description="Folder of the images",
            continuous_update=False,
            layout=Layout(width="auto", max_width="40rem"),
        )
        self.category = self._dropdown(
            "Class", [("all classes", EVERY_CLASS), *((visible(n), n) for n in model.class_names)]
        )
        self.order = self._dropdown("Sort images by", [(text, name) for name, text in ORDERS.items()])
        self.crop = self._dropdown("Show", [(text, name) for name, text in CROPS.items()])
        self.theme = self._dropdown("Page", [("light", "light"), ("dark", "dark")])
        self.threshold, self.opacity = (
            BoundedFloatText(
                description=text,
                min=0,
                max=1,
                step=0.05,
                continuous_update=False,
                layout=Layout(width="auto"),
            )
            for text in ("Score threshold", "Opacity of boxes")
        )
        for each in (self.variant, self.images, self.threshold, self.opacity):
            each.style.description_width = "initial"
        self.listed = Select(description="Images", rows=6, layout=Layout(width="auto"))
        self.listed.style.description_width = "initial"
        self.previous, self.next = (self._looks.make_button(f"{word} image") for word in ("Previous", "Next"))
        self.status, self.picture, self.pairs = HTML(), HTML(), HTML()
        wrap = Layout(flex_flow="row wrap", align_items="center")
        super().__init__(
            (
                self.variant,
                self.images,
                HBox((self.category, self.threshold, self.order), layout=wrap),
                HBox((self.crop, self.opacity, self.theme, self.previous, self.next), layout=wrap),
                self.status,
                self.picture,
                self.listed,
                self.pairs,
            ),
            layout=Layout(max_width="100%"),
        )
        for name in self._fields:
            getattr(self, name).observe(self._on_field, "value")
        self.variant.observe(self._on_variant, "value")
        self.listed.observe(self._on_listed, "index")
        self.previous.on_click(self._on_step)
        self.next.on_click(self._on_step)
        self.model.observe(self._refresh, (*self._fields, "variant", "place"))
        self._is_live = True
        self._refresh()

    def snapshot(self) -> str:
        """Show what the panel shows as plain HTML, which survives without a kernel and without widgets."""
        shown = "".join(part.value for part in (self.status, self.picture, self.pairs))
        return f'<section aria-label="Images of a study">{shown}</section>'

    def close(self) -> None:
        """Close the panel and all of its widgets, and stop observing the model, which stays as it is."""
        if self._is_live:
            self._is_live = False
            self.model.unobserve(self._refresh, (*self._fields, "variant", "place"))
            for name in (*self._fields, "variant", "listed"):
                getattr(self, name).unobserve_all()
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
                for name in ("variant", *self._fields):
                    getattr(self, name).value = getattr(model, name)
                self._rows = model.listed()
                place = min(max(0, model.place), len(self._rows) - 1)
                lines = tuple(self._line(row) for row in self._rows[:LISTED_AT_MOST])
                if lines != tuple(self.listed.options):  # made anew, the list would lose the keyboard's place
                    self.listed.options = lines
                self.listed.index = place if place < LISTED_AT_MOST else None
                self.previous.disabled, self.next.disabled = place == 0, place == len(self._rows) - 1
                row = self._rows[place]
                self.picture.value = figure_html(model.figure(), self._caption(row), dpi=80, kind="jpeg")
                self.pairs.value = self._pairs(row)
                self.status.value = status_html(self._status(row, place))
            finally:
                self._is_refreshing = False

    def _line(self, row: Listed) -> str:
        return f"{visible(row.file_name)}: {row.lost} lost, {row.gained} found anew, {row.alarms:+d} false alarms"

    def _caption(self, row: Listed) -> str:
        truth, before, after = (len(part.boxes) for part in self.model.boxes(row.image))
        return (
            f"{row.file_name}: {counted(truth, 'object')}, {counted(before, 'detection')} of the baseline, "
            f"{counted(after, 'detection')} of {self.model.variant} at score {self.model.threshold:g} or more; "
            f"{row.lost} lost, {row.gained} found anew. 1 of {counted(len(self._rows), 'image')}; the legend says what "
            "the outlines mean."
        )

    def _pairs(self, row: Listed) -> str:
        cells = []
        for category, baseline, its_giou, ablated, other_giou in self.model.pairs(row.image):
            cells.append(
                [category, baseline or "–", number_text(its_giou), ablated or "–", number_text(other_giou)]
            )
        head = ("true box", "baseline", "its GIoU", "ablated", "its GIoU")
        return table_html(head, cells, "Matched pairs" if cells else "No true box to match")

    def _status(self, row: Listed, place: int) -> str:
        lost = sum(each.lost for each in self._rows)
        gained = sum(each.gained for each in self._rows)
        of = f" Class {self.model.category}." if self.model.category else ""
        missing = f" The image is not shown: {why}. Give its folder." if (why := self.model.why_grey) else ""
        cut = f" The list holds the first {LISTED_AT_MOST:,}." if len(self._rows) > LISTED_AT_MOST else ""
        return (
            f"Image {place + 1:,} of {len(self._rows):,}, {self._line(row)}. In all {counted(lost, 'object')} lost, "
            f"{gained:,} found anew by {self.model.variant} at score {self.model.threshold:g}.{of}{cut}{missing}"
            f"{''.join(f' {note}' for note in self.model.notes)}{self._wrong}"
        )

    def _on_field(self, change: Mapping[str, Any]) -> None:
        if self._is_refreshing:
            return
        name = next(name for name in self._fields if getattr(self, name) is change["owner"])
        self._wrong = ""
        with self.model.lock, self.model.hold_trait_notifications():
            if name in ("order", "category"):
                self.model.place = 0
            setattr(self.model, name, change["new"])

    def _on_variant(self, change: Mapping[str, Any]) -> None:
        if self._is_refreshing:
            return
        self._wrong = ""
        try:
            with self.model.lock, self.model.hold_trait_notifications():
                self.model.place = 0
                self.model.variant = change["new"]
        except UnknownNameError as error:
            self._wrong = f" {error}"
            self._refresh()

    def _on_listed(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing and change["new"] is not None:
            self.model.place = change["new"]

    def _on_step(self, button: Button) -> None:
        self.model.step(1 if button is self.next else -1)
