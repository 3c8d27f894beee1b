"""The component browser: a tree of a model's components to look through, search and select from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ipywidgets import HTML, Button, Checkbox, HBox, Layout, Text, VBox

from dissect_core import Component
from dissect_core.anatomy import Anatomy

from ..base import ModelPanel, labelled, line, segments, status_html
from ..figure import picture_html
from ..front import Figure, Grid
from ._grid_rows import ROLE_COLUMNS, TREE_COLUMNS, role_rows, row_ids, tree_rows
from ._model import HISTOGRAMS, BrowserModel
from ._rows import MAX_ROWS, TreeRow
from ._text import chosen_html, selection_html, snapshot_html, status_text, totals_html
from ._weights import Weights


class ComponentBrowser(ModelPanel):
    """Panel that shows a model's components as a tree; what is selected is in its model's `selection` and `heads`.

    The tree opens at block level. At most ``model.view.max_rows`` rows are shown at a time; what is left out is
    counted beside a button that shows more.

    Parameters
    ----------
    components : BrowserModel, Anatomy or iterable of Component
        The state to show, or what a model is made of.
    weights : callable, optional
        Gives the values of a component by its name, for histograms; `weights_of(detector)`.
    notes : sequence of str
        Remarks on the model, such as on attention that is not recognised.

    Attributes
    ----------
    model : BrowserModel
        The state; the panel only shows it. Observe ``model.selection`` and ``model.heads``.
    tree, roles : Grid
        The rows: ``tree.do("check", "encoder")`` selects all of a block, ``tree.do("toggle", "encoder")`` opens or
        closes it, ``tree.do("dot", path, f"{block}:{head}")`` selects a head.
    search : Text
        Words to search for, or a glob.
    shows : RadioButtons
        Whether the tree or the roles are shown.
    clear_search, clear_selection, more_rows : Button
        End the search; select nothing; show more rows, where there are any.
    show_weights : Checkbox
        Draw histograms of the selected components.
    picture : Figure
        The histograms.
    asks : VBox
        Empty place below what is selected, for what can be done with it.
    totals, status, selected, chosen : HTML
        What the model has in all; the line that is announced, with the counts; names of the selected components; the
        block or component that is looked at.

    Raises
    ------
    TreeError
        If a component has no name, or the name of another one.

    Examples
    --------
    >>> names = ["encoder.layers.0.attn.weight", "encoder.layers.1.attn.weight", "query.weight"]
    >>> browser = ComponentBrowser(Component(name, (8, 4), "float32") for name in names)
    >>> browser.search.value = "attn"
    >>> browser.tree.do("check", "encoder")
    >>> browser.model.selection
    ('encoder.layers.0.attn.weight', 'encoder.layers.1.attn.weight')
    >>> browser.close()
    """

    _shown = ("selection", "heads", "view", "shows_weights", "chosen", "shows")

    def __init__(
        self,
        components: BrowserModel | Anatomy | Iterable[Component],
        *,
        weights: Weights | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        if not isinstance(components, BrowserModel):
            components = BrowserModel(components, weights=weights)
        super().__init__(components)
        self._rows: dict[str, TreeRow] = {}
        self.search = labelled(
            Text,
            "Search",
            max_width="26rem",
            value=self.model.view.search,
            placeholder="words, or a glob",
            continuous_update=True,
        )
        self.search.layout.width = "24rem"
        self.clear_search = self._looks.make_button("Clear search")
        self.clear_selection = self._looks.make_button("Clear selection").add_class("dd-link")
        self.more_rows = Button(layout=Layout(width="auto"))
        self.shows = segments("Show", {"tree": "as a tree", "roles": "by role"})
        self.show_weights = Checkbox(
            description="Histograms of their weights",
            indent=False,
            layout=self._looks.control,
            style=self._looks.checkbox,
        )
        self.status, self.selected, self.chosen = HTML(), HTML(), HTML()
        self.totals = HTML(totals_html(self.model, notes))
        self.tree = Grid(
            "Components of the model",
            TREE_COLUMNS,
            names="name",
            is_tree=True,
            height="40rem",
            empty="No component matches.",
        )
        self.roles = Grid("Roles of the model", ROLE_COLUMNS, names="role", can_choose=False, height="40rem")
        self.picture = Figure("Histograms of weights")
        self.tree.on("toggle", self._guarded(self._on_toggle, self.tree))
        self.tree.on("check", self._guarded(self._on_check, self.tree))
        self.tree.on("dot", self._guarded(self._on_dot, self.tree))
        self.tree.on("open", self._guarded(self._on_open, self.tree))
        self.roles.on("check", self._guarded(self.model.toggle_role, self.roles))
        self._follow(self.tree, self._on_chosen, "chosen")
        self._follow(self.search, self._on_search, "value")
        self._follow(self.shows, self._on_shows, "value")
        self._follow(self.show_weights, self._on_show_weights, "value")
        self._on_click(self.clear_search, self._on_clear_search)
        self._on_click(self.clear_selection, self._on_clear_selection)
        self._on_click(self.more_rows, self._on_more_rows)
        self.asks = VBox()
        beside = VBox(
            (
                HTML("<h3>Selected</h3>"),
                self.selected,
                line(self.clear_selection),
                self.asks,
                self.chosen,
                self.show_weights,
                self.picture,
            )
        )
        beside.add_class("dd-box").add_class("dd-sticky")
        # Only one of both is a child at a time.
        self._close_all_of(self.tree, self.roles)
        self._place = VBox((self.tree,))
        left = VBox(
            (
                line(self.search, self.clear_search),
                self.shows,
                self.status,
                self._place,
                self.more_rows,
            )
        )
        if not self.model.anatomy.roles:
            self.shows.layout.display = "none"
        self._assemble(self.totals, HBox((left, beside)).add_class("dd-two"))

    def snapshot(self) -> str:
        """Return what the panel shows as plain HTML, with a table in place of the tree."""
        picture = self.model.picture() if self.model.shows_weights else None
        drawn = "" if picture is None else picture_html(picture.named)
        return f"{self.totals.value}{snapshot_html(self.model)}{drawn}"

    def _show(self) -> None:
        model = self.model
        self.shows.value = model.shows
        grid = self.roles if model.shows == "roles" else self.tree
        if self._place.children != (grid,):
            self._place.children = (grid,)
        n_hidden = 0
        if model.shows == "roles":
            self.roles.show(role_rows(model))
        else:
            rows, n_hidden = model.rows()
            self._rows = row_ids(rows)
            self.tree.show(tree_rows(model, self._rows), chosen=self._chosen_row())
        self.more_rows.layout.display = None if n_hidden else "none"
        self.more_rows.description = f"Show {min(MAX_ROWS, n_hidden):,} more of {n_hidden:,} further rows"
        if self.search.value.strip() != model.view.search:
            self.search.value = model.view.search
        self.clear_search.disabled = not model.view.search
        self.clear_selection.disabled = not (model.selection or model.heads)
        self.status.value = status_html(status_text(model))
        self.selected.value = selection_html(model.selection, model.heads, among=model.anatomy.attention)
        self.chosen.value = chosen_html(model)
        self.show_weights.disabled = model.weights is None
        self.show_weights.value = model.shows_weights
        self._show_weights()

    def _chosen_row(self) -> str:
        """Return the id of the row that is looked at; empty if none is, or it is not shown."""
        paths = {row.node.path: key for key, row in reversed(self._rows.items()) if row.kind != "more"}
        return paths.get(self.model.chosen, "") if self.model.chosen else ""

    def _show_weights(self) -> None:
        model = self.model
        picture = model.picture() if model.shows_weights else None
        self.picture.layout.display = None if picture is not None else "none"
        if picture is None:
            return
        n_left = len(model.selection) - HISTOGRAMS
        more = f" {n_left:,} more selected components are not drawn." if n_left > 0 else ""
        self.picture.show(
            svg=picture.svg,
            width=picture.width,
            alt=picture.named.caption + more,
            caption=f"Values of the weights; how many of each, on a logarithmic axis.{more}",
        )

    def _on_toggle(self, key: str) -> None:
        row = self._rows[key]
        if row.kind == "more":
            self.model.show_more(row.node.path)
        elif row.node.path in self.model.expanded:
            self.model.collapse(row.node.path)
        else:
            self.model.expand(row.node.path)

    def _on_open(self, key: str) -> None:
        if self._rows[key].kind == "component":
            self._on_check(key)
        else:
            self._on_toggle(key)

    def _on_check(self, key: str) -> None:
        model, row = self.model, self._rows[key]
        path = row.node.path
        if row.kind == "more":
            model.show_more(path)
        elif row.kind == "component":
            with model.lock:
                has = model.selection
                model.selection = tuple(name for name in has if name != path) if path in has else (*has, path)
        elif model.n_selected_in_blocks()[path] == row.node.n_components:
            model.remove_block(path)
        else:
            model.add_block(path)

    def _on_dot(self, _: str, dot: str) -> None:
        path, _, head = dot.rpartition(":")
        self.model.toggle_head(path, int(head))

    def _on_chosen(self, change: Mapping[str, Any]) -> None:
        if self._is_refreshing:
            return
        row = self._rows.get(change["new"])
        if row is not None and row.kind == "more":
            self.model.show_more(row.node.path)
        else:
            self.model.chosen = "" if row is None else row.node.path

    def _on_shows(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing:
            self.model.shows = change["new"]

    def _on_show_weights(self, change: Mapping[str, Any]) -> None:
        self.model.shows_weights = change["new"]

    def _on_search(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing:
            self.model.search(change["new"])

    def _on_clear_search(self, _: Button) -> None:
        self.search.value = ""

    def _on_clear_selection(self, _: Button) -> None:
        self.model.clear()

    def _on_more_rows(self, _: Button) -> None:
        self.model.show_more_rows()
