"""Runs in half precision: faster on accelerators, other numbers, and therefore on record."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, get_args

from ..detectors import Detector, ImageDetections, TorchDetector
from ..errors import StudyError
from ._options import Precision


def in_precision(detector: Detector, precision: Precision) -> AbstractContextManager[Any]:
    """A block in which a torch model computes in a precision, by `torch.autocast`; enter it for each pass anew.

    Raises
    ------
    StudyError
        If there is no such precision, or the detector is no torch model.
    """
    if precision not in get_args(Precision):
        raise StudyError(f"`precision` must be one of {', '.join(get_args(Precision))}, got {precision!r}.")
    if precision == "full":
        return nullcontext()
    if not isinstance(detector, TorchDetector):
        raise StudyError(
            f"`precision` {precision!r} needs a torch model, but {type(detector).__name__} has none. Take full."
        )
    import torch

    parameter = next(detector.model.parameters(), None)
    device = "cpu" if parameter is None else parameter.device.type
    return torch.autocast(device, {"bf16": torch.bfloat16, "fp16": torch.float16}[precision])


def predicted(detector: Detector, precision: Precision, batch: Any) -> list[ImageDetections]:
    """What a detector finds in a batch, computed in a precision."""
    with in_precision(detector, precision):
        return detector.predict_batch(batch)
