"""Find the results of a decoder's layers in what the decoder returns, by their values."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..activations import map_parts, parts_in


class _Stack(NamedTuple):
    """Results of all layers in one tensor (its axis) or in a list (None); `first` is the index of the first layer's."""

    axis: int | None
    first: int


class Stacks:
    """Finds the parts of a decoder's output that have an entry for each layer.

    Results of layers are recognised by their values. What comes with them, such as reference boxes, is recognised by
    its layout: an entry for each layer, or one more for what went into the first layer, and images and queries at the
    same axes as in the results.

    Parameters
    ----------
    given : sequence of sequence of Tensor
        What each layer returned in this call.
    output : object
        What the decoder returned: tensors in any structure of tuples, lists and dicts.

    Attributes
    ----------
    replaced : int
        Tensors that were the last layer's result alone, once the output was made to end earlier.
    """

    def __init__(self, given: Sequence[Sequence[Tensor]], output: Any) -> None:
        self._given, self._output = given, output
        self._stacks: dict[int, _Stack] = {}
        self._layouts: set[tuple[int | None, tuple[int, ...]]] = set()
        self._unknown: list[Tensor] = []
        self.replaced = 0
        for part in parts_in(output):
            self._recognise(part)

    @property
    def unknown(self) -> list[Tensor]:
        """Return the tensors of the output, once it was made to end earlier, that have no entry for each layer."""
        return self._unknown

    @property
    def found(self) -> bool:
        """Return whether the results of all layers are there."""
        return bool(self._stacks)

    def ending_with(self, layer: int) -> Any:
        """Return the output as it would be if this layer were the decoder's last."""
        n = len(self._given)
        for part in parts_in(self._output):
            self._recognise_beside(part)
        instead = list(zip(self._given[n - 1], self._given[layer], strict=False))

        def entries(one: Any, stack: _Stack) -> tuple[Tensor, Tensor]:
            at = (stack.first + n - 1, stack.first + layer)
            last, read = (one[i] if stack.axis is None else one.select(stack.axis, i) for i in at)
            return last, read

        instead += [
            entries(part, self._stacks[id(part)])
            for part in parts_in(self._output)
            if id(part) in self._stacks
        ]

        def shortened(one: Any) -> Any:
            if id(one) in self._stacks:
                stack = self._stacks[id(one)]
                length = stack.first + layer + 1
                return one[:length] if stack.axis is None else one.narrow(stack.axis, 0, length)
            if isinstance(one, Tensor):
                read = next(
                    (read for last, read in instead if one.shape == last.shape and _equal(one, last)), None
                )
                if read is None and one.is_floating_point():
                    self._unknown.append(one)
                self.replaced += read is not None
                return one if read is None else read
            return None

        return map_parts(shortened, self._output)

    def _recognise(self, one: Any) -> None:
        """Note a tensor or list whose entries are the layers' results."""
        n = len(self._given)
        if isinstance(one, Tensor):
            fitting = [
                _Stack(axis, first)
                for axis in range(one.ndim - 1)
                for first in (0, 1)
                if one.shape[axis] == n + first
                and all(_is_any(one.select(axis, first + i), self._given[i]) for i in range(n))
            ]
            if len(fitting) == 1:
                axis, first = fitting[0]
                assert axis is not None
                self._stacks[id(one)] = fitting[0]
                self._layouts.add((axis, _rest(one, axis)))
        elif _is_list(one):
            for first in (0, 1):
                if len(one) == n + first and all(_is_any(one[first + i], self._given[i]) for i in range(n)):
                    self._stacks[id(one)] = _Stack(None, first)
                    self._layouts.add((None, tuple(one[-1].shape[:-1])))

    def _recognise_beside(self, one: Any) -> None:
        """Note a tensor or list that has the layout of the layers' results."""
        n = len(self._given)
        if id(one) in self._stacks:
            return
        if isinstance(one, Tensor):
            for axis, rest in self._layouts:
                axes = range(2) if axis is None else (axis,)
                for at in axes:
                    if one.ndim == len(rest) + 2 and one.shape[at] in (n, n + 1) and _rest(one, at) == rest:
                        self._stacks[id(one)] = _Stack(at, one.shape[at] - n)
                        return
        elif _is_list(one) and len(one) in (n, n + 1):
            rests = {rest for _, rest in self._layouts}
            if {tuple(entry.shape[:-1]) for entry in one} <= rests:
                self._stacks[id(one)] = _Stack(None, len(one) - n)


def _rest(tensor: Tensor, axis: int) -> tuple[int, ...]:
    """Return the sizes of all axes but those of the layers and the features."""
    return tuple(size for i, size in enumerate(tensor.shape[:-1]) if i != axis)


def _is_list(one: Any) -> bool:
    return (
        isinstance(one, (list, tuple))
        and not hasattr(one, "_fields")
        and len(one) > 0
        and all(isinstance(entry, Tensor) for entry in one)
    )


def _is_any(entry: Tensor, given: Sequence[Tensor]) -> bool:
    return any(_equal(entry, one) for one in given)


def _equal(entry: Tensor, given: Tensor) -> bool:
    """Return whether two tensors hold the same values, NaN included; images and queries may have changed axes."""
    if entry.is_floating_point() != given.is_floating_point():
        return False
    ways = [given, given.transpose(0, 1)] if given.ndim > 2 else [given]
    return any(
        entry.shape == way.shape
        and torch.allclose(entry, way.to(entry.device, entry.dtype), rtol=0, atol=0, equal_nan=True)
        for way in ways
    )
