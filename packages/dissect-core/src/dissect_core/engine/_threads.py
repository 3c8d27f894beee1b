"""With how many threads torch computes: on a CPU, the last bits of a sum depend on it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..detectors import Detector, TorchDetector


def threads_of(detector: Detector) -> int | None:
    """Threads that a torch model computes with in this process; None for other detectors."""
    if not isinstance(detector, TorchDetector):
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
    """A block in which torch computes with a number of threads; None leaves it alone."""
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
