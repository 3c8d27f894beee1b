"""Fixed random numbers for a while."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def fixed_chance(device: torch.device, seed: int) -> Iterator[None]:
    """Seed the generators that MMDetection draws from, and put their states back."""
    on_cuda = device.type == "cuda"
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002  # MMDetection's samplers
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
