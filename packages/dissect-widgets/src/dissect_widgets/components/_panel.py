"""The component browser: a tree of a model's components to look through, search and select from."""

from collections.abc import Iterable, Mapping
from typing import Any

from ipywidgets import HTML, Button, Checkbox, HBox, Layout, Text, VBox

from dissect_core import Component, near_matches

from ..base import ModelPanel, labelled, status_html
from ..errors import UnknownNameError
from ..figure import figure_html
from ._model import HISTOGRAMS, BrowserModel
from ._row_widgets import ROW_TYPES, BlockRow, BrowserRow, ComponentRow, MoreRow
from ._rows import MAX_ROWS, RowKind
from ._text import selection_html, snapshot_html, status_text
from ._weights import Weights


class ComponentBrowser(ModelPanel):
    """Panel that shows a model's components as a tree; what is selected is in its model's `selection`.

    The tree opens at block level. A row has widgets only while it is shown, and at most ``model.view.max_rows``
    rows are shown at a time; what is left out is counted beside a button that shows more.

    Parameters
    ----------
    components : BrowserModel or iterable of Component
        The state to show, or the components of a model.
    weights : callable, optional
        Gives the values of a component by its name, for histograms; `weights_of(detector)`.

    Attributes
    ----------
    model : BrowserModel
        The state; the panel only shows it. Observe ``model.selection``.
    search : Text
        What to search for: part of a name or a glob, followed by Enter.
    clear_search, clear_selection, more_rows : Button
        End the search; select nothing; show more rows, where there are any.
    show_weights : Checkbox
        Draw histograms of the selected components.
    status, selected, histograms : HTML
        Line that is announced, with the counts; names of the selected components; their values.
    tree : VBox
        The rows.

    Raises
    ------
    TreeError
        If a component has no name, or the name of another one.

    Examples
    --------
    >>> names = ["encoder.layers.0.attn.weight", "encoder.layers.1.attn.weight", "query.weight"]
    >>> browser = ComponentBrowser(Component(name, (8, 4), "float32") for name in names)
    >>> browser.search.value = "attn"
    >>> browser.block("encoder").choose.click()
    >>> browser.model.selection
    ('encoder.layers.0.attn.weight', 'encoder.layers.1.attn.weight')
    >>> browser.close()
    """

    _shown = ("selection", "view", "shows_weights", "theme")

    def __init__(
        self, components: BrowserModel | Iterable[Component], *, weights: Weights | None = None
    ) -> None:
        if not isinstance(components, BrowserModel):
            components = BrowserModel(components, weights=weights)
        super().__init__(components)
        self._rows: dict[tuple[RowKind, str], BrowserRow] = {}
        self.search = labelled(
            Text,
            "Search components",
            max_width="30rem",
            value=self.model.view.search,
            placeholder="part of a name, or a glob; then Enter",
            continuous_update=False,
        )
        self.clear_search = self._looks.make_button("Clear search")
        self.clear_selection = self._looks.make_button("Clear selection")
        self.more_rows = self._own(self._looks.make_button())  # in the tree only while it is needed
        self.show_weights = Checkbox(
            description="Histograms of the selected components' weights",
            indent=False,
            layout=self._looks.control,
            style=self._looks.checkbox,
        )
        self.status, self.selected, self.histograms = HTML(), HTML(), HTML()
        self.tree = VBox()
        self._follow(self.search, self._on_search, "value")
        self._follow(self.show_weights, self._on_show_weights, "value")
        self._on_click(self.clear_search, self._on_clear_search)
        self._on_click(self.clear_selection, self._on_clear_selection)
        self._on_click(self.more_rows, self._on_more_rows)
        self._assemble(
            HBox((self.search, self.clear_search, self.clear_selection), layout=Layout(flex_flow="row wrap")),
            self.status,
            self.tree,
            self.selected,
            self.show_weights,
            self.histograms,
        )

    def block(self, path: str) -> BlockRow:
        """Return the row of a block, with the buttons ``toggle`` and ``choose``.

        Raises
        ------
        UnknownNameError
            If no such row is shown now; so do `component` and `more`.
        """
        row: BlockRow = self._row("block", path)
        return row

    def component(self, name: str) -> ComponentRow:
        """Return the row of a component, with the checkbox ``choose``."""
        row: ComponentRow = self._row("component", name)
        return row

    def more(self, path: str = "") -> MoreRow:
        """Return the row, with the button ``more``, at the end of a block that has more children than are shown.

        ``""`` is the top level.
        """
        row: MoreRow = self._row("more", path)
        return row

    def snapshot(self) -> str:
        """Return what the panel shows as plain HTML, with a table in place of the tree."""
        return f"{snapshot_html(self.model)}{self.histograms.value}"

    def _row(self, kind: RowKind, path: str) -> Any:
        if (kind, path) not in self._rows:
            shown = [shown for of_kind, shown in self._rows if of_kind == kind]
            near = ", ".join(map(repr, near_matches(path, shown, n=3)))
            raise UnknownNameError(
                f"No {kind} row for {path!r} is shown now{f' (near matches: {near})' if near else ''}. "
                "Rows are made when they are shown: open the block around it, search for it, or show more."
            )
        return self._rows[kind, path]

    def _show(self) -> None:
        model = self.model
        n_hidden = self._show_rows()
        self.more_rows.description = f"Show {min(MAX_ROWS, n_hidden):,} more of {n_hidden:,} further rows"
        self.search.value = model.view.search
        self.clear_search.disabled = not model.view.search
        self.clear_selection.disabled = not model.selection
        self.status.value = status_html(status_text(model))
        self.selected.value = selection_html(model.selection)
        self.show_weights.disabled = model.weights is None
        self.show_weights.value = model.shows_weights
        self.histograms.value = self._histograms() if model.shows_weights else ""

    def _show_rows(self) -> int:
        """Show the tree's rows, up to a limit; returns how many lie beyond it."""
        model: BrowserModel = self.model
        rows, n_hidden = model.rows()
        counts, selected = model.n_selected_in_blocks(), set(model.selection)
        before, self._rows = self._rows, {}
        for row in rows:
            # Rows that stay keep their widgets, and with them the keyboard focus.
            shown = before.pop(row.key, None) or ROW_TYPES[row.kind](row, model, self._looks)
            path = row.node.path
            shown.update(row, counts[path] if row.kind == "block" else int(path in selected))
            self._rows[row.key] = shown
        self.tree.children = (*self._rows.values(), *((self.more_rows,) if n_hidden else ()))
        for gone in before.values():
            gone.close()
        return n_hidden

    def _histograms(self) -> str:
        model = self.model
        drawn = model.histograms()
        if drawn is None:
            return f"<p>{'No component selected' if model.weights else 'The weights are not at hand'}</p>"
        n_left = len(model.selection) - HISTOGRAMS
        more = f" {n_left:,} more selected components are not drawn." if n_left > 0 else ""
        return figure_html(drawn.figure, drawn.caption + more, dpi=80)

    def _on_show_weights(self, change: Mapping[str, Any]) -> None:
        self.model.shows_weights = change["new"]

    def _on_search(self, change: Mapping[str, Any]) -> None:
        self.model.search(change["new"])

    def _on_clear_search(self, _: Button) -> None:
        self.model.search("")

    def _on_clear_selection(self, _: Button) -> None:
        self.model.clear()

    def _on_more_rows(self, _: Button) -> None:
        self.model.show_more_rows()
