"""Plots of dose–response curves, per-class results, errors and confusion, as figures without pyplot.

Needs the extra ``plot``: ``pip install "dissect-eval[plot]"``. matplotlib is imported on use.
"""

from ._dose_curve import Curve
from ._plot_classes import per_class_bars
from ._plot_confusion import confusion_heatmap
from ._plot_curves import precision_recall
from ._plot_doses import dose_response, dose_response_grid
from ._plot_errors import error_type_bars
from ._plot_heatmap import value_heatmap
from ._plot_style import figure_bytes

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
