"""Measuring every variant of a study: settings, where variants are measured, notes on what numbers can show."""

from ._measure import measure as measure
from ._results import StudyResults as StudyResults, missing_weights as missing_weights
from ._settings import DEFAULT_METRIC as DEFAULT_METRIC, REPLICATES as REPLICATES, Settings as Settings
from ._spread import Spread as Spread, here as here, in_processes as in_processes
