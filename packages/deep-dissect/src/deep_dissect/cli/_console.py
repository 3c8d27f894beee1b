"""The terminal: what is printed there is text, whatever names are in it."""

from __future__ import annotations

from typing import Any

import rich.console
import typer
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from dissect_core.text import cut, visible

__all__ = ["Console", "echo", "lines_of", "note", "one_line", "print_whole"]

MESSAGE_AT_MOST = 2000
"""Characters of an error's line."""


class Console(rich.console.Console):
    r"""A console of rich that prints every text as it is, in tables and trees too: no markup, and nothing unseen.

    Parameters
    ----------
    **options
        Of `rich.console.Console`.

    Examples
    --------
    >>> Console().print("[red]a[/red] :smile: \x1b[2J")
    [red]a[/red] :smile: \x1b[2J
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Make a `Text` of a string, without reading markup in it."""
        return super().render_str(visible(text), **{**options, "markup": False, "emoji": False})


def one_line(message: object) -> str:
    """Return what an error or a warning says, as one line of limited length: names in it may be of any length."""
    return cut(" ".join(str(message).split()), MESSAGE_AT_MOST)


def lines_of(text: str) -> Text:
    """Return a text whose line breaks are kept, such as a head of two lines."""
    return Text("\n".join(map(visible, text.split("\n"))))


def print_whole(table: Table | Tree) -> None:
    """Print a table or tree on standard output, wider than the screen rather than with names and numbers cut off."""
    console = Console()
    needed = Measurement.get(console, console.options.update(max_width=100_000), table).maximum
    Console(width=max(console.width, needed)).print(table)


def echo(text: object) -> None:
    """Print a line on standard output without breaking it, such as a path."""
    typer.echo(visible(str(text)))


def note(text: str) -> None:
    """Print a line on standard error, unless it is empty."""
    if text:
        Console(stderr=True, soft_wrap=True).print(text)
