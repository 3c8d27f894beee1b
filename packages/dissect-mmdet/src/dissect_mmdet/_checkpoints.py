"""Loading MMDetection checkpoints safely: tensors, plain data, and the few MMEngine types they contain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dissect_core.torch import load_checkpoint, load_safetensors

HISTORY_STATISTICS = frozenset({"min", "max", "mean", "current"})


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
    """Whether a file is in the safetensors format, by its ending or its first bytes: a length, then a JSON object."""
    if path.suffix == ".safetensors":
        return True
    try:
        with path.open("rb") as file:
            start = file.read(9)
            return start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size
    except OSError:
        return False  # whoever reads it says why


def allowed_types() -> list[Any]:
    """What official checkpoints hold beside tensors: MMEngine's history of logged scalars, NumPy values.

    Training logs pickle the statistics of `mmengine.logging.HistoryBuffer` as ``getattr(HistoryBuffer, name)``.
    Admitting ``getattr`` would admit everything, so it is answered by a function that knows these names only.

    Returns
    -------
    list
        For `torch.serialization.safe_globals`.
    """
    # The functions that NumPy itself names in a pickle; NumPy 1 and 2 do so by different modules, and a file
    # may come from either.
    functions = [np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0]]
    rebuild: list[Any] = [np.ndarray, np.dtype]
    rebuild += [(f, f"numpy.{core}.multiarray.{f.__name__}") for core in ("core", "_core") for f in functions]
    dtypes = [type(np.dtype(code)) for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?", "U1")]
    return rebuild + dtypes + _history_types()


def _history_types() -> list[Any]:
    try:
        from mmengine.logging.history_buffer import HistoryBuffer
    except ImportError:  # a checkpoint with such a history then is refused by name
        return []

    def history_statistic(owner: type, name: str) -> Callable[..., Any]:
        if owner is not HistoryBuffer or name not in HISTORY_STATISTICS:
            raise ValueError(f"a checkpoint may not ask for attribute {name!r} of {owner!r}")
        statistic: Callable[..., Any] = getattr(HistoryBuffer, name)
        return statistic

    return [
        HistoryBuffer,
        (history_statistic, "builtins.getattr"),
        (history_statistic, "__builtin__.getattr"),
    ]
