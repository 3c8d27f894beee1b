"""References on disk: arrays and a description in one NumPy archive, so that reading one can run no code."""

import json
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..activation_specs import ActivationSite
from ..errors import CheckpointError
from ..files import write_whole
from ..places import place_of
from ._optimal_fit import OptimalFit
from ._reference import Reference, Slot

_FORMAT = "dissect reference 1"
_TENSORS = ("total", "squares", "positions", "optimal")


def save_reference(reference: Reference, path: str | Path) -> None:
    """Write a reference; see `Reference.save`."""
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
    write_whole(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]  # a keyword of its own


def load_reference(path: str | Path) -> Reference:
    """Read what `Reference.save` wrote: statistics, activations and fitted constants, exactly as they were.

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
    ...     reference.save(Path(folder) / "reference.npz")
    ...     load_reference(Path(folder) / "reference.npz").at(site)[0].mean
    tensor([1., 1.], dtype=torch.float64)
    """
    try:
        # Opened here, because NumPy leaves a damaged file open.
        with place_of(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            header = json.loads(bytes(archive["header"]))
            if header["format"] != _FORMAT:
                raise ValueError(f"its format is {header['format']!r}, not {_FORMAT!r}")
            slots = {
                (place["path"], place["unit"], place["argument"]): [_slot(archive, s) for s in place["slots"]]
                for place in header["places"]
            }
            fit = None if header["fit"] is None else _fit(header["fit"])
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file. Make it with `Reference.save`.") from error
    except (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise _unreadable(path, error) from error
    return Reference(slots, fit)


def _unreadable(path: str | Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged, or not a file of `Reference.save` ({error}). Gather the reference again, and save it."
    )


def _slot(archive: Any, described: dict[str, Any]) -> Slot:
    tensors = {
        name: _tensor(archive[f"{described['number']}.{name}"], kind)
        for name, kind in described["tensors"].items()
    }
    return Slot(
        n_images=described["n_images"],
        shapes=[tuple(shape) for shape in described["shapes"]],
        count=described["count"],
        total=tensors["total"],
        squares=tensors["squares"],
        positions=tensors.get("positions"),
        kept=[tensors[f"kept{i}"] for i in range(described["n_kept"])],
        feature_axis=described["feature_axis"],
        optimal=tensors.get("optimal"),
    )


def _fit(described: dict[str, Any]) -> OptimalFit:
    sites = tuple(
        ActivationSite(**{**site, "indices": None if site["indices"] is None else tuple(site["indices"])})
        for site in described["sites"]
    )
    return OptimalFit(**{**described, "sites": sites, "losses": tuple(described["losses"])})


def _kind(tensor: Tensor) -> dict[str, Any]:
    return {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}


def _array(tensor: Tensor) -> NDArray[Any]:
    """Bytes of a tensor: NumPy does not know all of torch's types."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _tensor(array: NDArray[Any], kind: dict[str, Any]) -> Tensor:
    dtype = getattr(torch, kind["dtype"])
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{kind['dtype']!r} is no type of tensors")
    if not array.size:  # torch finds no strides to view it by
        return torch.empty(kind["shape"], dtype=dtype)
    return torch.from_numpy(array.copy()).view(dtype).reshape(kind["shape"])
