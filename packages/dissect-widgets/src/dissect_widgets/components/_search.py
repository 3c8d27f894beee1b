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
    """Find components and blocks by words, or by glob.

    A component is found if its path, role and aliases hold every word, and with it if the path of a block around it
    does. Upper and lower case count as the same, and roles also go by their usual names, such as cross-attention.

    Parameters
    ----------
    tree : ComponentNode
        Root of the tree to search.
    pattern : str
        Words with spaces between them; or a glob (with ``*``, ``?`` or ``[``) that fits a path from its first
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
    >>> [component.name for component in search_tree(tree, "weight decoder").tree.components()]
    ['decoder.0.attn.weight']
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


NAMES = {
    "self_attn": "self-attention",
    "cross_attn": "cross-attention",
    "ffn": "feed-forward",
    "conv": "convolution",
}
"""Usual names of roles, by the role's last part."""


def _matches_otherwise(component: Component | None, matches: Callable[..., bool]) -> bool:
    if component is None:
        return False
    role = component.role or ""
    return matches(component.name, role, NAMES.get(role.rpartition(".")[2], ""), *component.aliases)


def _matcher(pattern: str) -> Callable[..., bool]:
    """Return whether texts hold all words between them; of a glob, whether one of them fits it."""
    wanted = pattern.casefold()
    words = wanted.split()

    def holds(*texts: str) -> bool:
        folded = "\n".join(texts).casefold()
        return all(word in folded for word in words)

    if not any(wildcard in wanted for wildcard in "*?["):
        return holds
    try:
        glob = re.compile(fnmatch.translate(wanted))
    except re.error:  # an empty range, "[b-a]", on Python 3.10
        return holds

    def matches(*texts: str) -> bool:
        # A name may hold a bracket itself: the pattern as plain text counts as well.
        return any(wanted in text.casefold() or glob.match(text.casefold()) is not None for text in texts)

    return matches
