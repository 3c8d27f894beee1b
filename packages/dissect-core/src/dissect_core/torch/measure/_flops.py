"""Operations: how many a pass takes, and which share of them a model without some units would not need."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from ...plan import PoolPart, Variant

_FUSED_ON_CPU = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_REMOVING = frozenset({"zero", "constant", "mean", "optimal"})  # what gives a constant need not be computed


class FlopMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Counts the floating-point operations of matrix products and convolutions, by torch's own formulas.

    A multiplication and an addition are two. Attention is counted as the products that it is made of. Unlike
    `torch.utils.flop_counter.FlopCounterMode` it neither follows modules, whose hooks fail where a parameter that wants
    gradients is passed to one (``reference_points_fc(query_pos)`` in Deformable DETR), nor takes operators apart.

    Attributes
    ----------
    total : int
        So far.

    Examples
    --------
    >>> with torch.no_grad(), FlopMeter() as meter:
    ...     _ = torch.ones(2, 3) @ torch.ones(3, 4)
    >>> meter.total
    48
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and count its operations."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        formula: Callable[..., int] | None = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += int(formula(*args, **kwargs, out_val=result))
        elif func._overloadpacket is _FUSED_ON_CPU:  # torch's table lacks it
            shapes = (tensor.shape for tensor in args[:3])
            self.total += int(sdpa_flop_count(*shapes))  # type: ignore[no-untyped-call]
        return result


def operations(call: Callable[[], Any]) -> int:
    """Count the operations of a call, see `FlopMeter`."""
    with FlopMeter() as meter:
        call()
    total: int = meter.total
    return total


def flops_saved(variant: Variant, model: nn.Module, flops: Mapping[str, int], total: int) -> float | None:
    """Return the share of a pass's operations that a model without the removed units would not need.

    Parameters
    ----------
    variant : Variant
    model : torch.nn.Module
    flops : mapping of str to int
        Operations in all calls of each module.
    total : int
        Operations of the whole pass.

    Returns
    -------
    float or None
        In [0, 1]. 0 where nothing can be left out: scattered elements leave matrices as large as they were, and noise
        has to be computed. None where it depends on how the model is rewritten: for queries, levels and points.
        A lower bound: a module saves its own share of units that go, and what others would save with it (the layer
        before an FFN's neurons, the one after a channel) is not counted.

    Examples
    --------
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of
    >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 1)
    >>> heads = {"name": "heads", "target": {"unit": "head", "components": "*"}, "select": {"by": "each"}}
    >>> variants = plan(load_spec({"name": "single heads", "ablations": [heads]}), anatomy_of(model))
    >>> [flops_saved(variant, model, {"layers.0.self_attn": 80}, 200) for variant in variants]
    [0.0, 0.2, 0.2]
    """
    saved_by_unit = variant.pool.kind.flops_saved
    if variant.n_units == 0 or saved_by_unit == "none" or variant.intervention.kind not in _REMOVING:
        return 0.0
    if saved_by_unit == "unknown" or not total:
        return None
    saved: dict[str, float] = {}
    for part, units in variant.pool.by_part(variant.units()):
        for path, share in _modules_of(part, model, flops):
            saved[path] = min(1.0, saved.get(path, 0.0) + share * len(units) / part.n_units)
    whole = tuple(f"{path}." for path, share in saved.items() if share == 1)
    # What lies in a module that goes whole is counted with it.
    parts = (flops.get(path, 0) * share for path, share in saved.items() if not path.startswith(whole))
    return min(1.0, sum(parts) / total)


def _modules_of(part: PoolPart, model: nn.Module, flops: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    """Yield the called modules that a part of a pool lies in, and the shares of their matrices that it takes."""
    if part.path in flops:
        yield part.path, 1.0
        return
    for name in [s.parameter for s in part.group.slices] if part.group else [c.name for c in part.components]:
        owner = name.rpartition(".")[0]
        around = owner.rpartition(".")[0]
        if owner not in flops and isinstance(model.get_submodule(around), nn.MultiheadAttention):
            owner = around  # which multiplies by its output projection without calling it
        if owner in flops and model.get_parameter(name).dim() > 1:
            matrices = [p for p in model.get_submodule(owner).parameters() if p.dim() > 1]
            yield owner, model.get_parameter(name).numel() / sum(p.numel() for p in matrices)
