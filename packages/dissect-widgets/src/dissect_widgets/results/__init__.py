"""The results explorer: a study's pictures and tables."""

from ._model import ResultsModel as ResultsModel
from ._panel import ResultsExplorer as ResultsExplorer
