"""What is refused of weights in any case: names that are another model's, other kinds of numbers, NaN and infinity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointFitError
from ._fit import COUNTER, Fit, entries, named
from ._weights import FoundWeights, fitting_prefixes


def require_prefix(
    fit: Fit, found: FoundWeights, own: Mapping[str, Any], checkpoint: str, source: str
) -> None:
    """Refuse entries of which a part alone would fit better without what is before its names."""
    n_fitting = fit.n_model - len(fit.missing)
    prefixes = fitting_prefixes(found.state, own)
    better = {prefix: count for prefix, count in prefixes.items() if count > n_fitting}
    if better:
        shown = [
            f"`{found.prefix}{p}` ({count:,} of the model's {len(own):,})" for p, count in better.items()
        ]
        raise CheckpointFitError(
            f"checkpoint {checkpoint} does not fit {source}: only some of its entries have the model's names behind a "
            f"prefix: {named(shown)}. Choose by weights_prefix (--weights-prefix {found.prefix}{next(iter(better))})."
        )
    if n_fitting == 0 or all(name.endswith(COUNTER) for name in own if name in found.state):
        inner = fitting_prefixes(own, found.state)
        remedy = (
            f"The model's own names are these behind {', '.join(f'`{p}`' for p in inner)}: give the config of the "
            "detector without what it was wrapped in for training."
            if inner
            else "Give the config that the checkpoint was trained with."
        )
        raise CheckpointFitError(
            f"checkpoint {checkpoint} does not fit {source}: none of its {len(found.state):,} entries is one of the "
            f"model's {len(own):,}: {named(list(found.state))} there, {named(list(own))} here. {remedy}"
        )


def require_kinds(own: Mapping[str, Any], state: Mapping[str, Any], checkpoint: str, source: str) -> None:
    """Refuse what torch would turn into other numbers, or into none, without a word."""
    odd = []
    for name, value in state.items():
        here = own.get(name)
        if not isinstance(here, Tensor) or name.endswith(COUNTER):
            continue
        if (
            not isinstance(value, Tensor)
            or value.is_meta
            or value.is_quantized
            or value.layout != torch.strided
        ):
            odd.append(f"{name} holds no plain numbers")
        elif (value.is_floating_point(), value.is_complex()) != (here.is_floating_point(), here.is_complex()):
            odd.append(f"{name} is {dtype(value)} there, {dtype(here)} here")
    if odd:
        raise CheckpointFitError(
            f"checkpoint {checkpoint} does not fit {source}: {entries(len(odd))} of another kind of number: "
            f"{named(odd)}. Save the model's weights as it computes with them, not quantized or converted."
        )


def require_tied_alike(
    tied: Mapping[str, str], state: Mapping[str, Any], checkpoint: str, source: str
) -> None:
    """Refuse two values for one parameter: which one is loaded last is nobody's choice."""
    odd = [
        f"{name} and {one}"
        for name, one in tied.items()
        if name != one and name in state and one in state and not _equal(state[name], state[one])
    ]
    if odd:
        raise CheckpointFitError(
            f"checkpoint {checkpoint} does not fit {source}: what is one parameter in the model has different values "
            f"under its names: {named(odd)}. Give the config that the checkpoint was trained with: layers that share "
            "their weights here had weights of their own there."
        )


def _equal(one: Any, other: Any) -> bool:
    return one is other or (
        one.shape == other.shape and torch.equal(one.nan_to_num(), other.to(one.dtype).nan_to_num())
    )


def require_finite_but(
    own: Mapping[str, Any], not_loaded: set[str], never: Mapping[str, Tensor], checkpoint: str
) -> None:
    """Refuse NaN and infinity, but where the model itself puts them: in the masks of some attentions."""
    bad, total = [], 0
    for name, value in own.items():
        if name in not_loaded or not has_infinite(value):
            continue
        wrong = ~torch.isfinite(value)
        if name in never:
            wrong &= ~never[name]
        count = int(wrong.sum())
        if count:
            total += count
            bad.append(f"{name} ({count:,} of {value.numel():,})")
    if bad:
        raise CheckpointFitError(
            f"checkpoint {checkpoint} holds {total:,} values that are NaN or infinity, in {entries(len(bad))}: "
            f"{named(bad)}. No detection of such a detector is right: take one from before its training diverged."
        )


def has_infinite(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and (value.is_floating_point() or value.is_complex())
        and value.layout == torch.strided
        and not value.is_meta
        and not bool(torch.isfinite(value).all())
    )


def require_finite(state: Mapping[str, Any], checkpoint: str) -> None:
    """Raise `CheckpointFitError` if weights hold NaN or infinity: for commands that look at no model."""
    floats = {n: v for n, v in state.items() if isinstance(v, Tensor) and not n.endswith(COUNTER)}
    require_finite_but(floats, set(), {}, checkpoint)


def dtype(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")
