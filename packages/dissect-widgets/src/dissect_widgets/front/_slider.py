"""A slider that has a name, unlike that of ipywidgets."""

from __future__ import annotations

from typing import Any

import anywidget
from traitlets import Float, Unicode

from ._look import text_of

__all__ = ["Slider"]


class Slider(anywidget.AnyWidget):
    """A slider for a number: the browser's own, with its words before it and its value behind.

    Attributes
    ----------
    label : str
        Trait: what the number is.
    value, min, max, step : float
        Traits.

    Examples
    --------
    >>> slider = Slider("Score threshold", value=0.3)
    >>> slider.value
    0.3
    >>> slider.close()
    """

    _esm = text_of("slider.js")
    _css = text_of("slider.css")

    label = Unicode().tag(sync=True)
    value = Float(0.0).tag(sync=True)
    min = Float(0.0).tag(sync=True)
    max = Float(1.0).tag(sync=True)
    step = Float(0.01).tag(sync=True)

    def __init__(self, label: str, **traits: Any) -> None:
        super().__init__(label=label, **traits)

    @property
    def description(self) -> str:
        """Return its words, as for other controls."""
        return str(self.label)
