"""Which rows of a table a pass reads: seen operation by operation, whatever the model calls them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

_MOVES = {"cat", "stack", "repeat", "reshape", "flatten", "_unsafe_view", "roll", "flip", "tile"}
"""Operations that carry values to other places and compute nothing."""
_COPIES = {"clone", "_to_copy", "to", "contiguous", "copy_", "lift_fresh"}
"""The same, place by place."""
_LOOKS_UP = {"embedding": 1, "index_select": 2}
"""Operations that take rows by number, and which argument holds the numbers."""
_ROW_BY_ROW = {"mm": 0, "addmm": 1, "linear": 0, "matmul": 0, "native_layer_norm": 0, "layer_norm": 0}
"""Operations that make each row of one row, and which argument holds the rows."""


def rows_read(
    model: nn.Module, run: Callable[[], object], names: tuple[str, ...]
) -> dict[str, NDArray[np.bool_] | None]:
    """Find out which rows of some parameters a pass reads.

    A parameter may be sliced before it is used: group queries of a detection transformer for instance are all there
    in the weights, and evaluation uses the first group. A row counts as read once any operation computes with it, or
    with what it became, other than carrying it somewhere or changing it value by value.

    Parameters
    ----------
    model : torch.nn.Module
    run : callable
        Runs the model once, as it is used. What another process does is not seen.
    names : tuple of str
        Names of the model's parameters.

    Returns
    -------
    dict of str to (ndarray of bool, shape (rows,)) or None
        By name; None where no operation was seen to use the parameter, so that nothing is known of its rows.

    Examples
    --------
    >>> table = nn.Embedding(6, 4)
    >>> image = torch.randn(4, 4)
    >>> rows_read(table, lambda: table.weight[:2] @ image, ("weight",))["weight"]
    array([ True,  True, False, False, False, False])
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    reader = _RowsReader({name: parameters[name] for name in names})
    with torch.no_grad(), reader:
        run()
    return reader.result()


class _RowsReader(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Follows the rows of tables from operation to operation, by the memory that they lie in.

    Parameters
    ----------
    tables : mapping of str to Tensor
    """

    def __init__(self, tables: Mapping[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self._tables = tables
        self._maps: dict[int, Tensor] = {}  # of memory: the row that each value of it belongs to, or -1
        self._sizes: dict[int, int] = {}  # of a value, in bytes
        self._unused: set[int] = set()  # made of rows, and used by nothing yet
        self._alive: list[Tensor] = []  # so that memory that is followed is not given to others
        self._firsts: dict[str, int] = {}
        n_rows = 0
        for name, table in tables.items():
            self._firsts[name] = n_rows
            rows = torch.arange(n_rows, n_rows + len(table)).view(-1, *[1] * (table.ndim - 1))
            self._follow(table.detach(), rows.expand(table.shape))
            n_rows += len(table)
        self._read = torch.zeros(n_rows, dtype=torch.bool)

    def result(self) -> dict[str, NDArray[np.bool_] | None]:
        """Rows read of each table; None where there is none."""
        for memory in self._unused:  # handed out as it is: a result, perhaps
            self._note(self._maps[memory])
        found: dict[str, NDArray[np.bool_] | None] = {}
        for name, first in self._firsts.items():
            rows = self._read[first : first + len(self._tables[name])].numpy().copy()
            found[name] = rows if rows.any() else None
        return found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, and follow what it does with rows."""
        kwargs = kwargs or {}
        followed = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor) and self._has(one)]
        output = func(*args, **kwargs)
        if followed:
            self._see(func, args, kwargs, followed, output)
        return output

    def _see(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], followed: list[Tensor], output: Any
    ) -> None:
        name = func.overloadpacket.__name__
        made = [one for one in tree_leaves(output) if isinstance(one, Tensor)]
        memories = {_memory(one) for one in followed}
        if name != "copy_" and made and all(_memory(one) in memories for one in made):
            return  # another view of the same memory
        self._unused -= memories
        rows = None
        if len(made) == 1 or (made and name == "native_layer_norm"):
            rows = self._carried(func, name, args, kwargs, followed, made[0])
        if rows is None:
            for one in followed:
                self._note(self._rows(one))
        else:
            self._follow(made[0], rows)
            self._unused.add(_memory(made[0]))

    def _carried(
        self,
        func: Any,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        followed: list[Tensor],
        made: Tensor,
    ) -> Tensor | None:
        """Return the row of each value that an operation makes; None where it computes with several of them."""
        if any(one.dtype.itemsize != self._sizes[_memory(one)] for one in followed):
            return None
        if name in _MOVES:
            return torch.as_tensor(func(*tree_map(self._rows, args), **tree_map(self._rows, kwargs)))
        if name in _LOOKS_UP:
            numbers, rows = args[_LOOKS_UP[name]], self._rows(followed[0])
            # Which rows are taken may depend on the image: only all of them up to some are sure to be the same ones.
            if len(followed) > 1 or not _counts_up(numbers) or (name == "index_select" and args[1] != 0):
                return None
            taken: Tensor = rows[numbers.cpu().reshape(-1)]
            return taken.reshape(made.shape)
        if name in _ROW_BY_ROW:
            return self._row_by_row(name, args, followed, made)
        if len(followed) == 1 and (name in _COPIES or torch.Tag.pointwise in func.tags):
            if made is args[0] and name != "copy_":
                return None
            whole: Tensor = self._rows(followed[0])
            return whole.broadcast_to(made.shape)
        return None

    def _row_by_row(
        self, name: str, args: tuple[Any, ...], followed: list[Tensor], made: Tensor
    ) -> Tensor | None:
        given = args[_ROW_BY_ROW[name]]
        if len(followed) > 1 or followed[0] is not given or given.shape[:-1] != made.shape[:-1]:
            return None
        if name.endswith("norm") and len(args[1]) > 1:
            return None
        rows: Tensor = self._rows(given)
        same = bool((rows == rows[..., :1]).all())
        return rows[..., :1].expand(made.shape) if same else None

    def _has(self, tensor: Tensor) -> bool:
        return _memory(tensor) in self._maps and tensor.numel() > 0

    def _rows(self, value: Any) -> Any:
        """Return the row of each value of a tensor; anything else as it is."""
        if not isinstance(value, Tensor):
            return value
        if not self._has(value):
            return torch.full(value.shape, -1)
        memory = self._maps[_memory(value)]
        if value.dtype.itemsize != self._sizes[_memory(value)]:
            return memory
        return memory.as_strided(value.shape, value.stride(), value.storage_offset())

    def _follow(self, tensor: Tensor, rows: Tensor) -> None:
        key, size = _memory(tensor), tensor.dtype.itemsize
        if key not in self._maps or self._sizes[key] != size:
            n_values = max(1, tensor.untyped_storage().nbytes() // size)
            self._maps[key] = torch.full((n_values,), -1)
            self._sizes[key] = size
            self._alive.append(tensor)
        self._maps[key].as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).copy_(rows)

    def _note(self, rows: Tensor) -> None:
        known = rows.reshape(-1)
        self._read[known[known >= 0]] = True


def _memory(tensor: Tensor) -> int:
    """Return the address of a tensor's memory; 0 where it has none that could be followed."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):
        return 0


def _counts_up(numbers: Any) -> bool:
    """Return whether numbers are 0, 1, 2 and so on, in any order and each as often as it may be."""
    if not isinstance(numbers, Tensor) or not numbers.numel():
        return False
    found = set(numbers.reshape(-1).tolist())
    return found == set(range(len(found)))
