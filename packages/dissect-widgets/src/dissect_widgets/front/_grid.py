"""A table, or a tree in a table, with a head that stays in sight, columns to sort by, and rows to choose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import anywidget
from traitlets import Bool, List, Unicode

from ..errors import UnknownNameError
from ._look import text_of

__all__ = ["Cell", "Column", "Grid", "GridRow"]

Cell: TypeAlias = "str | Mapping[str, Any] | Sequence[Mapping[str, Any]] | None"
"""Content of a cell, by the kind of its column; None shows a dash."""

GridEvent: TypeAlias = Literal["sort", "open", "toggle", "check", "dot"]
EVENTS: tuple[GridEvent, ...] = get_args(GridEvent)


class Column(NamedTuple):
    """A column of a grid.

    Attributes
    ----------
    key, title : str
        Its name in the program, and in its head; the head may be empty where `label` says what it is.
    kind : str
        What its cells are: ``"text"`` (str, or ``{"text", "note", "look", "title"}``), ``"number"`` (the same, aligned
        at the right), ``"interval"`` (``{"value", "low", "high", "sure", "text"}``), ``"bar"`` (``{"share", "text"}``),
        ``"dots"`` (a list of ``{"id", "label", "on", "apart"}``, the last for a gap before it),
        ``"check"`` (``{"on", "label"}``, None for some of it).
    sortable : bool
    low, high : float
        Ends of the scale that all intervals of the column share.
    help, label : str
        Shown while the pointer is at the head; and the name of a column whose head is empty.
    aside : bool
        Whether it is left out where there is little room.
    """

    key: str
    title: str
    kind: Literal["text", "number", "interval", "bar", "dots", "check"] = "text"
    sortable: bool = False
    low: float = 0.0
    high: float = 1.0
    help: str = ""
    label: str = ""
    aside: bool = False


class GridRow(NamedTuple):
    """A row of a grid.

    Attributes
    ----------
    id : str
    cells : tuple of Cell
        One for each column.
    label : str
        What the row is, for screen readers, where its first cell does not say it.
    depth : int
        Of a tree: how deep the row lies.
    open : bool or None
        Of a tree: whether what lies below the row is shown; None if nothing does.
    """

    id: str
    cells: tuple[Cell, ...]
    label: str = ""
    depth: int = 0
    open: bool | None = None


class Grid(anywidget.AnyWidget):
    """A table whose rows can be chosen by pointer and keyboard; the order is the program's.

    Arrows move between rows, Enter chooses one and then opens it, Space ticks its box, Left and Right close and open a
    branch of a tree.

    Parameters
    ----------
    label : str
        What the table holds.
    columns : iterable of Column, optional
    **traits
        Initial values.

    Attributes
    ----------
    columns, rows : list
        Traits: of `Column` and of `GridRow`.
    order : list of int
        Trait: which rows are shown, and in which order, by their index.
    names : str
        Trait: key of the column that names the rows.
    sort : list of (str, bool)
        Trait: key of the column that the order follows, and whether the largest come first.
    chosen : str
        Trait: id of the chosen row, or empty.
    can_choose, is_tree : bool
        Traits.
    empty : str
        Trait: what is said where no row is shown.
    height : str
        Trait: how high it may be before it scrolls, as in CSS.

    Examples
    --------
    >>> grid = Grid("Heads", [Column("name", "Head"), Column("loss", "Change", "number", sortable=True)])
    >>> grid.show([GridRow("a", ("head 0", "−0.05")), GridRow("b", ("head 1", "+0.01"))], order=[1, 0])
    >>> grid.choose("b")
    >>> grid.chosen, [grid.rows[i].id for i in grid.order]
    ('b', ['b', 'a'])
    >>> grid.close()
    """

    _esm = text_of("grid.js")
    _css = text_of("grid.css")

    label = Unicode().tag(sync=True)
    columns: List[Column] = List().tag(
        sync=True, to_json=lambda columns, _: [one._asdict() for one in columns]
    )
    rows: List[GridRow] = List().tag(sync=True, to_json=lambda rows, _: [row._asdict() for row in rows])
    order: List[int] = List().tag(sync=True)
    names = Unicode().tag(sync=True)
    sort = List(["", False]).tag(sync=True)
    chosen = Unicode().tag(sync=True)
    can_choose = Bool(True).tag(sync=True)
    is_tree = Bool(False).tag(sync=True)
    empty = Unicode("Nothing to show.").tag(sync=True)
    height = Unicode("30rem").tag(sync=True)

    def __init__(self, label: str, columns: Iterable[Column] = (), **traits: Any) -> None:
        self._handlers: dict[str, list[Callable[..., object]]] = {}
        columns = list(columns)
        traits.setdefault("names", columns[0].key if columns else "")
        super().__init__(label=label, columns=columns, **traits)
        self.on_msg(self._on_message)

    def show(
        self, rows: Iterable[GridRow] | None = None, order: Iterable[int] | None = None, **traits: Any
    ) -> None:
        """Set rows, order and further traits together; what did not change is not sent again."""
        with self.hold_sync():
            for trait, value in traits.items():
                setattr(self, trait, value)
            if rows is not None and (new := list(rows)) != self.rows:
                self.rows = new
                order = range(len(new)) if order is None else order
            if order is not None:
                self.order = list(order)

    def choose(self, row: str) -> None:
        """Choose a row by its id, or none by an empty one.

        Raises
        ------
        UnknownNameError
            If there is no such row.
        """
        self._check(row)
        self.chosen = row

    def on(self, event: GridEvent, handler: Callable[..., object]) -> None:
        """Call a function when the user does something.

        Parameters
        ----------
        event : {"sort", "open", "toggle", "check", "dot"}
            ``sort`` gives the key of a column; the others give the id of a row, and ``dot`` also that of the dot.
        handler : callable
        """
        self._handlers.setdefault(event, []).append(handler)

    def do(self, event: GridEvent, *what: str) -> None:
        """Do what the user does by pointer or keyboard; see `on`."""
        if event != "sort":
            self._check(what[0])
        for handler in self._handlers.get(event, []):
            handler(*what)

    def _check(self, row: str) -> None:
        if row and not any(row == one.id for one in self.rows):
            raise UnknownNameError(f"`row` must be the id of one of {len(self.rows)} rows, got {row!r}.")

    def _on_message(self, _: Any, content: Mapping[str, Any], __: Any) -> None:
        event = next((one for one in EVENTS if one == content.get("event")), None)
        if event is None:
            return
        keys = ("column",) if event == "sort" else ("id", "dot") if event == "dot" else ("id",)
        what = [str(content.get(key, "")) for key in keys]
        # The rows may have been replaced since the user clicked.
        if event == "sort" or any(what[0] == one.id for one in self.rows):
            self.do(event, *what)
