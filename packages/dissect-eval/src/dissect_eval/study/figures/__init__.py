"""Figures of a study's tables, each with its caption and its numbers."""

from ._captions import counted, span
from ._classes import class_bars, error_bars
from ._figures import dose_curves, figures
from ._maps import class_map, head_maps
from ._named import FigureData, NamedFigure, title_of, with_no_ops
from ._values import class_values
from ._worst import widened, worst_variants

__all__ = [
    "FigureData",
    "NamedFigure",
    "class_bars",
    "class_map",
    "class_values",
    "counted",
    "dose_curves",
    "error_bars",
    "figures",
    "head_maps",
    "span",
    "title_of",
    "widened",
    "with_no_ops",
    "worst_variants",
]
