"""Points or cells of a picture as a list: what is chosen leads to its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ipywidgets import HTML, Button, HBox, Layout, Select, VBox

from dissect_core.text import visible

from ..base._controls import Looks, close_all, status_html
from ..errors import StudyFolderError
from ..images._panel import ImageBrowser
from ._model import ResultsModel
from ._rows import Choice

POINTS_AT_MOST = 500


class PointList(VBox):  # type: ignore[misc]  # ipywidgets has no types
    """List of what a picture of the results shows, the largest loss first; part of `ResultsExplorer`.

    Parameters
    ----------
    model : ResultsModel
    show_images : callable, optional
        What shows the images of the point that is chosen, instead of an `ImageBrowser` below.

    Attributes
    ----------
    points : Select
    previous, next, see_images : Button
        Walk the points, and show the images of the one that is chosen.
    images : ImageBrowser or None
        Once they were asked for.
    choices : list of Choice
        The points, the first `POINTS_AT_MOST`.
    """

    _is_live = False

    def __init__(self, model: ResultsModel, show_images: Callable[[], object] | None) -> None:
        self.model = model
        self.choices: list[Choice] = []
        self.images: ImageBrowser | None = None
        self._elsewhere = show_images
        self._is_refreshing = False
        self._looks = Looks()
        self.points = Select(description="Points of the picture", rows=8, layout=Layout(width="auto"))
        self.points.style.description_width = "initial"
        # JupyterLab keeps arrow keys in a list for itself: these buttons are the way by keyboard.
        self.previous, self.next = (self._looks.make_button(f"{word} point") for word in ("Previous", "Next"))
        self.see_images = self._looks.make_button("Images of the chosen point")
        self.said, self.place = HTML(), VBox(layout=Layout(max_width="100%"))
        wrap = Layout(flex_flow="row wrap", align_items="center")
        super().__init__(
            (
                self.points,
                HBox((self.previous, self.next, self.see_images), layout=wrap),
                self.said,
                self.place,
            ),
            layout=Layout(max_width="100%"),
        )
        self.points.observe(self._on_point, "index")
        self.previous.on_click(self._on_step)
        self.next.on_click(self._on_step)
        self.see_images.on_click(self._on_images)
        self._is_live = True

    def close(self) -> None:
        """Close it with all that it holds."""
        if self._is_live:
            self._is_live = False
            self.points.unobserve_all()
            self.place.children = ()
            if self.images is not None:
                self.images.close()
            close_all(self)
            self._looks.close()
        super().close()

    def refresh(self) -> None:
        """Show the points of the current picture, and which of them is chosen."""
        model = self.model
        self._is_refreshing = True
        try:
            self.choices = model.choices()[:POINTS_AT_MOST]
            labels = tuple(visible(choice.label) for choice in self.choices)
            if labels != tuple(self.points.options):  # made anew, the list would lose the keyboard's place
                self.points.options = labels
            chosen = [(one.variant, one.category or "") for one in self.choices]
            now = (model.variant, model.category)
            place = chosen.index(now) if now in chosen else None
            self.points.index = place
            self.previous.disabled = not place
            self.next.disabled = not chosen or place == len(chosen) - 1
            self.see_images.disabled = not model.variant or (model.folder is None and self._elsewhere is None)
            self._follow()
        finally:
            self._is_refreshing = False

    def _follow(self) -> None:
        """Images that are shown are those of what is chosen."""
        model = self.model
        if self.images is not None and model.variant:
            images = self.images.model
            if (images.variant, images.category) != (model.variant, model.category):
                images.look_at(model.variant, model.category)

    def _on_point(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing and change["new"] is not None:
            self.model.choose(self.choices[change["new"]])

    def _on_step(self, button: Button) -> None:
        now = self.points.index
        by = 1 if button is self.next else -1
        self.model.choose(self.choices[0 if now is None else min(max(0, now + by), len(self.choices) - 1)])

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
        self._follow()
