"""State of the component browser: selection, search, and open blocks. No widgets in here."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from traitlets import Bool, Instance, validate

from dissect_core import Component, unknown_component
from dissect_eval.study import NamedFigure

from ..base import THEMES, OneOf
from ..errors import UnknownNameError
from ..figure.plots import themed
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
    components : iterable of Component
        Components of one model.
    selection : iterable of str, optional
        Names of the components that are selected at first.
    weights : callable, optional
        Gives the values of a component by its name, for histograms; `weights_of(detector)`.

    Attributes
    ----------
    selection : tuple of str
        Names of the selected components, a trait; see `SelectionModel`.
    shows_weights : bool
        Whether histograms of the selected components are drawn, a trait.
    theme : {"light", "dark"}
        The page that figures are drawn for, a trait.
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

    shows_weights = Bool(False, help="Whether histograms are drawn.")
    theme = OneOf(THEMES, "light")

    def __init__(
        self,
        components: Iterable[Component],
        *,
        selection: Iterable[str] = (),
        weights: Weights | None = None,
    ) -> None:
        self.weights = weights
        super().__init__(components, selection=selection)
        self._blocks = {node.path: node for node in self.tree.walk() if node.children and node.path}
        self._found: tuple[str, SearchHit] | None = None
        self.view = TreeView(expanded=block_level(self.tree))

    @validate("view")
    def _known_blocks(self, proposal: Mapping[str, Any]) -> TreeView:
        view: TreeView = proposal["value"]
        for path in sorted((view.expanded | view.expanded_in_search | view.shown.keys()) - {""}):
            if path not in self._blocks:
                raise UnknownNameError(str(unknown_component(path, self._blocks, what="block")))
        return view

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
            Part of a name, or a glob; see `dissect_widgets.search_tree`. Spaces around it do not count.
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
        if self.weights is None or not self.selection:
            return None
        values = {name: self.weights(name) for name in self.selection[:HISTOGRAMS]}
        with themed(self.theme):  # type: ignore[arg-type]  # one of both, by its trait
            return weight_histograms(values)

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
