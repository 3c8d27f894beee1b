"""The question that comes before code of a stranger runs, and the box in which the user agrees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ipywidgets import HTML, Checkbox, Layout, VBox

from ..base._controls import Looks, close_all, status_html


class Question(VBox):  # type: ignore[misc]  # ipywidgets has no types
    """What a study asks for, and whether the user agrees; shows nothing while nothing is asked.

    Parameters
    ----------
    agree : callable
        Takes whether the user agrees, when he says so.

    Attributes
    ----------
    text : HTML
    agreed : Checkbox

    Examples
    --------
    >>> question = Question(print)
    >>> question.show("`detector.options` say 'config': 'detr.py', which may run code", False)
    >>> question.agreed.value = True
    True
    >>> question.close()
    """

    def __init__(self, agree: Callable[[bool], object]) -> None:
        self._agree, self._looks, self._is_refreshing = agree, Looks(), False
        self.text = HTML()
        self.agreed = Checkbox(
            description="I trust whoever made it: let it run",
            indent=False,
            style=self._looks.checkbox,
            layout=self._looks.control,
        )
        super().__init__((), layout=Layout(max_width="100%"))
        self.agreed.observe(self._on_agreed, "value")

    def show(self, asked: str, is_agreed: bool) -> None:
        """Ask, or stop asking where `asked` is empty."""
        self._is_refreshing = True
        try:
            self.agreed.value = is_agreed
            self.text.value = status_html(f"This runs code that somebody else may have written: {asked}.")
            self.children = (self.text, self.agreed) if asked else ()
        finally:
            self._is_refreshing = False

    def close(self) -> None:
        """Close it with all that it holds."""
        self.agreed.unobserve_all()
        for each in (self.text, self.agreed):
            close_all(each, self._looks.all())
        self._looks.close()
        self.layout.close()
        super().close()

    def _on_agreed(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing:
            self._agree(bool(change["new"]))
