"""What panels have in common: shared looks, safe texts, and closing without leaving anything behind."""

from collections.abc import Iterable

from ipywidgets import Button, ButtonStyle, Layout, Widget
from ipywidgets.widgets.widget_bool import CheckboxStyle
from ipywidgets.widgets.widget_string import HTMLStyle

from ._text import html_text

_INDENT_REM = 1
_MAX_INDENT = 10  # levels; a phone's width is left to the text beyond them


class Looks:
    """Layouts and styles that many widgets of one panel share: each is a model in the browser.

    Examples
    --------
    >>> looks = Looks()
    >>> looks.row(2) is looks.row(2)
    True
    >>> looks.close()
    """

    def __init__(self) -> None:
        self.button = ButtonStyle()
        self.checkbox = CheckboxStyle(description_width="initial")
        self.html = HTMLStyle()
        self.control = Layout(width="auto", max_width="100%")
        self.text = Layout(min_width="0", max_width="100%")
        self._rows: dict[int, Layout] = {}

    def row(self, depth: int) -> Layout:
        """Layout of a row: it wraps where the page is narrow.

        Parameters
        ----------
        depth : int
            How far to indent.

        Returns
        -------
        Layout
            One and the same for all rows of a depth.
        """
        depth = min(depth, _MAX_INDENT)
        if depth not in self._rows:
            padding = f"0 0 0 {depth * _INDENT_REM}rem"
            self._rows[depth] = Layout(flex_flow="row wrap", align_items="center", padding=padding)
        return self._rows[depth]

    def close(self) -> None:
        """Close all of them, once no widget uses them any more."""
        for look in self.all():
            look.close()

    def all(self) -> tuple[Widget, ...]:
        """Every layout and style that widgets share."""
        return self.button, self.checkbox, self.html, self.control, self.text, *self._rows.values()

    def make_button(self, description: str = "") -> Button:
        """Make a button that has these looks.

        Parameters
        ----------
        description : str, optional
            Text on the button.

        Returns
        -------
        Button
            The button.
        """
        return Button(description=description, layout=self.control, style=self.button)


def close_all(widget: Widget, keep: Iterable[Widget] = ()) -> None:
    """Close a widget with its children, layouts and styles.

    Parameters
    ----------
    widget : Widget
        A widget none of whose parts is used elsewhere, but for `keep`. Closing it again does no harm.
    keep : iterable of Widget, optional
        Layouts and styles that other widgets go on using.
    """
    kept = tuple(keep)
    for child in getattr(widget, "children", ()):
        close_all(child, kept)
    parts = [getattr(widget, name, None) for name in ("layout", "style")]
    widget.close()
    for part in parts:
        if part is not None and not any(part is each for each in kept):
            part.close()


def status_html(text: str) -> str:
    """HTML of a line that screen readers announce when it changes.

    Parameters
    ----------
    text : str
        The line; escaped here.

    Returns
    -------
    str
        An element with ``role="status"``.

    Examples
    --------
    >>> status_html("<3 components")
    '<div role="status" style="overflow-wrap:anywhere">&lt;3 components</div>'
    """
    return f'<div role="status" style="overflow-wrap:anywhere">{html_text(text)}</div>'


def problem_html(error: str, details: str) -> str:
    """HTML of what made a job fail: type and message, and the traceback folded away.

    Parameters
    ----------
    error : str
        Type and message; empty if nothing failed.
    details : str
        The traceback, or nothing.

    Returns
    -------
    str
        Both escaped; empty without an error.

    Examples
    --------
    >>> problem_html("", "")
    ''
    >>> "<summary>Traceback</summary>" in problem_html("ValueError: <x>", "Traceback ...")
    True
    """
    if not error:
        return ""
    lines = "\n".join(html_text(line) for line in details.splitlines())
    pre = f'<pre tabindex="0" style="overflow-x:auto;width:0;min-width:100%">{lines}</pre>'
    more = f"<details><summary>Traceback</summary>{pre}</details>" if lines else ""
    return f'<div role="alert" style="overflow-wrap:anywhere"><strong>{html_text(error)}</strong></div>{more}'
