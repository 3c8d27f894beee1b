"""Load a checkpoint's weights into a model, and say which entries did not fit."""

from __future__ import annotations

import logging
import math
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dissect_core import variant_rng

from ..errors import CheckpointFitError
from ._fit import COUNTER, HARMLESS_EXTRAS, SEED, Fit, compare_state, entries, named
from ._fit_reasons import likely_reason
from ._fit_rules import (
    dtype,
    has_infinite,
    require_finite_but,
    require_kinds,
    require_prefix,
    require_tied_alike,
)
from ._weights import STEPS, FoundWeights

MANY = 3
# Parts of heads for training or masks alone: without them a detector finds the same boxes.
_NOT_FOR_BOXES = ("aux", "loss", "mask_head", "mask_iou_head", "query_head")
_ONLY_IN_TRAINING = ("dn_query_generator", "denoising_generator")


def put_weights(
    model: torch.nn.Module, found: FoundWeights, *, checkpoint: str, source: str, allow_missing: bool = False
) -> Fit:
    """Load weights into a model, in place.

    Parameters
    ----------
    model : torch.nn.Module
        With initial weights, on the CPU.
    found : FoundWeights
    checkpoint, source : str
        The checkpoint's file, and where the config comes from, for messages.
    allow_missing : bool
        Let numbers of a fixed seed stand in for what is missing or of another shape, and leave out what the model has
        no place for. The same ones each time, whatever the state of any random generator.

    Returns
    -------
    Fit

    Raises
    ------
    CheckpointFitError
        If weights are missing, of another shape, or of parts that the model has and no place in it, unless
        `allow_missing`; if none fits, tied ones differ, or some are no finite numbers, in any case.
    """
    own = model.state_dict()
    tied = _tied(own)
    never = {name: ~torch.isfinite(value) for name, value in own.items() if has_infinite(value)}
    fit = compare_state(own, found.state)
    require_prefix(fit, found, own, checkpoint, source)
    require_kinds(own, found.state, checkpoint, source)
    require_tied_alike(tied, found.state, checkpoint, source)
    # Torch itself says what is missing: modules take entries of older versions under the names that these had.
    ready = OrderedDict(
        (name, value)
        for name, value in found.state.items()
        if name not in fit.shapes
        and not (name.endswith(COUNTER) and name in own and _differs(value, own[name]))
    )
    ready._metadata = found.versions  # type: ignore[attr-defined]  # as torch does it
    told = _load(model, ready, checkpoint, source)
    given = {tied.get(name, name) for name in own if name not in told[0]}
    missing = [
        n
        for n in told[0]
        if n not in fit.shapes
        and tied.get(n, n) not in given
        and not n.endswith(COUNTER)
        and not _is_empty(own[n])
    ]
    reshaped = {n: s for n, s in fit.shapes.items() if tied.get(n, n) not in given}
    fit = _sorted_out(
        replace(fit, missing=tuple(missing), reshaped=tuple(reshaped), shapes=reshaped), model, told[1]
    )
    lacking = {tied.get(name, name) for name in (*fit.missing, *fit.reshaped)}
    fit = replace(
        fit,
        n_values=sum(v for n, v in _sizes(own).items() if tied.get(n, n) == n),
        n_lacking=sum(_sizes(own).get(name, 0) for name in lacking),
        prefix=found.prefix,
        filled=bool(lacking),
        checkpoint=checkpoint,
        notes=_notes(found, model),
    )
    if not fit.is_whole and not allow_missing:
        reason = likely_reason(fit, model, found.state)
        raise CheckpointFitError(
            f"checkpoint {checkpoint} does not fit {source}: {fit.problems()}. "
            + (f"Likely reason: {reason}. " if reason else "")
            + "Give the config that the checkpoint was trained with; or open it all the same by allow_missing "
            "(--allow-missing): random numbers of a fixed seed stand in for what is missing, and every result says so."
        )
    require_finite_but(own, {*told[0]}, never, checkpoint)
    _fill(model, own, [name for name in (*fit.missing, *fit.reshaped) if tied.get(name, name) in lacking])
    return fit


def share_tied(own: Mapping[str, Any], state: dict[str, Any]) -> None:
    """Let entries that are one parameter in a model be one tensor, in place: so edits of one are edits of the other."""
    for name, one in _tied(own).items():
        if name in state and one in state:
            state[name] = state[one]


def _load(
    model: torch.nn.Module, state: Mapping[str, Any], checkpoint: str, source: str
) -> tuple[list[str], list[str]]:
    """Return the names that torch finds missing, and those that it does not use."""
    silent = logging.root.manager.disable
    logging.disable(
        logging.INFO
    )  # MMEngine's logger, which writes on standard output of names of older versions
    try:
        told = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        lines = " ".join(str(error).split())
        raise CheckpointFitError(
            f"checkpoint {checkpoint} does not fit {source}: {lines}. Give the config that it was trained with."
        ) from error
    finally:
        logging.disable(silent)
    return list(told.missing_keys), list(told.unexpected_keys)


def _tied(own: Mapping[str, Any]) -> dict[str, str]:
    """Return the first name of each entry whose memory another entry has, too."""
    first: dict[tuple[Any, ...], str] = {}
    out = {}
    for name, value in own.items():
        if isinstance(value, Tensor) and value.numel():
            key = (value.data_ptr(), tuple(value.shape), value.stride(), value.dtype)
            out[name] = first.setdefault(key, name)
    shared = Counter(out.values())
    return {name: one for name, one in out.items() if shared[one] > 1}


def _differs(value: Any, here: Any) -> bool:
    return (
        not isinstance(value, Tensor)
        or not isinstance(here, Tensor)
        or (value.dtype, value.shape) != (here.dtype, here.shape)
    )


def _is_empty(value: Any) -> bool:
    return isinstance(value, Tensor) and not value.numel()


def _sizes(own: Mapping[str, Any]) -> dict[str, int]:
    return {
        n: math.prod(v.shape) for n, v in own.items() if isinstance(v, Tensor) and not n.endswith(COUNTER)
    }


def _sorted_out(fit: Fit, model: torch.nn.Module, unexpected: list[str]) -> Fit:
    """Sort the entries that the model has no room for: further copies, parts of training, and others."""
    own, buffers = model.state_dict(), dict(model.named_buffers())
    flat = {f"ema_{name.replace('.', '_')}" for name in own}
    copies = Counter[str]()
    for name in unexpected:
        parts = name.split(".")
        if name in flat:
            copies["ema_"] += 1
        for depth in range(1, len(parts)):
            if ".".join(parts[depth:]) in own:
                copies[".".join(parts[:depth]) + "."] += 1
    copies = Counter({prefix: count for prefix, count in copies.items() if 2 * count >= len(own)})
    rest = [name for name in unexpected if not any(name.startswith(prefix) for prefix in copies)]
    ignored = [n for n in rest if n in HARMLESS_EXTRAS or n in buffers or n.endswith(COUNTER) or n in STEPS]
    tops = {name.partition(".")[0] for name in own}
    belonging = [
        name
        for name in rest
        if name not in ignored and name.partition(".")[0] in tops and not _is_not_for_boxes(name.split("."))
    ]
    return replace(
        fit,
        unexpected=tuple(name for name in unexpected if name not in ignored),
        ignored=tuple(ignored),
        belonging=tuple(belonging),
        copies=dict(copies),
    )


def _is_not_for_boxes(parts: list[str]) -> bool:
    """Return whether an entry lies in a part that a detector needs in training, or for masks, and not for its boxes."""
    top, *inner = parts
    in_head = top.endswith("_head") and any(part.startswith(_NOT_FOR_BOXES) for part in inner)
    return in_head or top in _ONLY_IN_TRAINING


def _notes(found: FoundWeights, model: torch.nn.Module) -> tuple[str, ...]:
    """Return notes for people: further weights in the file, fewer digits than the model's, another normalisation."""
    notes = []
    if found.note:
        notes.append(found.note)
    own = model.state_dict()
    fewer = Counter(
        dtype(value)
        for name, value in found.state.items()
        if isinstance(value, Tensor)
        and isinstance(here := own.get(name), Tensor)
        and value.is_floating_point()
        and here.is_floating_point()
        and value.element_size() < here.element_size()
    )
    notes += [f"{entries(count)} stored as {kind}" for kind, count in fewer.items()]
    if any(origin != f"{found.prefix}{name}" and name not in STEPS for name, origin in found.names.items()):
        notes.append("what wrappers put inside names taken off")
    if alike := _alike(found.state, own):
        notes.append(
            f"the layers of {named(alike)} hold the same numbers: if they shared their weights in training, the config "
            "is another detector's"
        )
    for name, here in model.named_buffers():
        there = found.state.get(name)
        if name in HARMLESS_EXTRAS and isinstance(there, Tensor) and there.numel() == here.numel():
            values = [[round(float(v), 3) for v in one.flatten()] for one in (there, here)]
            if values[0] != values[1]:
                notes.append(
                    f"{name} is {values[0]} in the checkpoint, {values[1]} in the config, which is used"
                )
    return tuple(notes)


def _alike(state: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Return lists of layers that have weights of their own in the model, and the same numbers in the checkpoint."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, here in own.items():
        if not isinstance(here, Tensor) or here.ndim < 2 or not isinstance(state.get(name), Tensor):
            continue
        parts = name.split(".")
        at = next((i for i, part in enumerate(parts) if part.isdigit()), None)
        if at:
            groups.setdefault((".".join(parts[:at]), ".".join(parts[at + 1 :])), []).append(name)
    found = []
    for (stack, _), names in groups.items():
        first, *rest = (state[name] for name in names)
        is_tied = len({own[name].data_ptr() for name in names}) < len(names)
        if (
            not rest
            or is_tied
            or not all(one.shape == first.shape and torch.equal(one, first) for one in rest)
        ):
            continue
        if first.unique().numel() >= MANY:  # not ones or zeros, which layers begin with
            found.append(stack)
    return list(dict.fromkeys(found))


def _fill(model: torch.nn.Module, own: Mapping[str, Any], names: list[str]) -> None:
    """Put numbers of a fixed seed in the place of missing parameters, whatever the model was built with.

    Matrices and kernels get the range that torch itself would give them, biases 0, all other vectors 1. Buffers keep
    what the model is made with.
    """
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    with torch.no_grad():
        for name in names:
            value = own[name]
            if name not in parameters or not isinstance(value, Tensor):
                continue
            if value.ndim < 2:
                value.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            bound = 1 / math.sqrt(max(1, math.prod(value.shape[1:])))
            drawn = variant_rng(SEED, f"missing/{name}").uniform(-bound, bound, tuple(value.shape))
            value.copy_(torch.from_numpy(drawn))
