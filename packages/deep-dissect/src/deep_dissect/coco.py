"""Deep Dissect 1.0's module of this name; it lies in `deep_dissect.v1`."""

from .v1.coco import *  # noqa: F403
from .v1.coco import __all__ as __all__
