"""Notebook panels for ablation studies of object detectors, on ipywidgets alone.

There is one panel so far, `ComponentBrowser`. It shows a `BrowserModel`, which works without a notebook; what
the model is made of (`component_tree`, `search_tree`, `block_level`) needs no widgets either.
"""

from ._browser import ComponentBrowser
from ._browser_rows import BlockRow, ComponentRow, MoreRow
from ._images import ImageBrowser
from ._images_model import ImagesModel, Listed, Pair
from ._model import BrowserModel
from ._results import ResultsExplorer
from ._results_model import Chosen, ResultsModel
from ._rows import Row, TreeView, visible_rows
from ._search import Found, search_tree
from ._selection import SelectionModel
from ._tree import ComponentNode, block_level, component_tree
from .errors import DissectWidgetsError, StudyFolderError, TreeError, UnknownNameError

__all__ = [
    "BlockRow",
    "BrowserModel",
    "Chosen",
    "ComponentBrowser",
    "ComponentNode",
    "ComponentRow",
    "DissectWidgetsError",
    "Found",
    "ImageBrowser",
    "ImagesModel",
    "Listed",
    "MoreRow",
    "Pair",
    "ResultsExplorer",
    "ResultsModel",
    "Row",
    "SelectionModel",
    "StudyFolderError",
    "TreeError",
    "TreeView",
    "UnknownNameError",
    "block_level",
    "component_tree",
    "search_tree",
    "visible_rows",
]
