"""The results explorer: a study's pictures and tables."""

from ._model import ResultsModel
from ._panel import ResultsExplorer

__all__ = ["ResultsExplorer", "ResultsModel"]
