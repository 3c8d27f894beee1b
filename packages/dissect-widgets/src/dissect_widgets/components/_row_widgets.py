"""Rows of the component browser: each shows one row of the model and passes clicks on to it."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from ipywidgets import HTML, Button, Checkbox, HBox

from dissect_core.text import visible

from ..base import Looks, counted, html_text
from ._model import BrowserModel
from ._rows import PAGE_SIZE, TreeRow
from ._text import block_text, component_text


class _ShownRow(HBox):  # type: ignore[misc]  # ipywidgets has no types
    """A row of widgets whose looks belong to the panel: closing it leaves those open."""

    def __init__(self, row: TreeRow, model: BrowserModel, looks: Looks) -> None:
        self.path = row.node.path
        self.model = model
        super().__init__(self._controls(row, looks), layout=looks.row(row.depth))

    def _controls(self, row: TreeRow, looks: Looks) -> tuple[Any, ...]:
        raise NotImplementedError

    def close(self) -> None:
        """Close the row and the controls in it."""
        for child in self.children:
            child.close()
        super().close()


class BlockRow(_ShownRow):
    """A block: a button that opens or closes it, one that selects what is in it, and its sums.

    Attributes
    ----------
    toggle : Button
        Opens the block, or closes it.
    choose : Button
        Selects all components in the block, or none if all are selected.
    detail : HTML
        Numbers of components, parameters, heads and selected components.
    """

    toggle: Button
    choose: Button
    detail: HTML

    def _controls(self, row: TreeRow, looks: Looks) -> tuple[Any, ...]:
        self._is_open = self._is_chosen = False
        self.toggle, self.choose = looks.make_button(), looks.make_button()
        self.toggle.on_click(self._on_toggle)
        self.choose.on_click(self._on_choose)
        self.detail = HTML(layout=looks.text, style=looks.html)
        return self.toggle, self.choose, self.detail

    def update(self, row: TreeRow, n_selected: int) -> None:
        """Show the state of the model.

        Parameters
        ----------
        row : TreeRow
            The row to show, of the same block.
        n_selected : int
            How many of the components in the block are selected.
        """
        node = row.node
        self._is_open = node.path in self.model.expanded
        self._is_chosen = n_selected >= node.n_components
        verb, mark = ("Close", "▾") if self._is_open else ("Open", "▸")
        self.toggle.description = f"{mark} {verb} {visible(node.name)}"
        self.toggle.tooltip = f"{verb} {visible(node.path)}"
        verb = "Remove" if self._is_chosen else "Add"
        self.choose.description = f"{verb} all {node.n_components:,}"
        self.choose.tooltip = f"{verb} {counted(node.n_components, 'component')} in {visible(node.path)}"
        self.detail.value = f"<span>{html_text(block_text(node, n_selected))}</span>"

    def _on_toggle(self, _: Button) -> None:
        (self.model.collapse if self._is_open else self.model.expand)(self.path)

    def _on_choose(self, _: Button) -> None:
        (self.model.remove_block if self._is_chosen else self.model.add_block)(self.path)


class ComponentRow(_ShownRow):
    """A component: a checkbox that selects it, and what it is.

    Attributes
    ----------
    choose : Checkbox
        Selects the component.
    detail : HTML
        Shape, type, number of parameters, role, heads and aliases.
    """

    choose: Checkbox
    detail: HTML

    def _controls(self, row: TreeRow, looks: Looks) -> tuple[Any, ...]:
        node = row.node
        self.choose = Checkbox(
            value=self.path in self.model.selection,
            description=visible(node.name),
            tooltip=visible(node.path),
            indent=False,
            layout=looks.control,
            style=looks.checkbox,
        )
        self.choose.observe(self._on_choose, "value")
        detail = "" if node.component is None else component_text(node.component)
        self.detail = HTML(f"<span>{html_text(detail)}</span>", layout=looks.text, style=looks.html)
        return self.choose, self.detail

    def update(self, row: TreeRow, n_selected: int) -> None:
        """Show the state of the model.

        Parameters
        ----------
        row : TreeRow
            The row to show, of the same component.
        n_selected : int
            1 if the component is selected, otherwise 0.
        """
        self.choose.value = n_selected > 0

    def _on_choose(self, change: Mapping[str, Any]) -> None:
        with self.model.lock:
            others = tuple(name for name in self.model.selection if name != self.path)
            self.model.selection = (*others, self.path) if change["new"] else others


class MoreRow(_ShownRow):
    """The end of a page: a button that shows the next one, and how many are left.

    Attributes
    ----------
    more : Button
        Shows more of the block's children.
    """

    more: Button

    def _controls(self, row: TreeRow, looks: Looks) -> tuple[Any, ...]:
        self.more = looks.make_button()
        self.more.on_click(self._on_more)
        return (self.more,)

    def update(self, row: TreeRow, n_selected: int) -> None:
        """Show the state of the model.

        Parameters
        ----------
        row : TreeRow
            The row to show, of the same block.
        n_selected : int
            Not used here.
        """
        where = f"in {visible(row.node.path)}" if row.node.path else "at the top level"
        n_next = min(PAGE_SIZE, row.n_more)
        self.more.description = f"Show {n_next:,} more of {row.n_more:,} left {where}"
        self.more.tooltip = self.more.description

    def _on_more(self, _: Button) -> None:
        self.model.show_more(self.path)


BrowserRow: TypeAlias = BlockRow | ComponentRow | MoreRow
ROW_TYPES: dict[str, type[BlockRow] | type[ComponentRow] | type[MoreRow]] = {
    "block": BlockRow,
    "component": ComponentRow,
    "more": MoreRow,
}
