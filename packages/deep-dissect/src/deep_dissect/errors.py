"""Errors of the front door, and all errors of Deep Dissect as one tuple."""

from __future__ import annotations

from typing import Any

from dissect_core.errors import DissectError

__all__ = ["ERRORS", "FrontDoorError", "ImageFilesError", "ImageNumberError"]

ERRORS: tuple[type[Exception], ...]
"""Roots of everything that Deep Dissect raises on purpose: ``except deep_dissect.ERRORS`` catches all of it."""


def __getattr__(name: str) -> Any:
    if name != "ERRORS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dissect_eval.errors import (
        EvalError,  # its import takes half a second, which commands that only read a folder save
    )

    return (DissectError, EvalError)


class FrontDoorError(DissectError, ValueError):
    """An argument of the front door, or an option of the command, is invalid."""


class ImageFilesError(FrontDoorError):
    """Images of an annotation file are not in the folder."""


class ImageNumberError(FrontDoorError, IndexError):
    """A split has no image of this number."""
