"""Deep Dissect 1.0's module of this name; it lies in `deep_dissect.v1`."""

from .v1.compute_metrics import *  # noqa: F403
from .v1.compute_metrics import __all__ as __all__
