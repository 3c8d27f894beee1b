"""Searching a tree of components. Pure: no widgets in here."""

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass

from dissect_core import Component

from ._tree import ComponentNode, make_node


@dataclass(frozen=True)
class SearchHit:
    """Part of a tree that a search found.

    Attributes
    ----------
    tree : ComponentNode
        The part of the tree that matches, with the blocks around it; sums are over what matches.
    expanded : frozenset of str
        Paths to open so that everything that matches by itself is seen. A block that matches is whole and stays
        closed.
    """

    tree: ComponentNode
    expanded: frozenset[str]


def search_tree(tree: ComponentNode, pattern: str) -> SearchHit:
    """Find components and blocks by part of a name, or by glob.

    A component is found if its path, role or one of its aliases matches, and with it if a block around it does.
    Upper and lower case count as the same.

    Parameters
    ----------
    tree : ComponentNode
        Root of the tree to search.
    pattern : str
        Text that a path contains; or a glob (with ``*``, ``?`` or ``[``) that fits a path from its first
        character to its last, where ``*`` matches dots too.

    Returns
    -------
    SearchHit
        The matching part of the tree; a root without children if there is none.

    Examples
    --------
    >>> from dissect_widgets.components import component_tree
    >>> names = ["encoder.0.attn.weight", "encoder.0.norm.bias", "decoder.0.attn.weight"]
    >>> tree = component_tree(Component(name, (2,), "float32") for name in names)
    >>> [component.name for component in search_tree(tree, "ATTN").tree.components()]
    ['encoder.0.attn.weight', 'decoder.0.attn.weight']
    >>> sorted(search_tree(tree, "enc*.bias").expanded)
    ['encoder', 'encoder.0', 'encoder.0.norm']
    """
    matches = _matcher(pattern)
    expanded: set[str] = set()

    def kept(node: ComponentNode) -> ComponentNode | None:
        if node.path and matches(node.path):
            return node
        component = node.component if _matches_otherwise(node.component, matches) else None
        children = tuple(child for child in map(kept, node.children) if child is not None)
        if component is None and not children:
            return None
        if children:
            expanded.add(node.path)
        return make_node(node.path, component, children)

    found = kept(tree) or make_node("", None, ())
    return SearchHit(found, frozenset(expanded - {""}))


def _matches_otherwise(component: Component | None, matches: Callable[[str], bool]) -> bool:
    if component is None:
        return False
    return any(matches(text) for text in (component.role, *component.aliases) if text is not None)


def _matcher(pattern: str) -> Callable[[str], bool]:
    wanted = pattern.casefold()
    if not any(wildcard in wanted for wildcard in "*?["):
        return lambda text: wanted in text.casefold()
    try:
        glob = re.compile(fnmatch.translate(wanted))
    except re.error:  # an empty range, "[b-a]", on Python 3.10
        return lambda text: wanted in text.casefold()

    def matches(text: str) -> bool:
        # A name may hold a bracket itself: the pattern as plain text counts as well.
        folded = text.casefold()
        return wanted in folded or glob.match(folded) is not None

    return matches
