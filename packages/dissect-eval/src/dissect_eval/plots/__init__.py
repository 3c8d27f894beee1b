"""Plots of dose–response curves, per-class results, errors and confusion, as figures without pyplot.

Needs the extra ``plot``: ``pip install "dissect-eval[plot]"``. matplotlib is imported on use.
Names that are not in `__all__` are used by the figures of studies.
"""

from ._classes import per_class_bars
from ._confusion import confusion_heatmap
from ._curves import precision_recall
from ._dose_curve import Curve
from ._doses import dose_response, dose_response_grid
from ._errors import error_type_bars
from ._heatmap import value_heatmap
from ._style import (
    OKABE_ITO as OKABE_ITO,
    figure_bytes,
    is_dark as is_dark,
    legend_below as legend_below,
    new_figure as new_figure,
    reference_color as reference_color,
    tidy as tidy,
)
from ._text import as_text as as_text, drawn as drawn, drawn_all as drawn_all, drawn_quietly as drawn_quietly
from ._unit_maps import UnitMap as UnitMap, unit_map_figure as unit_map_figure

__all__ = [
    "Curve",
    "confusion_heatmap",
    "dose_response",
    "dose_response_grid",
    "error_type_bars",
    "figure_bytes",
    "per_class_bars",
    "precision_recall",
    "value_heatmap",
]
