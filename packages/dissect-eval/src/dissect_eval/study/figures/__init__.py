"""Figures of a study's tables, each with its caption and its numbers."""

from ._captions import counted as counted, span as span
from ._classes import class_bars as class_bars, error_bars as error_bars
from ._figures import dose_curves as dose_curves, figures as figures
from ._layers import is_unsure as is_unsure, layer_maps as layer_maps
from ._maps import class_map as class_map, head_maps as head_maps
from ._marks import change_text as change_text, signed_text as signed_text, told as told
from ._named import (
    FigureData as FigureData,
    FigureMark as FigureMark,
    NamedFigure as NamedFigure,
    title_of as title_of,
    with_no_ops as with_no_ops,
)
from ._values import class_values as class_values
from ._worst import widened as widened, worst_variants as worst_variants
