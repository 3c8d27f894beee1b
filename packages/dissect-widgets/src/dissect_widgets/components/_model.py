"""State of the component browser: selection, search, and open blocks. No widgets in here."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from traitlets import Bool, Dict, Instance, Unicode, validate

from dissect_core import Component, unknown_component
from dissect_core.anatomy import Anatomy, is_inside
from dissect_eval.study import NamedFigure

from ..base import OneOf
from ..errors import UnknownNameError
from ..figure import Picture, page_colours, picture_of
from ._rows import MAX_ROWS, PAGE_SIZE, TreeRow, TreeView, visible_rows
from ._search import SearchHit, search_tree
from ._selection import SelectionModel
from ._tree import ComponentNode, block_level, block_paths
from ._weights import Weights, weight_histograms

HISTOGRAMS = 6
"""Histograms that are drawn at a time."""


class BrowserModel(SelectionModel):
    """State of the component browser: selection, search, and open blocks.

    Works without a notebook; `ComponentBrowser` shows it.

    Parameters
    ----------
    components : Anatomy or iterable of Component
        What a model is made of, or its components alone; then nothing is known of its heads and roles.
    selection : iterable of str, optional
        Names of the components that are selected at first.
    weights : callable, optional
        Gives the values of a component by its name, for histograms; `weights_of(detector)`.

    Attributes
    ----------
    selection : tuple of str
        Names of the selected components, a trait; see `SelectionModel`.
    heads : dict of str to tuple of int
        Selected heads by the path of their attention block, a trait.
    chosen : str
        Path of the block or component that is looked at, a trait; empty for none.
    shows : {"tree", "roles"}
        A trait.
    shows_weights : bool
        Whether histograms of the selected components are drawn, a trait.
    anatomy : Anatomy
    view : TreeView
        Search and open blocks, a trait.

    Raises
    ------
    TreeError
        If a component has no name, or the name of another one.
    UnknownNameError
        If `selection` names a component that is not there.

    Examples
    --------
    >>> names = ["encoder.0.weight", "encoder.0.bias", "query.weight"]
    >>> model = BrowserModel(Component(name, (4,), "float32") for name in names)
    >>> [row.node.path for row in model.rows()[0]]
    ['encoder', 'encoder.0', 'query']
    >>> model.search("weight")
    >>> model.add_block("encoder")
    >>> model.selection
    ('encoder.0.weight',)
    """

    view = Instance(TreeView, help="Search and open blocks.")

    heads = Dict(help="Selected heads, by block.")
    chosen = Unicode()
    shows = OneOf(("tree", "roles"), "tree")
    shows_weights = Bool(False, help="Whether histograms are drawn.")

    def __init__(
        self,
        components: Anatomy | Iterable[Component],
        *,
        selection: Iterable[str] = (),
        weights: Weights | None = None,
    ) -> None:
        self.weights = weights
        self.anatomy = components if isinstance(components, Anatomy) else Anatomy(tuple(components))
        self._of_role: dict[str, tuple[str, ...]] = {}
        self._drawn: tuple[tuple[str, ...], Picture] | None = None
        super().__init__(self.anatomy.components, selection=selection)
        self._blocks = {node.path: node for node in self.tree.walk() if node.children and node.path}
        self._found: tuple[str, SearchHit] | None = None
        self.view = TreeView(expanded=self._opened_first())

    @validate("view")
    def _known_blocks(self, proposal: Mapping[str, Any]) -> TreeView:
        view: TreeView = proposal["value"]
        for path in sorted((view.expanded | view.expanded_in_search | view.shown.keys()) - {""}):
            if path not in self._blocks:
                raise UnknownNameError(str(unknown_component(path, self._blocks, what="block")))
        return view

    @validate("heads")
    def _known_heads(self, proposal: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        known, found = self.anatomy.attention, {}
        for path, heads in proposal["value"].items():
            if path not in known:
                raise UnknownNameError(str(unknown_component(path, known, what="attention block")))
            n, given = known[path].n_heads, tuple(heads)
            if wrong := [one for one in given if not (isinstance(one, int) and 0 <= one < n)]:
                raise UnknownNameError(f"`heads` of {path!r} must be in 0 to {n - 1}, got {wrong[0]!r}.")
            if given:
                found[path] = tuple(sorted({*given}))
        return {path: found[path] for path in known if path in found}

    def toggle_head(self, path: str, head: int) -> None:
        """Select a head of an attention block, or take it out of the selection.

        Raises
        ------
        UnknownNameError
            If there is no such block or head.

        Examples
        --------
        >>> from dissect_core.anatomy import multihead_layout
        >>> model = BrowserModel(Anatomy((), (), {"attn": multihead_layout(8, 4, prefix="attn.")}))
        >>> model.toggle_head("attn", 2)
        >>> model.heads
        {'attn': (2,)}
        """
        with self.lock:
            has = self.heads.get(path, ())
            self.heads = {**self.heads, path: (*has, head) if head not in has else {*has} - {head}}

    def clear(self) -> None:
        """Select nothing."""
        with self.lock, self.hold_trait_notifications():
            super().clear()
            self.heads = {}

    def of_role(self, role: str) -> tuple[str, ...]:
        """Return the names of the components that bear a role, or lie in blocks that do.

        Raises
        ------
        UnknownNameError
            If no part of the model bears it.
        """
        if role not in self._of_role:
            if role not in self.anatomy.roles:
                raise UnknownNameError(str(unknown_component(role, self.anatomy.roles, what="role")))
            named = self.anatomy.components_by().named(role)
            self._of_role[role] = tuple(c.name for c in self.components if c.name in named)
        return self._of_role[role]

    @property
    def sizes(self) -> Mapping[str, int]:
        """Return the number of values of each component, by its name."""
        return {name: component.n_parameters for name, component in self._by_name.items()}

    def toggle_role(self, role: str) -> None:
        """Select all components of a role, or none of them if all are selected."""
        with self.lock:
            names = self.of_role(role)
            if set(names) <= set(self.selection):
                gone = set(names)
                self.selection = tuple(name for name in self.selection if name not in gone)
            else:
                self.selection = (*self.selection, *names)

    def add_block(self, path: str) -> None:
        """Select all components in a block; during a search, those of them that were found.

        Parameters
        ----------
        path : str
            Path of the block.

        Raises
        ------
        UnknownNameError
            If there is no such block.
        """
        with self.lock:
            self.selection = (*self.selection, *self._in_block(path))

    def remove_block(self, path: str) -> None:
        """Take all components of a block out of the selection; during a search, those that were found.

        Parameters
        ----------
        path : str
            Path of the block.

        Raises
        ------
        UnknownNameError
            If there is no such block.
        """
        with self.lock:
            gone = set(self._in_block(path))
            self.selection = tuple(name for name in self.selection if name not in gone)

    def search(self, pattern: str) -> None:
        """Show only what matches; an empty pattern shows everything again, as open as it was before.

        Parameters
        ----------
        pattern : str
            Words, or a glob; see `dissect_widgets.search_tree`. Spaces around it do not count.
        """
        with self.lock:
            pattern = pattern.strip()
            if pattern != self.view.search:
                self.view = TreeView(
                    search=pattern,
                    expanded=self.view.expanded,
                    expanded_in_search=self._search(pattern).expanded,
                )

    def expand(self, path: str) -> None:
        """Open a block.

        Parameters
        ----------
        path : str
            Path of the block.

        Raises
        ------
        UnknownNameError
            If there is no such block.
        """
        with self.lock:
            self._open(self.expanded | {path})

    def collapse(self, path: str) -> None:
        """Close a block.

        Parameters
        ----------
        path : str
            Path of the block; if it is closed already, nothing happens.
        """
        with self.lock:
            self._open(self.expanded - {path})

    def show_more(self, path: str = "") -> None:
        """Show one page more of what lies directly in a block.

        Parameters
        ----------
        path : str, default ``""``
            Path of the block, ``""`` for the top level.

        Raises
        ------
        UnknownNameError
            If there is no such block.
        """
        with self.lock:
            n = self.view.shown.get(path, PAGE_SIZE) + PAGE_SIZE
            # The rows must not run into the limit on all rows, or the new page would stay out of sight.
            self.view = replace(
                self.view, shown={**self.view.shown, path: n}, max_rows=self.view.max_rows + PAGE_SIZE
            )

    def show_more_rows(self) -> None:
        """Show more rows of the whole tree."""
        with self.lock:
            self.view = replace(self.view, max_rows=self.view.max_rows + MAX_ROWS)

    @property
    def expanded(self) -> frozenset[str]:
        """Return the paths of the blocks that are open now."""
        return self.view.expanded_in_search if self.view.search else self.view.expanded

    @property
    def shown_tree(self) -> ComponentNode:
        """Return the whole tree, or the part that the search found."""
        return self._search(self.view.search).tree

    def rows(self) -> tuple[tuple[TreeRow, ...], int]:
        """Return the rows to show, and how many further ones there are.

        Returns
        -------
        rows : tuple of TreeRow
            At most ``view.max_rows``.
        n_hidden : int
            Number of rows of open blocks beyond these.

        Examples
        --------
        >>> model = BrowserModel(Component(f"{i}", (4,), "float32") for i in range(60))
        >>> rows, n_hidden = model.rows()
        >>> len(rows), rows[-1].kind, rows[-1].n_more, n_hidden
        (51, 'more', 10, 0)
        """
        rows = visible_rows(self.shown_tree, self.expanded, self.view.shown, PAGE_SIZE)
        return rows[: self.view.max_rows], max(0, len(rows) - self.view.max_rows)

    def n_selected_in_blocks(self) -> Counter[str]:
        """Count the selected components in each block; during a search, only those that were found.

        Returns
        -------
        Counter of str
            By path; 0 for a block that it does not hold.
        """
        names: Iterable[str] = self.selection
        if self.view.search:
            names = {c.name for c in self.shown_tree.components()}.intersection(names)
        return Counter(path for name in names for path in (*block_paths(name), name))

    def histograms(self) -> NamedFigure | None:
        """Draw histograms of the first selected components, `HISTOGRAMS` at most; None without weights or selection."""
        picture = self.picture()
        return None if picture is None else picture.named

    def picture(self) -> Picture | None:
        """Return the histograms as a picture in the page's colours; drawn once for a selection."""
        if self.weights is None or not self.selection:
            return None
        names = self.selection[:HISTOGRAMS]
        if self._drawn is None or self._drawn[0] != names:
            with page_colours():
                self._drawn = (
                    names,
                    picture_of(weight_histograms({name: self.weights(name) for name in names})),
                )
        return self._drawn[1]

    def _opened_first(self) -> frozenset[str]:
        """Return what is open at first: down to the blocks, and where attention is known, only around it."""
        expanded = block_level(self.tree)
        attention = self.anatomy.attention
        around = {path for path in expanded if any(is_inside(one, path) for one in attention)}
        return frozenset(around) or expanded

    def _in_block(self, path: str) -> tuple[str, ...]:
        if path not in self._blocks:
            raise UnknownNameError(str(unknown_component(path, self._blocks, what="block")))
        found = {c.name for c in self.shown_tree.components()} if self.view.search else self._by_name.keys()
        return tuple(c.name for c in self._blocks[path].components() if c.name in found)

    def _open(self, expanded: frozenset[str]) -> None:
        if self.view.search:
            self.view = replace(self.view, expanded_in_search=expanded)
        else:
            self.view = replace(self.view, expanded=expanded)

    def _search(self, pattern: str) -> SearchHit:
        if not pattern:
            return SearchHit(self.tree, self.view.expanded)
        if self._found is None or self._found[0] != pattern:
            self._found = pattern, search_tree(self.tree, pattern)
        return self._found[1]
