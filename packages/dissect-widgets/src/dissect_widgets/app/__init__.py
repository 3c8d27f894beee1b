"""The workbench as an app in the browser, served by Voila on this machine alone."""

from ._serve import NOTEBOOK, open_workbench, serve
from ._variables import AT_WORK, FOLDER, STUDY

__all__ = ["AT_WORK", "FOLDER", "NOTEBOOK", "STUDY", "open_workbench", "serve"]
