"""What a caller gives as ground truth: files and their content are read, anything else is refused in a sentence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeAlias

from ..errors import TruthError
from ._truth import GroundTruth

__all__ = ["TruthLike", "as_truth", "kind_of"]

TruthLike: TypeAlias = "GroundTruth | str | os.PathLike[str] | Mapping[str, Any]"
"""Ground truth, or a COCO file or its content."""


def as_truth(given: Any) -> GroundTruth:
    """Return ground truth, read from a COCO file or its content if need be.

    Raises
    ------
    TruthError
        If it is something else; what to do is said.
    """
    if isinstance(given, GroundTruth):
        return given
    if isinstance(given, (str, os.PathLike, Mapping)) or hasattr(given, "dataset"):
        return GroundTruth.from_coco(given)
    raise TruthError(
        f"`truth` must be a GroundTruth, or a COCO file or its content, got {kind_of(given)}. Make it by "
        "`GroundTruth.from_arrays`, `from_coco`, `from_torchvision` or `from_supervision`."
    )


def kind_of(value: object) -> str:
    """Return what a value is, and of what: "list of tuple"."""
    name = type(value).__name__
    return f"{name} of {type(value[0]).__name__}" if isinstance(value, (list, tuple)) and value else name
