"""Why a checkpoint and a model probably do not fit: a guess, for the error that says that they do not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch

from ._fit import COUNTER, Fit

_CLASSES = re.compile(r"(^|[._])(cls|label|fc_cls|conv_cls|class)")
_QUERIES = re.compile(r"quer(y|ies)")
MANY = 3


def likely_reason(fit: Fit, model: torch.nn.Module, weights: Iterable[str]) -> str:
    """Guess why the checkpoint does not fit the model; empty if there is no guess.

    Parameters
    ----------
    fit : Fit
    model : torch.nn.Module
    weights : iterable of str
        Names in the checkpoint, as the model would have them.
    """
    weights = list(weights)
    if 2 * len(fit.missing) > fit.n_model:
        only_backbone = all(name.startswith("backbone.") for name in weights)
        return "it is a backbone's alone" if only_backbone else "it is another kind of detector's"
    reasons = (_other_classes(fit, model), _other_depth(fit, model, weights), _other_queries(fit))
    if found := [reason for reason in reasons if reason]:
        return ", ".join(found)
    if not fit.unexpected and (part := _whole_part(fit.missing, model)):
        return f"it was saved without {part}"
    return "another width" if len(fit.reshaped) > MANY else ""


def _other_classes(fit: Fit, model: torch.nn.Module) -> str:
    """Return the numbers of classes on both sides, from the rows of a classifier."""
    for name, (there, here) in fit.shapes.items():
        if not _CLASSES.search(name) or not there or not here or there[1:] != here[1:]:
            continue
        head = _head_of(model, name)
        n_here = getattr(head, "num_classes", None)
        if not isinstance(n_here, int) or n_here < 1:
            continue
        outputs = getattr(head, "cls_out_channels", n_here + 1)  # a head of proposals counts the background
        spare = outputs - n_here
        repeats, rest = divmod(here[0], outputs)
        if rest or not repeats or there[0] % repeats:
            continue
        n_there = there[0] // repeats - spare
        # One output more or less may be the background's, of a head of another kind.
        if n_there > 0 and there[0] // repeats not in (n_here, n_here + 1):
            return f"{n_there} {'class' if n_there == 1 else 'classes'} there, {n_here} here"
    return ""


def _head_of(model: torch.nn.Module, name: str) -> Any:
    """Return the innermost module on the way to an entry that knows its number of classes."""
    head: Any = None
    module: Any = model
    for part in name.split(".")[:-1]:
        module = getattr(module, part, None)
        if module is None:
            break
        if isinstance(getattr(module, "num_classes", None), int):
            head = module
    return head


def _other_depth(fit: Fit, model: torch.nn.Module, weights: Iterable[str]) -> str:
    """Return a list of layers that is longer on one side."""
    lengths: dict[str, list[int]] = {}
    for side, names in enumerate((weights, model.state_dict())):
        for name in names:
            for stack, number in _stacks(name):
                counts = lengths.setdefault(stack, [0, 0])
                counts[side] = max(counts[side], number + 1)
    odd = set(fit.missing) | set(fit.belonging)
    for longer, (there, here) in lengths.items():
        if there and here and there != here and any(name.startswith(f"{longer}.") for name in odd):
            return f"another depth: {longer} has {there} there, {here} here"
    return ""


def _stacks(name: str) -> list[tuple[str, int]]:
    """Return lists that an entry lies in, with its index in each."""
    parts = name.split(".")
    return [(".".join(parts[:i]), int(part)) for i, part in enumerate(parts) if i and part.isdigit()]


def _other_queries(fit: Fit) -> str:
    for name, (there, here) in fit.shapes.items():
        if _QUERIES.search(name) and there[1:] == here[1:] and there and here:
            return f"{there[0]} queries there, {here[0]} here"
    return ""


def _whole_part(names: Iterable[str], model: torch.nn.Module) -> str:
    """Return the part of the model that consists of just these entries; counters of batches apart."""
    missing = [name.split(".")[:-1] for name in names]
    shared = []
    for parts in zip(*missing, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    part = ".".join(shared)
    own = [n for n in model.state_dict() if n.startswith(f"{part}.") and not n.endswith(COUNTER)]
    return part if shared and len(own) == len(missing) else ""
