"""Which rows of a tree are shown. Pure: no widgets in here."""

from collections.abc import Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ._tree import ComponentNode

PAGE_SIZE = 50
"""Children of a block shown before "show more", and added by it."""
MAX_ROWS = 500
"""Rows of the whole tree shown before "show more", and added by it."""

RowKind: TypeAlias = Literal["block", "component", "more"]


@dataclass(frozen=True)
class TreeView:
    """Which part of a tree is shown. Each change replaces it as a whole, so that observers are notified.

    Attributes
    ----------
    search : str
        Text or glob to search for, ``""`` for none.
    expanded : frozenset of str
        Paths of the blocks that are open outside of a search.
    expanded_in_search : frozenset of str
        Paths of the blocks that are open during the search.
    shown : mapping of str to int
        How many children to show, for blocks that show more than one page.
    max_rows : int
        How many rows to show in all.
    """

    search: str = ""
    expanded: frozenset[str] = frozenset()
    expanded_in_search: frozenset[str] = frozenset()
    shown: Mapping[str, int] = field(default_factory=dict)
    max_rows: int = MAX_ROWS


@dataclass(frozen=True)
class TreeRow:
    """One line of a tree as it is shown.

    Attributes
    ----------
    kind : {"block", "component", "more"}
        A node that can be opened; a component; or the place after the last child shown of a node that has more.
    node : ComponentNode
        The block, the component, or the node that has more children.
    depth : int
        How far to indent; 0 for what lies directly below the root.
    n_more : int
        How many children of the node are not shown; 0 unless the kind is ``"more"``.
    """

    kind: RowKind
    node: ComponentNode
    depth: int
    n_more: int = 0

    @property
    def key(self) -> tuple[RowKind, str]:
        """Return kind and path, which no other row of the same tree has."""
        return self.kind, self.node.path


def visible_rows(
    tree: ComponentNode, expanded: AbstractSet[str], shown: Mapping[str, int], page_size: int
) -> tuple[TreeRow, ...]:
    """Return the rows of a tree in the order in which they are shown.

    Parameters
    ----------
    tree : ComponentNode
        Root of the tree; itself not a row, and always open.
    expanded : set of str
        Paths of the nodes that are open.
    shown : mapping of str to int
        How many children of a node to show, by path.
    page_size : int
        How many children to show of a node that `shown` does not name.

    Returns
    -------
    tuple of TreeRow
        Only what lies in open nodes is visited.

    Examples
    --------
    >>> from dissect_core import Component
    >>> from dissect_widgets.components import component_tree
    >>> tree = component_tree(Component(f"list.{i}", (2,), "float32") for i in range(5))
    >>> [(row.kind, row.node.path, row.n_more) for row in visible_rows(tree, {"list"}, {}, page_size=2)]
    [('block', 'list', 0), ('component', 'list.0', 0), ('component', 'list.1', 0), ('more', 'list', 3)]
    """
    return tuple(_below(tree, 0, expanded, shown, page_size))


def _below(
    node: ComponentNode, depth: int, expanded: AbstractSet[str], shown: Mapping[str, int], page_size: int
) -> Iterator[TreeRow]:
    if node.component is not None:  # a component that has others below it stands first among them
        yield TreeRow("component", node, depth)
    limit = shown.get(node.path, page_size)
    for child in node.children[:limit]:
        if not child.children:
            yield TreeRow("component", child, depth)
            continue
        yield TreeRow("block", child, depth)
        if child.path in expanded:
            yield from _below(child, depth + 1, expanded, shown, page_size)
    if len(node.children) > limit:
        yield TreeRow("more", node, depth, len(node.children) - limit)
