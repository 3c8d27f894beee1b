"""The component browser: a model's parts as a tree to look through, search and select from."""

from ._model import BrowserModel as BrowserModel
from ._panel import ComponentBrowser as ComponentBrowser
from ._rows import TreeRow as TreeRow, TreeView as TreeView, visible_rows as visible_rows
from ._search import SearchHit as SearchHit, search_tree as search_tree
from ._selection import SelectionModel as SelectionModel
from ._tree import (
    ComponentNode as ComponentNode,
    block_level as block_level,
    component_tree as component_tree,
)
from ._weights import weight_histograms as weight_histograms, weights_of as weights_of
