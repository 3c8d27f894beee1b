"""Notebook panels for ablation studies of object detectors, on ipywidgets alone.

`ComponentBrowser` shows a model's parts, `ResultsExplorer` what a study found out, `ImageBrowser` on which images. Each
shows a model (`BrowserModel`, `ResultsModel`, `ImagesModel`) that works without a notebook; `dissect_widgets.plots` has
the pictures.
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
