"""Plots of dose–response curves, per-class results, errors and confusion, as figures without pyplot.

Needs the extra ``plot``: ``pip install "dissect-eval[plot]"``. matplotlib is imported on use.
"""

from ._classes import per_class_bars
from ._confusion import confusion_heatmap
from ._curves import precision_recall
from ._dose_curve import Curve
from ._doses import dose_response, dose_response_grid
from ._errors import error_type_bars
from ._heatmap import value_heatmap
from ._style import figure_bytes

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
