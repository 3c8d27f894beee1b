"""Loading MMDetection checkpoints safely: tensors, plain data, and the few MMEngine types they contain."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dissect_core.storage.files import open_regular
from dissect_core.text import quoted
from dissect_core.torch import load_checkpoint, load_safetensors

if TYPE_CHECKING:
    from typing import TypeGuard

HISTORY_STATISTICS = ("min", "max", "mean", "current")
HISTORY_FIELDS = ("_log_history", "_count_history", "max_length")


def load_mmdet_checkpoint(path: Path | str, *, trust: bool = False) -> dict[str, Any]:
    """Load a checkpoint written by MMEngine without letting it run code.

    Parameters
    ----------
    path : Path or str
        A ``.pth`` file, as MMEngine's ``CheckpointHook`` or OpenMMLab's model zoo writes it; or a safetensors file, of
        which the tensors become the ``state_dict``.
    trust : bool
        Load with the full unpickler, which can run code from the file. Only for files of your own.

    Returns
    -------
    dict
        The checkpoint with its tensors on the CPU.

    Raises
    ------
    dissect_core.CheckpointError
        If the file is missing, damaged, or holds something that is not on the list.

    See Also
    --------
    allowed_types : what is admitted beside tensors and plain Python data.
    """
    if _is_safetensors(Path(path)):
        return {"state_dict": load_safetensors(path)}
    return load_checkpoint(path, allow=allowed_types(), trust=trust)


def _is_safetensors(path: Path) -> bool:
    """Return whether a file is safetensors, by its ending or its first bytes: a length, then a JSON object."""
    if path.suffix == ".safetensors":
        return True
    try:
        with open_regular(path) as file:
            start = file.read(9)
            return start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size
    except (OSError, ValueError):
        return False  # whoever reads it says why


def allowed_types() -> list[Any]:
    """Return the types that official checkpoints hold beside plain data: MMEngine's history of logged scalars.

    Returns
    -------
    list
        For the argument `allow` of `dissect_core.torch.load_checkpoint`. Without MMEngine it is empty, and a
        checkpoint with such a history is refused by its name.

    Notes
    -----
    By name, what is needed, and the worst that could be done with it:

    - ``HistoryBuffer``: the two arrays of a log. Its constructor takes anything, and its state can replace the
      statistics of all histories in the process; so it is made empty, and given two arrays of numbers of one
      length and its own statistics, each under its own name.
    - ``builtins.getattr``: training logs pickle the statistics as ``getattr(HistoryBuffer, name)``. Admitting it
      would admit everything, so it is answered by a function that knows the four names. A pickle cannot call
      what it gives.
    """
    try:
        from mmengine.logging.history_buffer import HistoryBuffer
    except ImportError:
        return []

    statistics = {name: getattr(HistoryBuffer, name) for name in HISTORY_STATISTICS}

    class NewHistory(HistoryBuffer):  # type: ignore[misc]  # MMEngine has no types
        """A history whose values are still to come; it then is a plain one."""

        def __new__(cls) -> NewHistory:
            return object.__new__(cls)

        def __init__(self) -> None:
            pass

        def __setstate__(self, state: object) -> None:
            if type(state) is not dict or set(state) - {*HISTORY_FIELDS, "statistics_methods"}:
                raise pickle.UnpicklingError("a history of scalars must have its own fields")
            logs, counts, most = (state.get(field) for field in HISTORY_FIELDS)
            if not (
                _is_numbers(logs) and _is_numbers(counts) and len(logs) == len(counts) and type(most) is int
            ):
                raise pickle.UnpicklingError(
                    "a history of scalars must hold two rows of numbers and their limit"
                )
            methods = state.get("statistics_methods", {})
            if type(methods) is not dict or any(statistics.get(name) is not f for name, f in methods.items()):
                raise pickle.UnpicklingError("a history of scalars must have MMEngine's statistics")
            self.__class__ = HistoryBuffer
            self._set_default_statistics()
            # In the file's order, so that it is written again as it was.
            self.__dict__.update({name: value for name, value in state.items() if name in HISTORY_FIELDS})

    def history_statistic(owner: object, name: object) -> Callable[..., Any]:
        if owner is not NewHistory or type(name) is not str or name not in statistics:
            raise pickle.UnpicklingError(
                f"a checkpoint may not ask for the attribute {quoted(name)} of anything"
            )
        statistic: Callable[..., Any] = statistics[name]
        return statistic

    return [
        (NewHistory, "mmengine.logging.history_buffer.HistoryBuffer"),
        (history_statistic, "builtins.getattr"),
    ]


def _is_numbers(values: object) -> TypeGuard[NDArray[Any]]:
    return type(values) is np.ndarray and values.ndim == 1 and values.dtype.kind in "biuf"
