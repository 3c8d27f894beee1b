"""Measuring every variant of a study: settings, where variants are measured, notes on what numbers can show."""

from ._measure import measure
from ._results import StudyResults, missing_weights
from ._settings import DEFAULT_METRIC, REPLICATES, Settings
from ._spread import Spread, here, in_processes

__all__ = [
    "DEFAULT_METRIC",
    "REPLICATES",
    "Settings",
    "Spread",
    "StudyResults",
    "here",
    "in_processes",
    "measure",
    "missing_weights",
]
