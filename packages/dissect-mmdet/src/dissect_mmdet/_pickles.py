"""Reading pickled inference results without letting the file run code.

MMDetection's results are pickles, and a pickle is a program. Here it may name tensors, plain containers,
NumPy values and MMEngine's data elements; anything else is refused before it is looked up. Even the data
elements are not built from their own classes but from empty records that are made for one file and thrown
away with it.
"""

from __future__ import annotations

import collections
import io
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .errors import PickleRefusedError, SamplesNotFoundError

RECORDS = {
    ("mmdet.structures.det_data_sample", "DetDataSample"),
    ("mmdet.structures.bbox.horizontal_boxes", "HorizontalBoxes"),
    ("mmengine.structures.base_data_element", "BaseDataElement"),
    ("mmengine.structures.instance_data", "InstanceData"),
    ("mmengine.structures.pixel_data", "PixelData"),
}
REMEDY = (
    "Nothing was run. Files of `run_inference_and_integrate_ground_truth` hold tensors and MMDetection's "
    "samples only: make the file again from the checkpoint, or ask whoever gave it to you."
)


class Record:
    """One data element of MMEngine as a pickle tells it: its fields as attributes, and nothing that acts."""

    def __setstate__(self, state: object) -> None:
        """Take the fields; slots and other ways of setting attributes are refused."""
        if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
            raise pickle.UnpicklingError("the state of a data element must be a dict of its fields")
        self.__dict__.update(state)

    def get(self, name: str, default: Any = None) -> Any:
        """Value of a field, or the default; MMEngine keeps typed fields under a leading underscore."""
        for key in (name, f"_{name}"):
            if key in self.__dict__:
                return self.__dict__[key]
        return default


def load_samples(path: Path | str) -> list[Record]:
    """Read a pickled list of detection samples.

    Parameters
    ----------
    path : Path or str
        A file of ``pickle.dump(samples, file)``, where `samples` is a list of MMDetection's
        ``DetDataSample``.

    Returns
    -------
    list of Record
        One per sample, with ``get("gt_instances")``, ``get("pred_instances")`` and the metainfo by name. All
        tensors are on the CPU, wherever they were.

    Raises
    ------
    PickleRefusedError
        If the file names anything that such files do not hold, is damaged, or holds no list of samples.
    SamplesNotFoundError
        If there is no such file.

    Notes
    -----
    Needs neither mmdet nor mmengine.
    """
    path = Path(path)
    if not path.is_file():
        raise SamplesNotFoundError(f"samples {path}: no such file. Run the inference that writes it first.")
    if path.stat().st_size == 0:
        raise PickleRefusedError(f"samples {path}: the file is empty. {REMEDY}")
    try:
        with path.open("rb") as file:
            samples = _SamplesUnpickler(file, path).load()
    except PickleRefusedError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        reason = str(error) or type(error).__name__
        raise PickleRefusedError(f"samples {path}: damaged or no such pickle ({reason}). {REMEDY}") from error
    if not isinstance(samples, list) or not all(isinstance(sample, Record) for sample in samples):
        held = type(samples).__name__ if not isinstance(samples, list) else "list of other things"
        raise PickleRefusedError(
            f"samples {path}: must hold a list of DetDataSample, holds a {held}. {REMEDY}"
        )
    return samples


class _SamplesUnpickler(pickle.Unpickler):
    """Looks names up in a table of its own; no module is ever imported on the file's behalf."""

    def __init__(self, file: io.BufferedReader, path: Path) -> None:
        super().__init__(file)
        self._path = path
        # Fresh classes: what a file does to a class while it is read, it does to these alone.
        records = {(module, name): type(name, (Record,), {}) for module, name in RECORDS}
        self._table: dict[tuple[str, str], Any] = {**_harmless(), **records}
        self._table["torch.storage", "_load_from_bytes"] = self._values

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up in the table, or refuse the file."""
        if (module, name) not in self._table:
            self._refuse(f"{module}.{name}")
        return self._table[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Refuse: plain pickles have no such references."""
        self._refuse(f"the persistent reference {pid!r}")

    def _refuse(self, name: str) -> None:
        raise PickleRefusedError(f"samples {self._path}: refused, it asks for {name}. {REMEDY}")

    def _values(self, data: object) -> torch.Tensor:
        """Read all values of a storage: bytes of `torch.save`, a pickle again, for torch's safe reader."""
        if not isinstance(data, bytes):
            raise pickle.UnpicklingError("the values of a tensor must be bytes")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's own: typed storages are deprecated
                storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
                if not isinstance(storage, torch.storage.TypedStorage):
                    raise pickle.UnpicklingError("the values of a tensor must be a storage")
                untyped: torch.UntypedStorage = storage.untyped()  # type: ignore[no-untyped-call]
                return torch.empty(0, dtype=storage.dtype).set_(untyped)
        except pickle.UnpicklingError as error:
            named = re.search(r"GLOBAL (\S+)", str(error))
            if named:
                self._refuse(f"{named[1]} inside the values of a tensor")
            raise


def _harmless() -> dict[tuple[str, str], Any]:
    """Plain containers, NumPy values and the parts of tensors, by the names that pickles use for them."""
    # NumPy's own functions for this, whichever module they live in.
    array, scalar = np.zeros(1), np.float64(0)
    numpy = {
        ("multiarray", "_reconstruct"): array.__reduce__()[0],
        ("multiarray", "scalar"): scalar.__reduce__()[0],
        ("numeric", "_frombuffer"): array.__reduce_ex__(5)[0],
    }
    table: dict[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("_codecs", "encode"): _latin1,
        ("torch", "Size"): torch.Size,
        ("torch", "device"): torch.device,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("numpy", "dtype"): np.dtype,
        ("numpy", "ndarray"): np.ndarray,
    }
    for package in ("builtins", "__builtin__"):  # the latter in protocols below 3
        table[package, "set"], table[package, "frozenset"] = set, frozenset
    for package in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
        table.update({(f"{package}.{module}", name): made for (module, name), made in numpy.items()})
    return table


def _latin1(text: object, encoding: object) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("text may only be encoded as latin1, the way pickles hold bytes")
    return text.encode("latin1")


def _tensor(values: torch.Tensor, offset: int, size: Any, stride: Any, *_: Any) -> torch.Tensor:
    """Rebuild a tensor, which torch keeps inside its values; hooks and the wish for a gradient are dropped."""
    return values.as_strided(size, stride, offset)


def _parameter(data: Any, *_: Any) -> torch.Tensor:
    if not isinstance(data, torch.Tensor):
        raise pickle.UnpicklingError("a parameter must be a tensor")
    return data
