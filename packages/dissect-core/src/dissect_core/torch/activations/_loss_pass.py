"""Passes that end in a loss: check the loss, and leave the model as it was found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ...errors import InterventionError

Loss: TypeAlias = Callable[[nn.Module, Any], Tensor]


def checked_loss(value: Any, number: int, on: str | None = "the model") -> Tensor:
    """Return the loss of a batch after a check: a finite number, with a graph to `on` unless that is None.

    Raises
    ------
    InterventionError
        If it is not a finite scalar with a graph; the batch is named by its number, from 0.
    """
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
        what = (
            f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        )
        raise InterventionError(
            f"`loss` must give one number as a floating tensor, got {what} for batch {number}. Sum or average it."
        )
    if on is not None and not value.requires_grad:
        raise InterventionError(
            f"`loss` must depend on {on} by a graph, got a number without one for batch {number}. Do not run the "
            "model under `torch.no_grad`, and do not detach its result."
        )
    if not bool(torch.isfinite(value)):
        raise InterventionError(
            f"`loss` must be finite, got {float(value.detach())} for batch {number}. Look at it, or leave it out."
        )
    return value


@contextmanager
def left_as_found(model: nn.Module) -> Iterator[None]:
    """Let a block take gradients; restore the model's modes and flags, and torch's random state, after it."""
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    devices = {parameter.device for parameter, _ in flags if parameter.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=list(devices)), torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for parameter, wanted in flags:
            parameter.requires_grad_(wanted)
        for module, mode in modes:
            module.training = mode


def reseed(model: nn.Module, seed: int) -> None:
    """Start torch's random streams anew, on the CPU and on the model's devices, and on no other."""
    torch.default_generator.manual_seed(seed)
    for device in {p.device for p in model.parameters() if p.device.type == "cuda"}:
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
