"""A picture that answers to the pointer and to the keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import anywidget
from traitlets import Bool, Bytes, Float, List, Unicode

from ..errors import UnknownNameError
from ._look import text_of

__all__ = ["Figure", "Mark"]


class Mark(NamedTuple):
    """A place in a picture that can be chosen: a cell, a point, or a box.

    Attributes
    ----------
    id : str
        What is chosen; no other mark of the picture has it.
    label : str
        What it is, with its value and interval: shown while the pointer or the keyboard is there.
    box : tuple of float
        Left, top, width and height, as shares of the picture's size; of a point, its centre and its size.
    look : str
        How it is drawn: ``""`` (only while it is pointed at or chosen), ``"kept"``, ``"truth"``, ``"lost"``,
        ``"gained"`` or ``"alarm"``.
    shape : str
        ``"rect"`` or ``"point"``.
    tag : str
        A word that always stands at it, such as the name of a lost object.
    """

    id: str
    label: str
    box: tuple[float, float, float, float]
    look: str = ""
    shape: str = "rect"
    tag: str = ""


class Figure(anywidget.AnyWidget):
    """A picture with marks: pointing at one shows its label, a click chooses it, a double click opens it.

    By keyboard, arrows move between marks, Enter chooses one and then opens it, ``+``, ``-`` and ``0`` zoom. The wheel
    zooms, and a larger picture is moved by dragging. Without JavaScript, a panel's `snapshot` shows the picture.

    Parameters
    ----------
    name : str
        What the picture shows, in a few words.
    **traits
        Initial values.

    Attributes
    ----------
    svg : str
        Trait: the picture as SVG, or empty.
    image, mime : bytes, str
        Traits: the picture as the content of an image file, and its type, where `svg` is empty.
    width : float
        Trait: its width in pixels on a wide page; 0 for the width of the page.
    alt, caption : str
        Traits: what it shows, for who cannot see it, and the line below it.
    chosen : str
        Trait: id of the chosen mark, or empty.
    subject : str
        Trait: what the picture is of; if that changes, the whole picture is shown again.
    busy : bool
        Trait: whether another picture is being made.
    marks : tuple of Mark

    Examples
    --------
    >>> figure = Figure("heads", marks=[Mark("h0", "head 0: −0.05", (0.1, 0.1, 0.2, 0.2))])
    >>> opened = []
    >>> figure.on_open(opened.append)
    >>> figure.choose("h0")
    >>> figure.open_mark("h0")
    >>> figure.chosen, opened
    ('h0', ['h0'])
    >>> figure.close()
    """

    _esm = text_of("figure.js")
    _css = text_of("figure.css")

    name = Unicode().tag(sync=True)
    svg = Unicode().tag(sync=True)
    image = Bytes().tag(sync=True)
    mime = Unicode("image/png").tag(sync=True)
    width = Float(0.0).tag(sync=True)
    alt = Unicode().tag(sync=True)
    caption = Unicode().tag(sync=True)
    marks: List[Mark] = List().tag(sync=True, to_json=lambda marks, _: [mark._asdict() for mark in marks])
    chosen = Unicode().tag(sync=True)
    subject = Unicode().tag(sync=True)
    busy = Bool(False).tag(sync=True)

    def __init__(self, name: str, *, marks: Iterable[Mark] = (), **traits: Any) -> None:
        self._openers: list[Callable[[str], object]] = []
        super().__init__(name=name, marks=list(marks), **traits)
        self.on_msg(self._on_message)

    def choose(self, mark: str) -> None:
        """Choose a mark by its id, or none by an empty one.

        Raises
        ------
        UnknownNameError
            If the picture has no such mark.
        """
        self._check(mark)
        self.chosen = mark

    def open_mark(self, mark: str) -> None:
        """Open a mark, as a double click does: whatever `on_open` names is called with its id."""
        self._check(mark)
        for opener in self._openers:
            opener(mark)

    def on_open(self, opener: Callable[[str], object]) -> None:
        """Call a function with a mark's id when the user opens it."""
        self._openers.append(opener)

    def show(self, marks: Iterable[Mark] | None = None, **traits: Any) -> None:
        """Set picture and marks together; what did not change is not sent again."""
        with self.hold_sync():
            for trait, value in traits.items():
                setattr(self, trait, value)
            if marks is not None and (new := list(marks)) != self.marks:
                self.marks = new

    def _check(self, mark: str) -> None:
        if mark and not any(mark == one.id for one in self.marks):
            raise UnknownNameError(
                f"`mark` must be the id of one of the picture's {len(self.marks)} marks, got {mark!r}."
            )

    def _on_message(self, _: Any, content: Mapping[str, Any], __: Any) -> None:
        # A picture may have been replaced since the user clicked: then its mark is gone.
        if content.get("event") == "open" and any(content.get("id") == one.id for one in self.marks):
            self.open_mark(str(content["id"]))
