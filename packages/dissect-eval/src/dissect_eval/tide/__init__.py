"""TIDE's error types: what is wrong with detections, and what AP mending it would give."""

from ._fix import ERROR_TYPES, SPECIAL_TYPES
from ._result import ClassErrors, ErrorTypes
from ._tide import error_types

__all__ = [
    "ERROR_TYPES",
    "SPECIAL_TYPES",
    "ClassErrors",
    "ErrorTypes",
    "error_types",
]
