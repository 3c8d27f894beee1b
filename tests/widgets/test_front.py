"""The parts that run in the browser, from their Python side: what is sent, what is chosen, what is called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dissect_eval.plots import value_heatmap
from dissect_widgets.base import close_all
from dissect_widgets.errors import UnknownNameError
from dissect_widgets.figure import page_colours, shares_of, svg_of
from dissect_widgets.front import Column, Figure, Grid, GridRow, Mark

MARKS = [Mark("a", "head 0", (0.0, 0.0, 0.5, 1.0)), Mark("b", "head 1", (0.5, 0.0, 0.5, 1.0))]
ROWS = [GridRow("x", ("head 0", "−0.1")), GridRow("y", ("head 1", "+0.2"))]
COLUMNS = [Column("name", "Head"), Column("change", "Change", "number", sortable=True)]


def sent(widget: Any) -> list[str]:
    """Names of the traits that a widget sends from now on, into a list that grows."""
    names: list[str] = []
    widget.observe(lambda change: names.append(change["name"]))
    return names


def test_a_click_in_the_browser_chooses_and_a_double_click_opens() -> None:
    figure, opened = Figure("heads", marks=MARKS), []
    figure.on_open(opened.append)
    figure.set_state({"chosen": "b"})  # as the browser does
    figure._on_message(figure, {"event": "open", "id": "b"}, [])
    assert (figure.chosen, opened) == ("b", ["b"])
    close_all(figure)


def test_a_click_on_a_mark_that_is_gone_does_nothing() -> None:
    figure, opened = Figure("heads", marks=MARKS), []
    figure.on_open(opened.append)
    figure.show(marks=MARKS[:1])
    figure._on_message(figure, {"event": "open", "id": "b"}, [])
    figure._on_message(figure, {"event": "unheard of"}, [])
    assert opened == []
    close_all(figure)


def test_from_python_an_unknown_mark_or_row_is_refused() -> None:
    figure, grid = Figure("heads", marks=MARKS), Grid("Heads", COLUMNS)
    grid.show(ROWS)
    for act in (figure.choose, figure.open_mark, grid.choose, lambda one: grid.do("open", one)):
        with pytest.raises(UnknownNameError, match="'z'"):
            act("z")
    close_all(figure)
    close_all(grid)


def test_what_did_not_change_is_not_sent_again() -> None:
    figure = Figure("heads", marks=MARKS, svg="<svg/>", alt="a map")
    names = sent(figure)
    figure.show(marks=list(MARKS), svg="<svg/>", alt="another map")
    assert names == ["alt"]
    grid = Grid("Heads", COLUMNS)
    grid.show(ROWS)
    names = sent(grid)
    grid.show(list(ROWS), order=[1, 0])
    assert names == ["order"]
    close_all(figure)
    close_all(grid)


def test_a_grid_tells_its_program_what_the_user_does() -> None:
    grid, told = Grid("Heads", COLUMNS), []
    grid.show(ROWS)
    for event in ("sort", "open", "toggle", "check", "dot"):
        grid.on(event, lambda *what, event=event: told.append((event, *what)))
    for content in (
        {"event": "sort", "column": "change"},
        {"event": "open", "id": "x"},
        {"event": "dot", "id": "y", "dot": "3"},
        {"event": "check", "id": "gone"},
        {"event": "unheard of", "id": "x"},
    ):
        grid._on_message(grid, content, [])
    assert told == [("sort", "change"), ("open", "x"), ("dot", "y", "3")]
    close_all(grid)


def test_a_figure_in_the_pages_colours_keeps_the_colours_of_its_data() -> None:
    with page_colours():
        figure = value_heatmap([[0.1, -0.1]], ["layer <0>"], ["a", "b"], value_label="AP")
    text = svg_of(figure)
    assert "var(--dd-fg" in text
    assert "layer &lt;0&gt;" in text
    # No fixed background: the page's own shows.
    assert "#ffffff" not in text.split('<g id="axes_1">')[0]


def test_marks_lie_where_the_cells_are_drawn() -> None:
    with page_colours():
        figure = value_heatmap(np.zeros((2, 2)), ["0", "1"], ["a", "b"], value_label="AP")
        svg_of(figure)
    cells = [(c - 0.5, c + 0.5, r - 0.5, r + 0.5) for r in range(2) for c in range(2)]
    first, second, third, _ = shares_of(figure, figure.axes[0], cells)
    assert first[0] + first[2] == pytest.approx(second[0])  # the next column begins where this one ends
    assert first[1] + first[3] == pytest.approx(third[1])  # so does the next row, below
    assert all(0 <= share <= 1 for box in (first, second, third) for share in box)
