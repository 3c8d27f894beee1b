"""Compare the outputs of two models on a batch."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import InterventionError
from ..activations import without_fast_path


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Set evaluation mode for a block, without gradients and fused transformer layers; restore every module's mode."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad(), without_fast_path():
            yield
    finally:
        for module, training in modes:
            module.training = training


def floating_values(output: Any) -> list[Tensor]:
    """Return copies of all floating tensors and arrays in a nested output, in order, on the CPU."""
    return [tensor.detach().to("cpu", copy=True) for tensor in _floating(output)]


def require_values(values: Sequence[Tensor]) -> None:
    """Refuse an output without a value to compare.

    Raises
    ------
    InterventionError
        If there is no floating value: `run` returned none, or found nothing on this batch.
    """
    if not any(tensor.numel() for tensor in values):
        raise InterventionError(
            "`run` must return floating tensors or arrays that are not empty, in tuples, lists, dicts or dataclasses: "
            "with the ablated model it returned none. Return raw outputs, before a selection."
        )


def _floating(output: Any) -> Iterator[Tensor]:
    if isinstance(output, np.ndarray) and output.dtype.kind == "f":
        yield torch.from_numpy(output)
    elif isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, Mapping):
        for item in output.values():
            yield from _floating(item)
    elif isinstance(output, Sequence) and not isinstance(output, (str, bytes)):
        for item in output:
            yield from _floating(item)
    elif dataclasses.is_dataclass(output):
        yield from _floating(vars(output))


def rounding(model: nn.Module, outputs: Sequence[Tensor]) -> float:
    """Return the relative difference that rounding may make: the square root of the coarsest type's epsilon."""
    types = {x.dtype for x in (*model.parameters(), *outputs) if x.is_floating_point()}
    return math.sqrt(max(torch.finfo(dtype).eps for dtype in types))


def largest_difference(expected: Sequence[Tensor], found: Sequence[Tensor], tolerance: float) -> float:
    """Return the largest absolute difference between outputs of the ablated and of the smaller model.

    Raises
    ------
    InterventionError
        If shapes differ, or a difference exceeds `tolerance`, relative to the largest value of its output.
    """
    shapes, got = [tuple(x.shape) for x in expected], [tuple(x.shape) for x in found]
    if shapes != got:
        raise InterventionError(
            f"The smaller model's outputs must have the shapes of the ablated one's, {shapes}, got {got}. Let `run` "
            "return raw outputs, before a selection; if it does, something computes with what was removed."
        )
    largest = 0.0
    for number, (old, new) in enumerate(zip(expected, found, strict=True)):
        a, b = old.double(), new.double()
        differing = (a != b) & ~(a.isnan() & b.isnan())
        if not bool(differing.any()):
            continue
        difference = float((a - b)[differing].abs().nan_to_num(torch.inf).max())
        finite = a[a.isfinite()]
        scale = float(finite.abs().max()) if finite.numel() else 0.0
        if difference > tolerance * scale:
            raise InterventionError(
                f"The smaller model must give what the ablated one gives, within {tolerance:.1e} of the largest value, "
                f"but output {number} differs by {difference:.3g} where the largest is {scale:.3g}. Let `run` return "
                "raw outputs, before a selection; if it does, something else uses what was removed: ablate it "
                "with `ablated` instead."
            )
        largest = max(largest, difference)
    return largest
