"""Blocks of other libraries that are narrower inside than their own forward can be, and as wide outside as before."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import InterventionError

_VALUES = ("encoder_hidden_states", "value")
"""Names of the argument that a block without projections takes its heads' features from."""


class PaddedLinear(nn.Linear):
    """A linear layer that lacks some rows, in whose place it gives zeros, or columns, whose inputs it does not read.

    For blocks whose forward computes with their whole width: projections of removed heads are gone, and the block's
    own arithmetic goes on over zeros. Made by `pad`; sizes are those that the layer had.
    """

    heads_cut = True
    rows: Tensor | None
    columns: Tensor | None

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        """Return what the whole layer would with zeros in its missing rows and columns."""
        read = input if self.columns is None else input.index_select(-1, self.columns)
        found = functional.linear(read, self.weight, self.bias)
        if self.rows is None:
            return found
        whole = found.new_zeros((*found.shape[:-1], self.out_features))
        return whole.index_copy(-1, self.rows, found)


def pad(linear: nn.Module, axis: int, kept: Sequence[int]) -> None:
    """Turn a linear layer into a `PaddedLinear` of the rows (axis 0) or columns (axis 1) that are kept.

    Raises
    ------
    InterventionError
        If it is no plain linear layer.
    """
    if type(linear) is not nn.Linear and not isinstance(linear, PaddedLinear):
        raise InterventionError(
            f"Heads can be cut out of linear layers, got a {type(linear).__name__}. Apply the variant with `ablated`."
        )
    device = linear.weight.device
    if type(linear) is nn.Linear:
        linear.__class__ = PaddedLinear
        # Buffers, so that they move with the layer; not among its weights, since the removal says them.
        linear.register_buffer("rows", None, persistent=False)
        linear.register_buffer("columns", None, persistent=False)
    setattr(linear, "rows" if axis == 0 else "columns", torch.tensor(kept, device=device))


class _KeptFeatures(nn.Module):
    """A block without projections, some of whose heads are gone: it sees the others' features, and gives zeros there.

    Mixed into the block's own class by `keep_features`: its parameters keep their names, and what asks for its class
    finds it.
    """

    heads_cut = True
    features: Tensor
    width_before: int
    values_from: str
    made_of: type[nn.Module]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the block on the features that are kept, and put zeros in the others' places."""
        given = dict(zip(_names_of(self.made_of), args, strict=False)) | kwargs
        given[self.values_from] = given[self.values_from].index_select(-1, self.features)
        output = super().forward(**given)
        many = isinstance(output, (tuple, list))
        found = output[0] if many else output
        whole = found.new_zeros((*found.shape[:-1], self.width_before))
        whole = whole.index_copy(-1, self.features, found)
        return (whole, *output[1:]) if many else whole

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Let the block be copied and pickled, though its class is made while the program runs."""
        return _revived, (self.made_of,), self.__dict__


def keep_features(block: nn.Module, kept: Sequence[int], width: int) -> None:
    """Let a block see only some of its values' features, and give zeros in the places of the others.

    Parameters
    ----------
    block : torch.nn.Module
        Attention without projections, so that its heads are slices of the values that it is given.
    kept : sequence of int
        The features that stay.
    width : int
        How many there were.

    Raises
    ------
    InterventionError
        If none of the forward's arguments is known to hold the values.
    """
    names = _names_of(type(block))
    values = next((name for name in _VALUES if name in names), None)
    if values is None:
        raise InterventionError(
            f"Heads can be cut out of a block without projections only where one of its arguments is called "
            f"{' or '.join(_VALUES)}, got {type(block).__name__}({', '.join(names)}). Apply the variant with `ablated`."
        )
    device = next(block.parameters()).device
    vars(block).update(made_of=type(block), width_before=width, values_from=values)
    block.register_buffer("features", torch.tensor(kept, device=device), persistent=False)
    block.__class__ = _class_of(type(block))


_CLASSES: dict[type[nn.Module], type[nn.Module]] = {}


def _class_of(base: type[nn.Module]) -> type[nn.Module]:
    if base not in _CLASSES:
        _CLASSES[base] = type(base.__name__, (_KeptFeatures, base), {"__module__": base.__module__})
    return _CLASSES[base]


def _revived(base: type[nn.Module]) -> nn.Module:
    kind = _class_of(base)
    return kind.__new__(kind)


def _names_of(kind: type[nn.Module]) -> list[str]:
    return [name for name in inspect.signature(kind.forward).parameters if name != "self"]
