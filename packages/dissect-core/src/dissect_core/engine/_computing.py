"""How a torch model computes: in which precision, and with how many threads."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, get_args

from ..detectors import Detector, ImageDetections, model_of
from ..errors import StudyError
from ._options import Precision


def in_precision(detector: Detector, precision: Precision) -> AbstractContextManager[Any]:
    """Return a block in which a torch model computes in a precision by `torch.autocast`; enter it for each pass anew.

    Raises
    ------
    StudyError
        If there is no such precision, or the detector is no torch model.
    """
    if precision not in get_args(Precision):
        raise StudyError(f"`precision` must be one of {', '.join(get_args(Precision))}, got {precision!r}.")
    if precision == "full":
        return nullcontext()
    model = model_of(detector)
    if model is None:
        raise StudyError(
            f"`precision` {precision!r} needs a torch model, but {type(detector).__name__} has none. Take full."
        )
    import torch

    parameter = next(model.parameters(), None)
    device = "cpu" if parameter is None else parameter.device.type
    return torch.autocast(device, {"bf16": torch.bfloat16, "fp16": torch.float16}[precision])


def predicted(detector: Detector, precision: Precision, batch: Any) -> list[ImageDetections]:
    """Return what a detector finds in a batch, computed in a precision."""
    with in_precision(detector, precision):
        return detector.predict_batch(batch)


def threads_of(detector: Detector) -> int | None:
    """Return how many threads a torch model computes with in this process; None for other detectors.

    On a CPU the last bits of a sum depend on it.
    """
    if model_of(detector) is None:
        return None
    import torch

    return torch.get_num_threads()


def compute_with(threads: int) -> None:
    """Let torch compute with a number of threads from now on, if this process uses it."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


@contextmanager
def computing_with(threads: int | None) -> Iterator[None]:
    """Let torch compute with a number of threads for the length of a block; None leaves it alone."""
    if threads is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
