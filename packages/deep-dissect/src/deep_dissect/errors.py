"""Errors of the front door, and all errors of Deep Dissect as one tuple."""

from __future__ import annotations

from dissect_core import DissectError
from dissect_eval.errors import EvalError

__all__ = ["ERRORS", "FrontDoorError", "ImageFilesError"]

ERRORS: tuple[type[Exception], ...] = (DissectError, EvalError)
"""Roots of everything that Deep Dissect raises on purpose: ``except deep_dissect.ERRORS`` catches all of it."""


class FrontDoorError(DissectError, ValueError):
    """An argument of the front door, or an option of the command, that means nothing here."""


class ImageFilesError(FrontDoorError):
    """Images of an annotation file that are not in the folder."""
