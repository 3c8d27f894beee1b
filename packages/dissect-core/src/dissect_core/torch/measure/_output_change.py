"""The dose that counts: how much an ablation changes what a module hands on."""

import math
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ...errors import InterventionError
from ..activations import floats_in, module_at, without_fast_path

Batch = TypeVar("Batch")


class NoOpWarning(UserWarning):
    """An ablation left the probed output as it was; the message gives the likely reason."""


def output_change(
    model: nn.Module,
    path: str,
    run: Callable[[nn.Module, Batch], Any],
    batch: Batch,
    context: AbstractContextManager[Any],
) -> float:
    """Measure the relative change of a module's output by an ablation: ‖y′ − y‖ / ‖y‖ over a batch.

    Parameters
    ----------
    model : torch.nn.Module
    path : str
        The module whose output is compared: the ablated one, or any behind it. All floating tensors of all its
        calls count together.
    run : callable
        ``run(model, batch)`` runs the model. It is called twice.
    batch : object
        Whatever `run` takes.
    context : context manager
        The ablation, not entered yet: ``edited(...)``, ``ablated(...)``, ``intervened(...)`` or
        ``bypassed(...)``.

    Returns
    -------
    float
        0 or more, with Euclidean norms in double precision. Values that are not finite before and after, and
        equal, are left out; infinite if values became so, or an output of zeros became another. 0 means that the
        ablation did nothing here.

    Raises
    ------
    UnknownComponentError
        If the model has no such module.
    InterventionError
        If the outputs differ in number or shape, so that they cannot be compared.

    Warns
    -----
    NoOpWarning
        If the change is 0, with the likely reason.

    Examples
    --------
    >>> from dissect_core import row_mask
    >>> from dissect_core.torch import ablated
    >>> model = nn.Sequential(nn.Linear(2, 2, bias=False))
    >>> zeros = ablated(model, {"0.weight": row_mask((2, 2), [0, 1])})
    >>> output_change(model, "0", lambda model, batch: model(batch), torch.ones(1, 2), zeros)
    1.0
    """
    module = module_at(model, path)
    with without_fast_path():
        before = record_outputs(model, {path: module}, run, batch)[path]
        with context as report:
            after = record_outputs(model, {path: module}, run, batch)[path]
    if [x.shape for x in before] != [x.shape for x in after]:
        raise InterventionError(
            f"Outputs of {path!r} must have the same shapes with and without the ablation, got "
            f"{[tuple(x.shape) for x in after]} and {[tuple(x.shape) for x in before]}. "
            "Measure a module before the model selects proposals."
        )
    change = relative_change(before, after)
    if change == 0:
        reason = no_op_reason(bool(before), report)
        warnings.warn(f"The output of {path!r} did not change: {reason}", NoOpWarning, stacklevel=2)
    return change


def record_outputs(
    model: nn.Module,
    modules: Mapping[str, nn.Module],
    run: Callable[[nn.Module, Batch], Any],
    batch: Batch,
) -> dict[str, list[Tensor]]:
    """Copy all floating tensors that some modules return in one run to the CPU, in single precision or better."""
    outputs: dict[str, list[Tensor]] = {path: [] for path in modules}
    with ExitStack() as stack:
        for path, module in modules.items():

            def record(_module: nn.Module, _args: Any, output: Any, path: str = path) -> None:
                for tensor in floats_in(output):
                    dtype = torch.promote_types(tensor.dtype, torch.float32)
                    outputs[path].append(tensor.detach().to("cpu", dtype, copy=True))

            stack.callback(module.register_forward_hook(record).remove)
        with torch.no_grad():
            run(model, batch)
    return outputs


def relative_change(before: list[Tensor], after: list[Tensor]) -> float:
    """Return ‖after − before‖ / ‖before‖ over all tensors together; equal values that are not finite are left out."""
    change = norm = 0.0
    for old, new in zip(before, after, strict=True):
        squares = _squares(new - old), _squares(old)
        if not all(map(math.isfinite, squares)):
            differ = (new != old) & ~(new.isnan() & old.isnan())
            if bool((differ & ~(new.isfinite() & old.isfinite())).any()):
                return math.inf
            squares = _squares((new.double() - old.double())[differ]), _squares(old[old.isfinite()])
        change, norm = change + squares[0], norm + squares[1]
    if change == 0:
        return 0.0
    return math.sqrt(change / norm) if norm else math.inf


def _squares(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values, dtype=torch.float64)) ** 2


def no_op_reason(ran: bool, report: Any) -> str:
    """Name the likely reason why an output did not change."""
    if not ran:
        return (
            "the module did not run on this batch, or runs without a call, inside a fused kernel. "
            "Measure a module that is called."
        )
    # Of an ablation that counts what it does: not every context manager gives a report.
    if getattr(report, "masked", None) == 0:
        return "the masks select no value. Choose units, or a dose above 0."
    if getattr(report, "is_no_op", False):
        return "every masked value had its new value already; weights that are zero stay zero."
    return (
        "what was ablated does not reach it. The module may run before the ablated part, or the units may be "
        "dead: silent on this batch, or read by nothing. Probe the ablated module itself, or another batch."
    )
