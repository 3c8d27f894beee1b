"""Notebook panels for ablation studies of object detectors, on ipywidgets alone.

`ComponentBrowser` shows a model's parts, in `StudyBuilder` a study is written, `ResultsExplorer` shows what it found
out, `ImageBrowser` on which images. Each shows a model (`BrowserModel`, `SpecModel`, `ResultsModel`, `ImagesModel`)
that works without a notebook; `dissect_widgets.plots` has the pictures.
"""

from ._browser import ComponentBrowser
from ._browser_rows import BlockRow, ComponentRow, MoreRow
from ._builder import StudyBuilder
from ._detector import DetectorPanel
from ._detector_model import DetectorModel
from ._images import ImageBrowser
from ._images_model import ImagesModel, Listed, Pair
from ._job import StudyJob
from ._job_form import JobForm, JobModel
from ._model import BrowserModel
from ._plan_preview import PlannedAblation, PlanPreview
from ._queries import QueryPanel
from ._queries_model import QueriesModel
from ._results import ResultsExplorer
from ._results_model import Chosen, ResultsModel
from ._rows import Row, TreeView, visible_rows
from ._run import RunPanel
from ._run_model import Ended, Job, RunModel
from ._search import Found, search_tree
from ._selection import SelectionModel
from ._spec_model import SpecModel
from ._tree import ComponentNode, block_level, component_tree
from ._weights import weight_histograms, weights_of
from ._workbench import Workbench
from .errors import (
    DissectWidgetsError,
    DraftError,
    JobError,
    MissingAppError,
    RunStateError,
    StudyFolderError,
    TreeError,
    UnknownNameError,
)

__all__ = [
    "BlockRow",
    "BrowserModel",
    "Chosen",
    "ComponentBrowser",
    "ComponentNode",
    "ComponentRow",
    "DetectorModel",
    "DetectorPanel",
    "DissectWidgetsError",
    "DraftError",
    "Ended",
    "Found",
    "ImageBrowser",
    "ImagesModel",
    "Job",
    "JobError",
    "JobForm",
    "JobModel",
    "Listed",
    "MissingAppError",
    "MoreRow",
    "Pair",
    "PlanPreview",
    "PlannedAblation",
    "QueriesModel",
    "QueryPanel",
    "ResultsExplorer",
    "ResultsModel",
    "Row",
    "RunModel",
    "RunPanel",
    "RunStateError",
    "SelectionModel",
    "SpecModel",
    "StudyBuilder",
    "StudyFolderError",
    "StudyJob",
    "TreeError",
    "TreeView",
    "UnknownNameError",
    "Workbench",
    "block_level",
    "component_tree",
    "search_tree",
    "visible_rows",
    "weight_histograms",
    "weights_of",
]
