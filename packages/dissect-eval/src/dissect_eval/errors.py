"""Errors and warnings of dissect-eval: one root, one class per kind of input."""

from __future__ import annotations

__all__ = [
    "BoxError",
    "CategoryError",
    "CategoryWarning",
    "DetectionError",
    "EvalError",
    "MissingExtraError",
    "SettingError",
    "SplitWarning",
    "StudyDataError",
    "TruthError",
]


class EvalError(Exception):
    """Root of every error that dissect-eval raises on purpose."""


class BoxError(EvalError, ValueError):
    """Boxes of the wrong shape, not finite, or with a negative extent."""


class TruthError(EvalError, ValueError):
    """Ground truth that cannot be read, or that contradicts itself."""


class DetectionError(EvalError, ValueError):
    """Detections that cannot be read, or that do not belong to the ground truth."""


class CategoryError(EvalError, ValueError):
    """Class names of a detector and of an annotation file that do not fit together."""


class SettingError(EvalError, ValueError):
    """A setting of a metric or plot outside the range in which it means something."""


class StudyDataError(EvalError, ValueError):
    """A study's folder that lacks something, or holds something else than it should."""


class MissingExtraError(EvalError, ImportError):
    """A function needs an optional dependency that is not installed."""


class CategoryWarning(UserWarning):
    """Classes of a detector that the ground truth has no category of."""


class SplitWarning(UserWarning):
    """Detections look as if they came from another data split than the ground truth."""
