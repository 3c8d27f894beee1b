"""References on disk: arrays and a description in one NumPy archive, so that reading one can run no code."""

import json
import zipfile
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...edits import ActivationSite
from ...errors import CheckpointError
from ...storage import open_regular, write_whole
from ...storage.archives import open_archive
from ...text import cut, quoted, visible
from ._reference import OptimalFit, Reference, Slot

_FORMAT = "dissect reference 1"
_TENSORS = ("total", "squares", "positions", "optimal")


def save_reference(reference: Reference, path: str | Path) -> None:
    """Write a reference to a file, whole or not at all, that `load_reference` reads back exactly.

    Parameters
    ----------
    reference : Reference
    path : str or Path
        The file, in a folder that exists. An older file is replaced.

    Raises
    ------
    CheckpointError
        If the folder is missing or the disk refuses.

    Examples
    --------
    See `load_reference`.
    """
    arrays: dict[str, NDArray[Any]] = {}
    places = []
    for (module, unit, argument), slots in reference.slots.items():
        described = []
        for slot in slots:
            number = len(arrays)
            tensors = {name: getattr(slot, name) for name in _TENSORS}
            tensors |= {f"kept{i}": image for i, image in enumerate(slot.kept)}
            kinds = {name: _kind(tensor) for name, tensor in tensors.items() if tensor is not None}
            arrays |= {f"{number}.{name}": _array(tensors[name]) for name in kinds}
            described.append(
                {
                    "number": number,
                    "tensors": kinds,
                    "n_images": slot.n_images,
                    "n_kept": len(slot.kept),
                    "shapes": slot.shapes,
                    "count": slot.count,
                    "feature_axis": slot.feature_axis,
                }
            )
        places.append({"path": module, "unit": unit, "argument": argument, "slots": described})
    fit = None if reference.fit is None else asdict(reference.fit)
    header = json.dumps({"format": _FORMAT, "places": places, "fit": fit})
    arrays["header"] = np.frombuffer(header.encode(), dtype=np.uint8)
    write_whole(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]  # never `allow_pickle`


def load_reference(path: str | Path) -> Reference:
    """Read what `save_reference` wrote: statistics, activations and fitted constants, exactly as they were.

    Parameters
    ----------
    path : str or Path
        The file. Reading it runs no code, whoever wrote it.

    Returns
    -------
    Reference
        With all tensors on the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or of another kind.

    Examples
    --------
    >>> import tempfile
    >>> from dissect_core.torch import gather_reference
    >>> site = ActivationSite("", "component")
    >>> reference = gather_reference(torch.nn.ReLU(), [torch.ones(1, 2)], lambda model, x: model(x), [site])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_reference(reference, Path(folder) / "reference.npz")
    ...     load_reference(Path(folder) / "reference.npz").at(site)[0].mean
    tensor([1., 1.], dtype=torch.float64)
    """
    try:
        with open_regular(path) as file, open_archive(file) as archive:
            parts = _Parts(archive)
            header = json.loads(bytes(parts.take("header")))
            if header["format"] != _FORMAT:
                raise ValueError(f"its format is {quoted(header['format'])}, not {_FORMAT!r}")
            slots = {
                _place(place): [_slot(parts, slot) for slot in place["slots"]] for place in header["places"]
            }
            fit = None if header["fit"] is None else _fit(header["fit"])
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file. Make it with `save_reference`.") from error
    except Exception as error:  # what is in a damaged file can fail in any way
        raise _unreadable(path, error) from error
    return Reference(slots, fit)


class _Parts:
    """Parts of an archive in NumPy's format, each an array of bytes; each may be taken once."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._left = set(archive.namelist())

    def take(self, name: str) -> NDArray[np.uint8]:
        part = f"{name}.npy"
        if part not in self._left:
            raise ValueError(f"its part {quoted(part)} is missing, or used twice")
        self._left.remove(part)
        with self._archive.open(part) as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError(f"its part {quoted(part)} is in another version of NumPy's format")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            content = file.read()
        if dtype != np.uint8 or shape != (len(content),):
            raise ValueError(
                f"its part {quoted(part)} must be {len(content)} bytes, is {dtype} of shape {shape}"
            )
        return np.frombuffer(content, np.uint8)


def _unreadable(path: str | Path, error: Exception) -> CheckpointError:
    reason = cut(visible((str(error).splitlines() or [type(error).__name__])[0]))
    return CheckpointError(
        f"{path} is damaged, or not a file of `save_reference` ({reason}). Gather the reference again, and save it."
    )


def _place(described: dict[str, Any]) -> tuple[str, str, str | None]:
    path, unit, argument = described["path"], described["unit"], described["argument"]
    if type(path) is not str or type(unit) is not str or type(argument) not in (str, type(None)):
        raise ValueError("a place must be named by texts")
    return path, unit, argument


def _slot(parts: _Parts, described: dict[str, Any]) -> Slot:
    number = _whole(described["number"])
    tensors = {
        name: _tensor(parts.take(f"{number}.{name}"), kind) for name, kind in described["tensors"].items()
    }
    n_kept = _whole(described["n_kept"])
    kept = tensors.keys() - set(_TENSORS)
    if n_kept != len(kept) or tensors["total"].shape != tensors["squares"].shape:
        raise ValueError("a slot holds other tensors than it says")
    return Slot(
        n_images=_whole(described["n_images"]),
        shapes=[tuple(map(_whole, shape)) for shape in described["shapes"]],
        count=_whole(described["count"]),
        total=tensors["total"],
        squares=tensors["squares"],
        positions=tensors.get("positions"),
        kept=[tensors[f"kept{i}"] for i in range(n_kept)],
        feature_axis=-_whole(-described["feature_axis"]),
        optimal=tensors.get("optimal"),
    )


def _fit(described: dict[str, Any]) -> OptimalFit:
    sites = []
    for site in described["sites"]:
        path, unit, argument = _place(site)
        indices = None if site["indices"] is None else tuple(map(_whole, site["indices"]))
        axis = None if site["batch_axis"] is None else _whole(site["batch_axis"])
        sites.append(ActivationSite(path, unit, indices, argument, axis))  # type: ignore[arg-type]  # it checks the unit
    zero, mean, optimal, *losses = (
        float(loss)
        for loss in (*(described[key] for key in ("zero", "mean", "optimal")), *described["losses"])
    )
    return OptimalFit(tuple(sites), zero, mean, optimal, tuple(losses))


def _whole(number: Any) -> int:
    if type(number) is not int or not 0 <= number < 2**62:
        raise ValueError(f"{quoted(number)} must be a whole number")
    return number


def _kind(tensor: Tensor) -> dict[str, Any]:
    return {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}


def _array(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor's values as bytes: NumPy does not know all of torch's types."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _tensor(array: NDArray[Any], kind: dict[str, Any]) -> Tensor:
    dtype = getattr(torch, kind["dtype"])
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{quoted(kind['dtype'])} is no type of tensors")
    shape = [_whole(length) for length in kind["shape"]]
    if prod(shape) * dtype.itemsize != len(array):
        raise ValueError(f"a tensor of shape {quoted(shape)} cannot be made of {len(array)} bytes")
    if not array.size:  # torch finds no strides to view it by
        return torch.empty(shape, dtype=dtype)
    return torch.from_numpy(array.copy()).view(dtype).reshape(shape)
