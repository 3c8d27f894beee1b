"""The component browser: a model's parts as a tree to look through, search and select from."""

from ._model import BrowserModel
from ._panel import ComponentBrowser
from ._rows import TreeRow, TreeView, visible_rows
from ._search import SearchHit, search_tree
from ._selection import SelectionModel
from ._tree import ComponentNode, block_level, component_tree
from ._weights import weight_histograms, weights_of

__all__ = [
    "BrowserModel",
    "ComponentBrowser",
    "ComponentNode",
    "SearchHit",
    "SelectionModel",
    "TreeRow",
    "TreeView",
    "block_level",
    "component_tree",
    "search_tree",
    "visible_rows",
    "weight_histograms",
    "weights_of",
]
