"""Checkpoints: read without running what they contain, and written whole or not at all."""

import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ...errors import CheckpointError, CheckpointNotFoundError
from ...names import near_matches
from ...storage import open_regular, write_whole
from ...text import cut, visible
from ._pickle import RefusedNameError
from ._torch_file import Allowed, TorchScriptError, known_names, names_of, read_torch

# Nothing in a model's weights needs these; a file that calls one of them was made to do harm.
_HOSTILE = re.compile(
    r"(asyncio|code|commands|ctypes|importlib|marshal|multiprocessing|nt|os|pickle|posix|pty|runpy|shutil|socket"
    r"|subprocess|sys|threading|timeit|webbrowser)\..+|builtins\.(__import__|breakpoint|compile|eval|exec|open)"
)
_ADVICE = re.compile(r"weights_only|safe_globals|allowlist", re.IGNORECASE)
_MOST_NAMES = 10
_NOT_CHECKPOINTS = {
    b"<": "a web page (a download that failed?)",
    b"version https://git-lfs": "a Git LFS pointer, not the file it stands for (run `git lfs pull`)",
    b"{": "a JSON file",
    b"\x89HDF": "an HDF5 file",
}


def load_checkpoint(
    path: str | Path, *, allow: Sequence[Allowed] = (), trust: bool = False
) -> dict[str, Any]:
    """Read a checkpoint written by `torch.save`, by default without running any code that it contains.

    Parameters
    ----------
    path : str or Path
        The file. Both of torch's formats are read: zip archives (since torch 1.6) and the older pickles.
    allow : sequence of types, functions or (callable, str) pairs
        What the file may contain beside tensors and plain containers; files of MMEngine hold its ``HistoryBuffer``,
        for instance. A pair gives a callable and the name that the file uses for it.
        Loading may call these with arguments that the file chooses: allow only what is harmless.
    trust : bool, default False
        Let the file run whatever code it contains. Only for files whose maker you trust.

    Returns
    -------
    dict
        The checkpoint's content, all tensors on the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing (`CheckpointNotFoundError`), is a folder or another thing than a file, is empty, damaged
        or not a checkpoint; if it needs something that is not allowed (all such names are listed); or if its content is
        not a mapping with string keys.

    Notes
    -----
    PyTorch's own reader is used with `trust` only. Its safe mode keeps code from running; but it lets a file of some
    bytes ask for terabytes, end the process, or change types that the whole process shares. Here every name is
    answered by a function that checks its arguments, and what the content takes in memory is bounded by the size
    of the file. What PyTorch itself was told to allow (`torch.serialization.add_safe_globals`) does not count.

    Examples
    --------
    >>> import tempfile
    >>> from dissect_core.torch import save_checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint({"state_dict": {"weight": torch.ones(2)}}, f"{folder}/model.pth")
    ...     load_checkpoint(f"{folder}/model.pth")
    {'state_dict': {'weight': tensor([1., 1.])}}
    """
    path = Path(path)
    start = _opening(path)
    try:
        with open_regular(path) as file:
            content = _trusted(file) if trust else read_torch(file, allow)
    except Exception as error:
        raise _explained(error, path, start, allow, trust) from error
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise CheckpointError(
            f"{path} must hold a mapping with string keys, got {type(content).__name__}. "
            "Save the model's state dict: `torch.save(model.state_dict(), path)`."
        )
    return content if isinstance(content, dict) else dict(content)


def save_checkpoint(checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Write a checkpoint with `torch.save`, so that there is never a half-written file under its name.

    The content goes to a temporary file beside `path`, reaches the disk, and takes the place of `path` in one
    step. After a failure, or a kill at any moment, `path` is what it was before.

    Parameters
    ----------
    checkpoint : mapping
        What to write: usually ``{"state_dict": ..., "meta": ...}``.
    path : str or Path
        The file, in a folder that exists. An older file is replaced. So is a link, but never the file it leads to.

    Raises
    ------
    CheckpointError
        If the folder is missing, `path` is a folder, the disk refuses, or the content cannot be pickled.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint({"state_dict": {"weight": torch.ones(2)}}, Path(folder) / "model.pth")
    ...     [file.name for file in Path(folder).iterdir()]
    ['model.pth']
    """
    try:
        write_whole(path, lambda file: torch.save(checkpoint, file))
    except Exception as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{Path(path).resolve()} cannot be written: {error}. "
            "A checkpoint may hold tensors, and objects that can be pickled."
        ) from error


def _trusted(file: BinaryIO) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(file, map_location="cpu", weights_only=False)


def _opening(path: Path) -> bytes:
    """Return the first bytes of a file; raise an error if it is missing, cannot be read or is empty."""
    try:
        with open_regular(path) as file:
            start = file.read(32)
    except FileNotFoundError as error:
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = near_matches(path.name, siblings, n=3)
        remedy = f"Near matches there: {', '.join(near)}." if near else "Check the path."
        raise CheckpointNotFoundError(f"{path} does not exist. {remedy}") from error
    except (OSError, ValueError) as error:  # a path that no system can have is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        what = "is a folder" if error is not reason and path.is_dir() else f"cannot be read ({reason})"
        raise CheckpointError(f"{path} {what}. Give the path of a checkpoint file.") from error
    if not start:
        raise CheckpointError(f"{path} is empty. Download or save it again.")
    return start


def _explained(
    error: Exception, path: Path, start: bytes, allow: Sequence[Allowed], trust: bool
) -> CheckpointError:
    """Return an error that says why a file could not be read, and what to do."""
    if isinstance(error, RefusedNameError):
        return _refusal(path, _refused(error, path, allow))
    first = first_line(error)
    if trust and isinstance(error, (ImportError, AttributeError)):
        return CheckpointError(f"{path} needs code that is not installed: {first}. Install it and try again.")
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return CheckpointError(f"{path} does not fit into memory: {first}. Free some, or check the file.")
    for opening, what in _NOT_CHECKPOINTS.items():
        if start.lstrip().startswith(opening):
            return CheckpointError(
                f"{path} is {what}, not a checkpoint. Get the file that `torch.save` wrote."
            )
    if path.suffix == ".safetensors":
        return CheckpointError(
            f"{path} is in the safetensors format. Read it with `dissect_core.torch.load_safetensors`."
        )
    if isinstance(error, TorchScriptError):
        return CheckpointError(f"{path} is a TorchScript program. Save its `state_dict()` and load that.")
    if isinstance(error, pickle.UnpicklingError) and not trust:
        return CheckpointError(
            f"{path} is damaged, or made to do harm ({first}). Nothing was run. Download or save it again."
        )
    if start.startswith(b"PK"):
        return CheckpointError(f"{path} is truncated or damaged ({first}). Download or save it again.")
    if isinstance(error, EOFError) or any(word in first for word in ("EOF", "truncated", "breaks off")):
        return CheckpointError(f"{path} is truncated. Download or save it again.")
    return CheckpointError(
        f"{path} is damaged, or not a checkpoint at all ({type(error).__name__}: {first}). "
        "Get the file that `torch.save` wrote."
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error's message; PyTorch's advice to switch safety off is never passed on."""
    lines = str(error).strip().splitlines()
    said = cut(visible(lines[0])) if lines else ""
    return type(error).__name__ if not said or _ADVICE.search(said) else said


def _refused(error: RefusedNameError, path: Path, allow: Sequence[Allowed]) -> list[str]:
    """Return the names in a file that are not allowed, as far as they can be read."""
    found = {error.name}
    with suppress(Exception), open_regular(path) as file:
        known = known_names(allow)
        for name in names_of(file):
            if name not in known:
                found.add(name)
            if len(found) > 100:
                break
    return sorted(found)


def _refusal(path: Path, refused: Sequence[str]) -> CheckpointError:
    hostile = [name for name in refused if _HOSTILE.fullmatch(name)]
    named = hostile or refused
    names = ", ".join(cut(visible(name)) for name in named[:_MOST_NAMES])
    names += f" and {len(named) - _MOST_NAMES} more" if len(named) > _MOST_NAMES else ""
    if hostile:
        return CheckpointError(
            f"{path} is refused: it would call {names}, which no checkpoint needs. Nothing was run. "
            "It is probably hostile: delete it. (`trust=True` would run it.)"
        )
    return CheckpointError(
        f"{path} is refused: it contains {names}, which is more than tensors and plain containers. "
        "Nothing was run. Pass what you know to be harmless in `allow`, or `trust=True` if you trust whoever "
        "made the file: it can then run any code."
    )
