"""The image browser: truth, baseline and ablated detections side by side, sorted by what a variant changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Button, Select, Text

from dissect_core.store import Study
from dissect_core.text import visible

from ..base import ModelPanel, choice_box, counted, labelled, line, share_box, status_html, variant_box
from ..figure import figure_html, number_text, table_html
from ._model import CROPS, EVERY_CLASS, ORDERS, ImagesModel, ListedImage

LISTED_AT_MOST = 1000


class ImageBrowser(ModelPanel):
    """Panel that shows images of a study; the arrow keys move through its list.

    Parameters
    ----------
    source : ImagesModel, Path, str or Study
        The state to show, or a study's folder.
    images : Path or str, optional
        Folder of its images. Without it only images below the study's folder are shown, until the field names one.

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
        The images, in the chosen order.
    previous, next : Button
    status, picture, pairs : HTML
    """

    _title, _pages = "Images of a study", ("status", "picture", "pairs")
    _fields = ("variant", "images", "category", "order", "crop", "theme", "threshold", "opacity")
    _shown = ("place",)
    _restarts: Mapping[str, str] = {"variant": "place", "order": "place", "category": "place"}

    def __init__(self, source: ImagesModel | Path | str | Study, *, images: Path | str | None = None) -> None:
        super().__init__(source if isinstance(source, ImagesModel) else ImagesModel(source, images=images))
        self._rows: list[ListedImage] = []
        self.variant = variant_box(self.model.study.variants)
        self.images = labelled(Text, "Folder of the images", max_width="40rem", continuous_update=False)
        classes = {name: visible(name) for name in self.model.class_names}
        self.category = choice_box("Class", {EVERY_CLASS: "all classes", **classes})
        self.order = choice_box("Sort images by", ORDERS)
        self.crop = choice_box("Show", CROPS)
        self.theme = choice_box("Page", {"light": "light", "dark": "dark"})
        self.threshold, self.opacity = share_box("Score threshold"), share_box("Opacity of boxes")
        self.listed = labelled(Select, "Images", rows=6)
        self.previous, self.next = self._looks.make_steps("image")
        self.status, self.picture, self.pairs = HTML(), HTML(), HTML()
        self._follow(self.listed, self._on_listed, "index")
        self._on_click(self.previous, self._on_step)
        self._on_click(self.next, self._on_step)
        self._assemble(
            self.variant,
            self.images,
            line(self.category, self.threshold, self.order),
            line(self.crop, self.opacity, self.theme, self.previous, self.next),
            self.status,
            self.picture,
            self.listed,
            self.pairs,
        )

    def _show(self) -> None:
        model = self.model
        self._rows = model.listed()
        place = min(max(0, model.place), len(self._rows) - 1)
        lines = tuple(self._line(row) for row in self._rows[:LISTED_AT_MOST])
        if lines != tuple(self.listed.options):  # setting them again would move the keyboard's focus
            self.listed.options = lines
        self.listed.index = place if place < LISTED_AT_MOST else None
        self.previous.disabled, self.next.disabled = place == 0, place == len(self._rows) - 1
        row = self._rows[place]
        self.picture.value = figure_html(model.figure(), self._caption(row), dpi=80, kind="jpeg")
        self.pairs.value = self._pairs(row)
        self.status.value = status_html(self._status(row, place))

    def _line(self, row: ListedImage) -> str:
        return f"{visible(row.file_name)}: {row.lost} lost, {row.gained} found anew, {row.alarms:+d} false alarms"

    def _caption(self, row: ListedImage) -> str:
        truth, before, after = (len(part.boxes) for part in self.model.boxes(row.image))
        return (
            f"{row.file_name}: {counted(truth, 'object')}, {counted(before, 'detection')} of the baseline, "
            f"{counted(after, 'detection')} of {self.model.variant} at score {self.model.threshold:g} or more; "
            f"{row.lost} lost, {row.gained} found anew. 1 of {counted(len(self._rows), 'image')}; the legend says what "
            "the outlines mean."
        )

    def _pairs(self, row: ListedImage) -> str:
        cells = []
        for category, baseline, its_giou, ablated, other_giou in self.model.pairs(row.image):
            cells.append(
                [category, baseline or "–", number_text(its_giou), ablated or "–", number_text(other_giou)]
            )
        head = ("true box", "baseline", "its GIoU", "ablated", "its GIoU")
        return table_html(head, cells, "Matched pairs" if cells else "No true box to match")

    def _status(self, row: ListedImage, place: int) -> str:
        lost = sum(each.lost for each in self._rows)
        gained = sum(each.gained for each in self._rows)
        of = f" Class {self.model.category}." if self.model.category else ""
        missing = f" The image is not shown: {why}. Give its folder." if (why := self.model.why_grey) else ""
        cut = f" The list holds the first {LISTED_AT_MOST:,}." if len(self._rows) > LISTED_AT_MOST else ""
        return (
            f"Image {place + 1:,} of {len(self._rows):,}, {self._line(row)}. In all {counted(lost, 'object')} lost, "
            f"{gained:,} found anew by {self.model.variant} at score {self.model.threshold:g}.{of}{cut}{missing}"
            f"{''.join(f' {note}' for note in self.model.notes)}{self._said}"
        )

    def _on_listed(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing and change["new"] is not None:
            self.model.place = change["new"]

    def _on_step(self, button: Button) -> None:
        self.model.step(1 if button is self.next else -1)
