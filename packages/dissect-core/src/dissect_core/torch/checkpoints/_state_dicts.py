"""Find the weights in a checkpoint: under which key they lie, and with which prefix of their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ...errors import CheckpointError

USUAL = ("state_dict", "model", "model_state_dict")
"""Usual keys of a model's weights; the first one that a checkpoint has is taken."""
_NOT_WEIGHTS = frozenset({"optimizer", "optimizers", "optimizer_states", "lr_scheduler", "scheduler"})
_DEPTH = 2
_NAMED_AT_MOST = 6


def state_dict_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state dict in a checkpoint.

    Parameters
    ----------
    checkpoint : mapping
        ``{"state_dict": ...}`` (MMEngine, Lightning), ``{"model": ...}`` (the DETR repositories),
        ``{"model_state_dict": ...}``, with one set of weights under any other key such as ``"ema"``, or the state dict
        itself. Of the usual keys the first is taken, in this order.

    Returns
    -------
    dict of str to torch.Tensor
        The very object in the checkpoint where that is a dict, so that changes to it change the checkpoint.
        Entries that modules add through ``get_extra_state`` need not be tensors.

    Raises
    ------
    CheckpointError
        If there is no such mapping of names to tensors, or several and none under a usual key: all are named.

    Examples
    --------
    >>> list(state_dict_of({"state_dict": {"weight": torch.ones(2)}, "meta": {"epoch": 12}}))
    ['weight']
    """
    return _at(checkpoint, state_dict_place(checkpoint))


def state_dict_place(checkpoint: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys under which a checkpoint's state dict lies; none if it is a state dict itself.

    Raises
    ------
    CheckpointError
        As `state_dict_of` does.

    Examples
    --------
    >>> state_dict_place({"ema": {"module": {"weight": torch.ones(2)}}, "epoch": 12})
    ('ema', 'module')
    """
    places = list(_places(checkpoint))
    usual = next((key for key in USUAL if isinstance(checkpoint.get(key), Mapping)), None)
    if usual is not None:
        return next((place for place in places if place[0] == usual), (usual,))
    if len(places) > 1 and _wrong(checkpoint):
        named = ", ".join(repr(".".join(place)) for place in places[:_NAMED_AT_MOST])
        raise CheckpointError(
            f"The checkpoint must hold one set of weights, or one under a usual key, got {len(places)}: {named}. Name "
            f"one as `weights_prefix` (--weights-prefix {'.'.join(places[0])}.)."
        )
    return places[0] if places and _wrong(checkpoint) else ()


def other_places(checkpoint: Mapping[str, Any]) -> list[str]:
    """Return the places of further weights in a checkpoint, beside those that `state_dict_of` takes, as dotted keys."""
    taken = state_dict_place(checkpoint)
    return [".".join(place) for place in _places(checkpoint) if taken and place != taken]


def chosen_state(checkpoint: Mapping[str, Any], prefix: str) -> tuple[tuple[str, ...], str, dict[str, Any]]:
    """Find weights by a prefix: of the names of entries, or of the keys under which a state dict lies.

    Parameters
    ----------
    checkpoint : mapping
    prefix : str
        ``"teacher."`` for entries like ``teacher.backbone.conv1.weight``, ``"ema."`` for what lies under the key
        ``"ema"``; empty for what `state_dict_of` finds. The last dot may be left out.

    Returns
    -------
    place : tuple of str
        Keys under which the state dict lies.
    prefix : str
        What to take off the names, of which only those that begin with it count; empty where all count, as they are.
    state_dict : dict of str to torch.Tensor
        The whole state dict, with its names as they are.

    Raises
    ------
    CheckpointError
        If there are no such weights; the message names what there is.
    """
    if not prefix:
        place = state_dict_place(checkpoint)
        return place, "", _at(checkpoint, place)
    dotted = prefix.rstrip(".") + "."
    places = sorted(_places(checkpoint), key=lambda place: place[0] not in USUAL)
    for place in [*places, ()]:
        state = _found(checkpoint, place)
        if any(isinstance(name, str) and name.startswith(dotted) for name in state) and not _wrong(state):
            return place, dotted, _at(checkpoint, place)
    for place in places:
        if f"{'.'.join(place)}.".startswith(dotted):
            return place, "", _at(checkpoint, place)
    keys = [".".join(place) for place in places]
    names = [name for place in [*places, ()] for name in _found(checkpoint, place) if isinstance(name, str)]
    starts = list(dict.fromkeys(name.partition(".")[0] for name in names if "." in name))
    raise CheckpointError(
        f"`weights_prefix` must be what names of weights begin with, or a key of the checkpoint, got {prefix!r}. Names "
        f"begin with {_listed(starts) or 'nothing shared'}; keys with weights: {_listed(keys) or 'none'}."
    )


def put_state(
    checkpoint: Mapping[str, Any], place: tuple[str, ...], state: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a checkpoint like the given one, with another state dict under some keys."""
    if not place:
        return dict(state)
    inner = checkpoint.get(place[0])
    deeper = put_state(inner, place[1:], state) if len(place) > 1 and isinstance(inner, Mapping) else state
    return {**checkpoint, place[0]: deeper}


def _at(checkpoint: Mapping[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    """Return the state dict under some keys, after a check that it is one."""
    found = _found(checkpoint, place)
    where = "".join(f"[{key!r}]" for key in place)
    wrong = _wrong(found)
    if wrong or not found:
        what = f"{wrong[0]!r} of {type(found[wrong[0]]).__name__}" if wrong else "nothing"
        raise CheckpointError(
            f"A state dict must map names to tensors, but {f'`checkpoint{where}`' if place else 'the checkpoint'} "
            f"holds {what}. Pass the state dict itself, or a checkpoint with one under 'state_dict' or 'model'."
        )
    return found if isinstance(found, dict) else dict(found)


def _found(checkpoint: Mapping[str, Any], place: tuple[str, ...]) -> Mapping[str, Any]:
    found: Any = checkpoint
    for key in place:
        found = found[key]
    return found  # type: ignore[no-any-return]  # places lead to mappings


def _places(checkpoint: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the keys under which names are mapped to tensors, in the checkpoint's order."""
    for key, value in checkpoint.items():
        if not isinstance(key, str) or not isinstance(value, Mapping) or key in _NOT_WEIGHTS or key == "meta":
            continue
        place = (*above, key)
        if value and not _wrong(value):
            yield place
        elif len(place) < _DEPTH:
            yield from _places(value, place)


def _wrong(state: Mapping[str, Any]) -> list[Any]:
    """Return the names of entries that no state dict can hold."""
    return [
        name
        for name, value in state.items()
        if not isinstance(name, str)
        or not (isinstance(value, torch.Tensor) or name.rpartition(".")[2] == "_extra_state")
    ]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return ", ".join(names[:_NAMED_AT_MOST]) + more
