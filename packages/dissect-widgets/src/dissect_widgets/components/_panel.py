"""The component browser: a tree of a model's components to look through, search and select from."""

from collections.abc import Iterable, Mapping
from typing import Any

from ipywidgets import HTML, Button, Checkbox, HBox, Layout, Text, VBox

from dissect_core import Component, near_matches

from ..base._controls import Looks, close_all, status_html
from ..base._panel import Panel
from ..errors import UnknownNameError
from ..figure._figure_html import figure_html
from ._browser_rows import ROW_TYPES, BlockRow, BrowserRow, ComponentRow, MoreRow
from ._browser_text import selection_html, snapshot_html, status_text
from ._model import HISTOGRAMS, BrowserModel
from ._rows import MAX_ROWS, RowKind
from ._weights import Weights

_SHOWN = ("selection", "view", "shows_weights", "theme")


class ComponentBrowser(Panel):
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

    def __init__(
        self, components: BrowserModel | Iterable[Component], *, weights: Weights | None = None
    ) -> None:
        self.model = (
            components if isinstance(components, BrowserModel) else BrowserModel(components, weights=weights)
        )
        self._looks = Looks()
        self._rows: dict[tuple[RowKind, str], BrowserRow] = {}
        self.search = Text(
            value=self.model.view.search,
            description="Search components",
            placeholder="part of a name, or a glob; then Enter",
            continuous_update=False,
            layout=Layout(width="auto", max_width="30rem"),
        )
        self.search.style.description_width = "initial"
        self.clear_search = self._looks.make_button("Clear search")
        self.clear_selection = self._looks.make_button("Clear selection")
        self.more_rows = self._looks.make_button()
        self.show_weights = Checkbox(
            description="Histograms of the selected components' weights",
            indent=False,
            layout=self._looks.control,
            style=self._looks.checkbox,
        )
        self.status, self.selected, self.histograms = HTML(), HTML(), HTML()
        self.tree = VBox()
        bar = HBox(
            (self.search, self.clear_search, self.clear_selection), layout=Layout(flex_flow="row wrap")
        )
        parts = (bar, self.status, self.tree, self.selected, self.show_weights, self.histograms)
        super().__init__(parts, layout=Layout(max_width="100%"))
        self.search.observe(self._on_search, "value")
        self.clear_search.on_click(self._on_clear_search)
        self.clear_selection.on_click(self._on_clear_selection)
        self.more_rows.on_click(self._on_more_rows)
        self.show_weights.observe(self._on_show_weights, "value")
        self.model.observe(self._refresh, _SHOWN)
        self._is_live = True
        self._refresh()

    def block(self, path: str) -> BlockRow:
        """Row of a block, with the buttons ``toggle`` and ``choose``.

        Parameters
        ----------
        path : str
            Path of the block.

        Returns
        -------
        BlockRow
            The row.

        Raises
        ------
        UnknownNameError
            If no such row is shown now.
        """
        row: BlockRow = self._row("block", path)
        return row

    def component(self, name: str) -> ComponentRow:
        """Row of a component, with the checkbox ``choose``.

        Parameters
        ----------
        name : str
            Name of the component.

        Returns
        -------
        ComponentRow
            The row.

        Raises
        ------
        UnknownNameError
            If no such row is shown now.
        """
        row: ComponentRow = self._row("component", name)
        return row

    def more(self, path: str = "") -> MoreRow:
        """Row at the end of a block that has more children than are shown, with the button ``more``.

        Parameters
        ----------
        path : str, default ``""``
            Path of the block, ``""`` for the top level.

        Returns
        -------
        MoreRow
            The row.

        Raises
        ------
        UnknownNameError
            If no such row is shown now.
        """
        row: MoreRow = self._row("more", path)
        return row

    def snapshot(self) -> str:
        """Show what the panel shows as plain HTML, which survives without a kernel and without widgets.

        Returns
        -------
        str
            HTML without scripts; every name is escaped.
        """
        return f"{snapshot_html(self.model)}{self.histograms.value}"

    def close(self) -> None:
        """Close the panel and all of its widgets, and stop observing the model, which stays as it is."""
        if self._is_live:
            self._is_live = False
            self.model.unobserve(self._refresh, _SHOWN)
            self.search.unobserve(self._on_search, "value")
            self.show_weights.unobserve(self._on_show_weights, "value")
            with self.model.lock:
                rows, self._rows = self._rows, {}
                self.tree.children = ()
                for widget in (*rows.values(), self.more_rows):
                    widget.close()
                close_all(self)
                self._looks.close()
        super().close()

    def _row(self, kind: RowKind, path: str) -> Any:
        if (kind, path) not in self._rows:
            shown = [shown for of_kind, shown in self._rows if of_kind == kind]
            near = ", ".join(map(repr, near_matches(path, shown, n=3)))
            raise UnknownNameError(
                f"No {kind} row for {path!r} is shown now{f' (near matches: {near})' if near else ''}. "
                "Rows are made when they are shown: open the block around it, search for it, or show more."
            )
        return self._rows[kind, path]

    def _refresh(self, _: Mapping[str, Any] | None = None) -> None:
        model = self.model
        with model.lock:
            if not self._is_live:
                return
            rows, n_hidden = model.rows()
            counts, selected = model.n_selected_in_blocks(), set(model.selection)
            before, self._rows = self._rows, {}
            for row in rows:
                # Rows that stay keep their widgets, and with them the keyboard focus.
                shown = before.pop(row.key, None) or ROW_TYPES[row.kind](row, model, self._looks)
                path = row.node.path
                shown.update(row, counts[path] if row.kind == "block" else int(path in selected))
                self._rows[row.key] = shown
            self.more_rows.description = f"Show {min(MAX_ROWS, n_hidden):,} more of {n_hidden:,} further rows"
            self.tree.children = (*self._rows.values(), *((self.more_rows,) if n_hidden else ()))
            for gone in before.values():
                gone.close()
            self.search.value = model.view.search
            self.clear_search.disabled = not model.view.search
            self.clear_selection.disabled = not model.selection
            self.status.value = status_html(status_text(model))
            self.selected.value = selection_html(model.selection)
            self.show_weights.disabled = model.weights is None
            self.show_weights.value = model.shows_weights
            self.histograms.value = self._histograms() if model.shows_weights else ""

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
