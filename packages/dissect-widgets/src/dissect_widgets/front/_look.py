"""The look that all panels share: one style sheet, light or dark as the page is."""

from __future__ import annotations

from pathlib import Path

__all__ = ["LOOK", "look_html", "text_of"]


def text_of(name: str) -> str:
    """Return a file beside this one as text: of a path, anywidget would watch the file, and keep every widget for ever.

    Examples
    --------
    >>> "dd-figure" in text_of("figure.css")
    True
    """
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


LOOK = text_of("look.css")
"""The style sheet."""


def look_html() -> str:
    """Return the style sheet as HTML, for the first widget of a panel.

    Examples
    --------
    >>> look_html().startswith("<style>")
    True
    """
    return f"<style>{LOOK}</style>"
