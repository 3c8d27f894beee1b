"""Points or cells of a picture as a list: the chosen one leads to its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ipywidgets import HTML, Button, Layout, Select, VBox

from dissect_core.text import visible

from ..base import Panel, labelled, line, status_html
from ..errors import StudyFolderError
from ..images import ImageBrowser
from ._model import ResultsModel
from ._summary import PlotPoint

POINTS_AT_MOST = 500


class PointList(Panel):
    """List of the points or cells of a picture, the largest loss first; part of `ResultsExplorer`.

    Parameters
    ----------
    model : ResultsModel
    show_images : callable, optional
        Called to show the images of the chosen point; without it, an `ImageBrowser` opens below.

    Attributes
    ----------
    points : Select
    previous, next, see_images : Button
        Choose the point before or after, and show the images of the chosen one.
    images : ImageBrowser or None
        The browser below, once images were asked for.
    choices : list of PlotPoint
        The first `POINTS_AT_MOST` points.
    """

    _title, _pages = "Points of the picture", ("said",)

    def __init__(self, model: ResultsModel, show_images: Callable[[], object] | None) -> None:
        super().__init__()
        self.model = model
        self.choices: list[PlotPoint] = []
        self.images: ImageBrowser | None = None
        self._elsewhere = show_images
        self.points = labelled(Select, "Points of the picture", rows=8)
        # JupyterLab keeps arrow keys in a list for itself: these buttons are the way by keyboard.
        self.previous, self.next = self._looks.make_steps("point")
        self.see_images = self._looks.make_button("Images of the chosen point")
        self.said, self.place = HTML(), VBox(layout=Layout(max_width="100%"))
        self._follow(self.points, self._on_point, "index")
        self._undo.append(self._close_images)
        self._on_click(self.previous, self._on_step)
        self._on_click(self.next, self._on_step)
        self._on_click(self.see_images, self._on_images)
        self._assemble(self.points, line(self.previous, self.next, self.see_images), self.said, self.place)

    def refresh(self) -> None:
        """List the points of the current picture, and mark the chosen one."""
        model = self.model
        with self._quietly():
            self.choices = model.points()[:POINTS_AT_MOST]
            labels = tuple(visible(point.label) for point in self.choices)
            if labels != tuple(self.points.options):  # setting them again would move the keyboard's focus
                self.points.options = labels
            chosen = [(point.variant, point.category or "") for point in self.choices]
            now = (model.variant, model.category)
            index = chosen.index(now) if now in chosen else None
            self.points.index = index
            self.previous.disabled = not index
            self.next.disabled = not chosen or index == len(chosen) - 1
            self.see_images.disabled = not model.variant or (model.folder is None and self._elsewhere is None)
            self._show_chosen()

    def _show_chosen(self) -> None:
        """Show the images of the chosen point in the browser below, once it is open."""
        model = self.model
        if self.images is not None and model.variant:
            images = self.images.model
            if (images.variant, images.category) != (model.variant, model.category):
                images.look_at(model.variant, model.category)

    def _on_point(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing and change["new"] is not None:
            self._choose(change["new"])

    def _choose(self, index: int) -> None:
        point = self.choices[index]
        self.model.choose(point.variant, point.category)

    def _close_images(self) -> None:
        self.place.children = ()
        if self.images is not None:
            self.images.close()

    def _on_step(self, button: Button) -> None:
        now = self.points.index
        by = 1 if button is self.next else -1
        self._choose(0 if now is None else min(max(0, now + by), len(self.choices) - 1))

    def _on_images(self, _: Button) -> None:
        if self._elsewhere is not None:
            self._elsewhere()
            return
        try:
            if self.images is None and self.model.folder is not None:
                self.images = ImageBrowser(self.model.folder)
                self.place.children = (self.images,)
        except StudyFolderError as error:
            self.said.value = status_html(f"No images: {error}")
        self._show_chosen()
