"""Figures as HTML that needs nothing else: an image with its description, and its numbers as a table."""

import base64
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from dissect_eval.plots import figure_bytes
from dissect_eval.study import NamedFigure

from ..base import html_text

# As wide as the page, however wide the table is, and so low that the rest of the page stays in sight.
_SCROLL = "overflow:auto;width:0;min-width:100%;max-height:26rem"
_TABLE = "border-collapse:collapse;line-height:1.3;font-variant-numeric:tabular-nums"
_HEAD = "text-align:left;vertical-align:bottom;border-bottom:1px solid"
_ROW = "border-bottom:1px solid #80808040"


def figure_html(
    figure: Any, caption: str, table: str = "", *, dpi: int = 96, kind: Literal["png", "jpeg"] = "png"
) -> str:
    """Return a figure as an image with alternative text, its caption, and its data folded away.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    caption : str
        What it shows, in a sentence; escaped here.
    table : str, optional
        HTML of its numbers, see `table_html`.
    dpi : int, default 96
        Pixels per inch.
    kind : {"png", "jpeg"}
        Format of the image: photographs take a fifth of the bytes as JPEG.

    Returns
    -------
    str
        HTML without scripts that needs no network.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> page = figure_html(Figure(figsize=(1, 1)), "Nothing & more")
    >>> page.startswith('<figure style="margin:0"><img alt="Nothing &amp; more"')
    True
    """
    data = base64.b64encode(figure_bytes(figure, kind, dpi=dpi)).decode()
    text = html_text(caption)
    more = f"<details><summary>Numbers of this picture</summary>{table}</details>" if table else ""
    return (
        f'<figure style="margin:0"><img alt="{text}" style="max-width:100%;height:auto" '
        f'src="data:image/{kind};base64,{data}"><figcaption>{text}</figcaption></figure>{more}'
    )


def table_html(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    """Return a table as HTML; its first column names the rows, and all texts are escaped.

    Parameters
    ----------
    head : sequence of str
        Titles of the columns.
    rows : iterable of sequence of str
        Cells.
    caption : str
        What the table holds.

    Returns
    -------
    str
        HTML in a box that scrolls on its own where the page is narrow, by keyboard too.

    Examples
    --------
    >>> "a&lt;b</th><td>1</td></tr>" in table_html(["name", "n"], [["a<b", "1"]], "counts")
    True
    """
    titles = "".join(f'<th scope="col" style="{_HEAD}">{html_text(title)}</th>' for title in head)
    body = "".join(
        f'<tr style="{_ROW}"><th scope="row" style="text-align:left">{html_text(row[0])}</th>'
        + "".join(f"<td>{html_text(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    name = html_text(caption)
    return (
        f'<div style="{_SCROLL}" tabindex="0" role="region" aria-label="{name}">'
        f'<table cellpadding="4" style="{_TABLE}">'
        f'<caption style="text-align:left">{name}</caption>'
        f"<thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def named_figure_html(named: NamedFigure, *, dpi: int = 96) -> str:
    """Return a figure as HTML, with its caption, and its numbers folded away."""
    head, rows = named.data
    # Each table gets a name of its own, because tables are landmarks of the page for screen readers.
    cells = [[number_text(cell) for cell in row] for row in rows]
    table = table_html(head, cells, f"Numbers of the picture {named.name}") if head else ""
    return figure_html(named.figure, named.caption, table, dpi=dpi)


def number_text(value: object, *, signed: bool = False) -> str:
    """Return the text of a cell: three decimals, a dash for an undefined value.

    Examples
    --------
    >>> number_text(0.12345), number_text(-0.5, signed=True), number_text(float("nan")), number_text(7)
    ('0.123', '−0.500', '–', '7')
    """
    if value is None or value != value:  # NaN differs from itself
        return "–"
    if isinstance(value, float):
        return f"{value:{'+' if signed else ''}.3f}".replace("-", "\N{MINUS SIGN}")
    return str(value)
