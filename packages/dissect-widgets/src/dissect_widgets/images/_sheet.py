"""The images that lose most by a variant as one picture of small ones, each of which can be chosen."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ipywidgets import HTML

from dissect_core.text import visible

from ..base import Panel, counted, html_text, status_html
from ..errors import StudyFolderError
from ..front import Figure, Mark
from ._model import ImagesModel, ListedImage
from ._pixels import pillow_image

__all__ = ["ImageSheet", "sheet_of"]

COLUMNS = 4
WIDTH, HEIGHT, GAP = 168, 126, 8
SHOWN = 8
_COLOURS = {"lost": ((217, 45, 32), 3), "gained": ((10, 157, 92), 3), "kept": ((255, 255, 255), 1)}


def sheet_of(
    model: ImagesModel, rows: Sequence[ListedImage], columns: int = COLUMNS
) -> tuple[bytes, tuple[int, int], tuple[Mark, ...]]:
    """Return small pictures of some images with what becomes of their objects, as one picture.

    Parameters
    ----------
    model : ImagesModel
    rows : sequence of ListedImage
        At least one.
    columns : int

    Returns
    -------
    tuple of (bytes, (int, int), tuple of Mark)
        The content of a PNG file, its width and height, and a mark for each image, whose id is its number.
    """
    from PIL import Image, ImageDraw

    n_rows = -(-len(rows) // columns)
    across = min(columns, len(rows))
    size = (across * (WIDTH + GAP) - GAP, n_rows * (HEIGHT + GAP) - GAP)
    sheet = Image.new("RGBA", size, (0, 0, 0, 0))
    marks = []
    for place, row in enumerate(rows):
        left, top = (place % columns) * (WIDTH + GAP), (place // columns) * (HEIGHT + GAP)
        pixels = model.pixels(row.image)
        small = pillow_image(pixels).resize((WIDTH, HEIGHT))
        scale = np.array([WIDTH / pixels.shape[1], HEIGHT / pixels.shape[0]] * 2)
        pen = ImageDraw.Draw(small)
        for one in reversed(model.changes(row.image)):
            if one.fate in _COLOURS:
                colour, thick = _COLOURS[one.fate]
                x0, y0, x1, y1 = (np.array(one.after.box if one.after else one.box) * scale).tolist()
                pen.rectangle(
                    (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), outline=colour, width=thick
                )
        sheet.paste(small, (left, top))
        share = (left / size[0], top / size[1], WIDTH / size[0], HEIGHT / size[1])
        label = f"{visible(row.file_name)}: {row.lost} lost, {row.gained} found anew, {row.alarms:+d} false alarms"
        marks.append(Mark(str(row.image), label, share))
    sink = io.BytesIO()
    sheet.save(sink, "PNG", compress_level=1)
    return sink.getvalue(), size, tuple(marks)


class ImageSheet(Panel):
    """The images that lose most by a variant; part of `ResultsExplorer`.

    Parameters
    ----------
    source : Path or ImagesModel
        A study's folder, which is read when a variant is shown first.
    images : str, optional
        Folder of its images.

    Attributes
    ----------
    figure : Figure
        The small pictures; a mark's id is the number of its image.
    said : HTML
    """

    _title, _pages = "Images that lose most", ("said",)

    def __init__(self, source: Path | ImagesModel, *, images: str = "") -> None:
        super().__init__()
        self._source = source
        self._model: ImagesModel | None = None
        self._problem = ""
        self._key: tuple[str, str, str] | None = None
        self.figure, self.said = Figure("images that lose most"), HTML()
        self.folder = images
        self._undo.append(self._close_model)
        self._assemble(self.said, self.figure)

    def show(self, variant: str, category: str = "") -> None:
        """Show the images that lose most by a variant, or none."""
        key = variant, category, self.folder
        if key == self._key:
            return
        self._key = key
        model = self._opened() if variant else None
        if model is None:
            self.figure.show(marks=(), image=b"", alt="", width=0.0)
            self.said.value = status_html(f"No images: {self._problem}") if variant and self._problem else ""
            return
        model.images = self.folder
        model.look_at(variant, category)
        rows = [row for row in model.listed() if row.lost][:SHOWN] or model.listed()[:COLUMNS]
        image, size, marks = sheet_of(model, rows)
        n_lost = sum(1 for row in model.listed() if row.lost)
        self.figure.show(
            marks=marks,
            image=image,
            width=float(size[0]),
            alt=f"{counted(len(rows), 'image')} as small pictures: {'; '.join(mark.label for mark in marks)}",
            subject=f"{variant} {category}",
            chosen="",
        )
        more = f" {len(rows)} of {counted(n_lost, 'image')} that lose objects." if n_lost > len(rows) else ""
        text = f"Images that lose most.{more} Enter opens, arrows move."
        self.said.value = f'<p class="dd-sub">{html_text(text)}</p>'

    def _opened(self) -> ImagesModel | None:
        if self._model is None and not self._problem:
            try:
                source = self._source
                self._model = source if isinstance(source, ImagesModel) else ImagesModel(source)
            except StudyFolderError as error:
                self._problem = str(error)
        return self._model

    def _close_model(self) -> None:
        if self._model is not None and self._model is not self._source:
            self._model.close()
