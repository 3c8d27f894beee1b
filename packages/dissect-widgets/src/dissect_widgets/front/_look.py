"""The look that all panels share: one style sheet, light or dark as the page is."""

from __future__ import annotations

from pathlib import Path

__all__ = ["LOOK", "look_html"]

LOOK = Path(__file__).with_name("look.css").read_text(encoding="utf-8")
"""The style sheet."""


def look_html() -> str:
    """Return the style sheet as HTML, for the first widget of a panel.

    Examples
    --------
    >>> look_html().startswith("<style>")
    True
    """
    return f"<style>{LOOK}</style>"
