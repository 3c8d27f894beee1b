"""The question that comes before code of a stranger runs, and the box in which the user agrees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ipywidgets import HTML, Checkbox

from ._panel import Panel
from ._text import status_html


class TrustQuestion(Panel):
    """Asks whether code that a study or a detector names may run; shows nothing while nothing is asked.

    Parameters
    ----------
    agree : callable
        Called with True or False when the user ticks or clears the box.

    Attributes
    ----------
    text : HTML
    agreed : Checkbox

    Examples
    --------
    >>> question = TrustQuestion(print)
    >>> question.show("`detector.options` say 'config': 'detr.py', which may run code", False)
    >>> question.agreed.value = True
    True
    >>> question.close()
    """

    _title, _pages = "A question of trust", ("text",)

    def __init__(self, agree: Callable[[bool], object]) -> None:
        super().__init__()
        self._agree = agree
        self.text = HTML()
        self.agreed = Checkbox(
            description="I trust whoever made it: let it run",
            indent=False,
            style=self._looks.checkbox,
            layout=self._looks.control,
        )
        self._close_all_of(self.text, self.agreed)  # they are no children while nothing is asked
        self._assemble()
        self._follow(self.agreed, self._on_agreed, "value")

    def show(self, asked: str, is_agreed: bool) -> None:
        """Ask, or stop asking where `asked` is empty."""
        with self._quietly():
            self.agreed.value = is_agreed
            self.text.value = status_html(f"This runs code that somebody else may have written: {asked}.")
            self.children = (self.text, self.agreed) if asked else ()

    def _on_agreed(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing:
            self._agree(bool(change["new"]))
