"""Plots of dose–response curves and per-class results, as matplotlib figures without pyplot.

Needs the extra ``plot``: ``pip install "dissect-eval[plot]"``. matplotlib is imported on use.
"""

from ._plot_classes import per_class_bars
from ._plot_doses import Curve, dose_response, dose_response_grid

__all__ = ["Curve", "dose_response", "dose_response_grid", "per_class_bars"]
