"""Checkpoints in the safetensors format: tensors and nothing else, so that reading one can run no code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from ...errors import CheckpointError, MissingDependencyError
from ...storage import write_whole
from ._checkpoint import _opening, first_line
from ._pickle import Budget, plain_key
from ._pickle_names import check_tensor

_LONGEST_HEADER = 2**24


def load_safetensors(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from a safetensors file.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    dict of str to torch.Tensor
        All tensors on the CPU. Tied ones come back as tensors of their own.

    Raises
    ------
    MissingDependencyError
        If the package ``safetensors`` is not installed.
    CheckpointError
        If the file is missing, is a folder or another thing than a file, is empty, damaged or in another format.

    References
    ----------
    https://github.com/huggingface/safetensors#format

    Examples
    --------
    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_safetensors({"weight": torch.ones(2)}, Path(folder) / "model.safetensors")
    ...     load_safetensors(Path(folder) / "model.safetensors")
    {'weight': tensor([1., 1.])}
    """
    library, path = require_safetensors(), Path(path)
    start = _opening(path)
    try:
        n_bytes = path.stat().st_size
        if n_bytes > 8 and int.from_bytes(start[:8], "little") > _LONGEST_HEADER:
            raise ValueError("its header is too long")
        tensors: dict[str, Tensor] = library.load_file(path, device="cpu")
        budget = Budget(n_bytes)
        for name, tensor in tensors.items():
            check_tensor(tensor, budget)
            plain_key(name)
    except Exception as error:
        remedy = (
            "It looks like a file of `torch.save`: read it with `load_checkpoint`."
            if start.startswith((b"PK", b"\x80"))
            else "Download or save it again."
        )
        reason = first_line(error)
        raise CheckpointError(f"{path} is damaged, or not a safetensors file ({reason}). {remedy}") from error
    return tensors


def save_safetensors(
    state_dict: Mapping[str, Any], path: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a state dict as a safetensors file, whole or not at all (see `save_checkpoint`).

    Parameters
    ----------
    state_dict : mapping of str to torch.Tensor
        On any device. Tied tensors, which the format cannot express, are written once for each name.
    path : str or Path
        The file, in a folder that exists. An older file is replaced.
    metadata : mapping of str to str, optional
        Text to keep in the file's header.

    Raises
    ------
    MissingDependencyError
        If the package ``safetensors`` is not installed.
    CheckpointError
        If an entry is no dense tensor, the metadata is no text, or the file cannot be written.

    Examples
    --------
    See `load_safetensors`.
    """
    library = require_safetensors()
    ready: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in state_dict.items():
        if not isinstance(value, Tensor) or value.is_meta or value.is_sparse or value.is_quantized:
            what = type(value).__name__ if not isinstance(value, Tensor) else f"a tensor of {value.layout}"
            raise CheckpointError(
                f"`state_dict[{name!r}]` must be a dense tensor with values for a safetensors file, got {what}. "
                "Leave it out, or write the state dict with `save_checkpoint`."
            )
        tensor = value.detach().cpu().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        ready[name] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    try:
        content: bytes = library.save(ready, metadata=None if metadata is None else dict(metadata))
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be written as safetensors: {error}. Names and metadata must be text."
        ) from error
    write_whole(path, lambda file: file.write(content))


def require_safetensors() -> ModuleType:
    """Return the library that reads and writes the format.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        import safetensors.torch
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "safetensors":
            raise
        raise MissingDependencyError(
            "Files in the safetensors format need the package `safetensors`, which is not installed. "
            'Run `pip install "dissect-core[safetensors]"`.',
            name="safetensors",
        ) from error
    return safetensors.torch
