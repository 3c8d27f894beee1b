"""Weights of a checkpoint under the names that a model has for them: what training wrappers add is taken off."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dissect_core import CheckpointError
from dissect_core.torch.checkpoints import chosen_state, other_places

from ._fit import named

OUTER = frozenset(
    {
        "module",
        "_orig_mod",
        "_fsdp_wrapped_module",
        "_forward_module",
        "model",
        "ema_model",
        "ema",
        "teacher",
        "student",
    }
)
"""What wrappers put before every name, as far as that is known without a model to compare with."""
INNER = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""What wrappers of single parts put inside names; no model calls a part of its own so."""
STEPS = frozenset({"n_averaged", "steps"})
"""What averaged models count, beside the weights."""
DEPTH = 3


@dataclass(frozen=True)
class FoundWeights:
    """Weights of a checkpoint, under a model's own names.

    Attributes
    ----------
    state : dict of str to torch.Tensor
        By the model's names.
    names : dict of str to str
        The name in the checkpoint of each.
    place : tuple of str
        Keys under which they lie in the checkpoint.
    prefix : str
        What was taken off every name.
    versions : dict
        What torch keeps beside a state dict: the versions of its modules.
    others : tuple of str
        Keys of the checkpoint with further weights.
    """

    state: dict[str, Any]
    names: dict[str, str]
    place: tuple[str, ...]
    prefix: str
    versions: dict[str, Any]
    others: tuple[str, ...]

    @property
    def note(self) -> str:
        """Which of several sets of weights in the file these are; empty if there is one."""
        if not self.others:
            return ""
        return (
            f"the weights of `{'.'.join(self.place)}`; the file also holds "
            f"{named([f'`{one}`' for one in self.others])} (--weights-prefix {self.others[0].partition('.')[0]}.)"
        )

    def written(self, checkpoint: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
        """Return the checkpoint's whole state dict, by its own names, with the values of `state` in it."""
        whole: Any = checkpoint
        for key in self.place:
            whole = whole[key]
        made: dict[str, Any] = copy.copy(whole)  # with what torch attaches to it: the modules' versions
        made.update({self.names[name]: value for name, value in state.items()})
        return made


def find_weights(
    checkpoint: Mapping[str, Any],
    known: Iterable[str] | None = None,
    prefix: str = "",
    *,
    source: str = "the checkpoint",
) -> FoundWeights:
    """Find the weights in a checkpoint, without what training wrappers put before and into their names.

    Parameters
    ----------
    checkpoint : mapping
    known : iterable of str, optional
        Names of a model's state dict: of the ways to name the weights the one is taken by which most of them are
        these. Without them, prefixes of known wrappers are taken off that all entries share.
    prefix : str
        Which weights, where there are several: what their names begin with, or their key.
    source : str
        The file, for messages.

    Raises
    ------
    dissect_core.CheckpointError
        If there are no weights, or none of that prefix; without `known`, if a wrapper's prefix stands before some names
        of a part of the model and not before others.

    Examples
    --------
    >>> import torch
    >>> found = find_weights({"state_dict": {"module.conv.weight": torch.ones(1)}}, ["conv.weight"])
    >>> list(found.state), found.prefix
    (['conv.weight'], 'module.')
    """
    try:
        place, chosen, whole = chosen_state(checkpoint, prefix)
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error
    own = {name[len(chosen) :]: name for name in whole if name.startswith(chosen)}
    drops = (INNER,) if known is None else (INNER, INNER | {"module"})
    ways = [(names, wrapped, off) for names, wrapped in _inner(own, drops) for off in _shared(names)]
    if known is None:
        _require_one_naming(own, source)
        names, _, off = max(
            (way for way in ways if all(part in OUTER for part in way[2].split(".")[:-1])),
            key=lambda way: (len(way[2]), way[1]),
        )
    else:
        wanted = set(known)
        names, _, off = max(  # the first of the best: as little as possible is taken off
            ways,
            key=lambda way: sum(name[len(way[2]) :] in wanted for name in way[0] if name.startswith(way[2])),
        )
    final = {name[len(off) :] if name.startswith(off) else name: origin for name, origin in names.items()}
    state = {name: whole[origin] for name, origin in final.items()}
    others = () if prefix else tuple(other_places(checkpoint))
    return FoundWeights(state, final, place, chosen + off, _versions(whole, chosen + off), others)


def _require_one_naming(names: Iterable[str], source: str) -> None:
    """Refuse names of which some alone are wrapped: by their names, a part of the model would be a half of it."""
    for wrapper in sorted(OUTER):
        start = f"{wrapper}."
        inside = {name[len(start) :] for name in names if name.startswith(start)}
        outside = {name for name in names if not name.startswith(start)}
        shared = {name.partition(".")[0] for name in inside} & {name.partition(".")[0] for name in outside}
        if shared and not inside & outside:  # else copies, each whole
            raise CheckpointError(
                f"{source}: `{start}` stands before {len(inside):,} of its {len(inside) + len(outside):,} names, and "
                f"not before others of the same parts ({named(sorted(shared))}). Save all weights under the model's "
                "own names; commands that take --config find them as they are."
            )


def fitting_prefixes(names: Iterable[str], known: Iterable[str]) -> dict[str, int]:
    """Count the prefixes before the model's names in some entries; return them with the most frequent first."""
    wanted, counts = set(known), Counter[str]()
    for name in names:
        parts = name.split(".")
        for depth in range(1, min(DEPTH, len(parts) - 1) + 1):
            if ".".join(parts[depth:]) in wanted:
                counts[".".join(parts[:depth]) + "."] += 1
    return {prefix: count for prefix, count in counts.most_common() if 2 * count >= len(wanted)}


def _inner(names: Mapping[str, str], drops: Iterable[frozenset[str]]) -> list[tuple[dict[str, str], bool]]:
    """Return names as they are, and without the prefixes of wrappers around single parts."""
    ways = [(dict(names), False)]
    for drop in drops:
        shorter = {".".join(p for p in name.split(".") if p not in drop): own for name, own in names.items()}
        if len(shorter) == len(names) and list(shorter) != list(names):
            ways.append((shorter, True))
    return ways


def _shared(names: Iterable[str]) -> list[str]:
    """Return the prefixes that all names share, the empty one first; counters of averaged models do not count."""
    all_parts = [name.split(".")[:-1] for name in names if name not in STEPS]
    shared = [""]
    for parts in zip(*all_parts, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(f"{shared[-1]}{parts[0]}.")
    return shared


def _versions(whole: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the versions of modules that torch keeps beside a state dict, under names without the prefix."""
    kept = getattr(whole, "_metadata", None)
    if not isinstance(kept, Mapping):
        return {}
    return {
        name[len(prefix) :]: version
        for name, version in kept.items()
        if isinstance(name, str) and f"{name}.".startswith(prefix)
    }
