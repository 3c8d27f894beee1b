"""The query panel: where each object query's boxes are, and where an ablation moves them."""

from ._model import QueriesModel as QueriesModel
from ._panel import QueryPanel as QueryPanel
