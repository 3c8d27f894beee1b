"""Reading checkpoints without running what they contain."""

import pickle
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import torch

from ..components import near_matches
from ..errors import CheckpointError

Allowed: TypeAlias = Callable[..., Any] | tuple[Callable[..., Any], str]

_REFUSED = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)")
# Nothing in a model's weights needs these; a file that calls one of them was made to do harm.
_HOSTILE = re.compile(
    r"(asyncio|code|commands|ctypes|importlib|marshal|multiprocessing|nt|os|pickle|posix|pty|runpy|shutil|socket"
    r"|subprocess|sys|threading|timeit|webbrowser)\..+|builtins\.(__import__|breakpoint|compile|eval|exec|open)"
)
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
        What the file may contain beside tensors and plain containers. The files of MMEngine hold its
        ``HistoryBuffer``, for instance. A pair gives a callable under the name that the file uses for it.
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
        If the file is missing, no file, empty, damaged or not a checkpoint; if it needs something that is not
        allowed (all such names are listed); or if its content is not a mapping with string keys.

    Notes
    -----
    Uses `torch.load` with ``weights_only=True``. Under torch older than 2.6 that option could be circumvented
    (CVE-2025-32434), and before 2.10 a file could corrupt memory (CVE-2026-24747); this package therefore
    requires 2.10.

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
        with (
            path.open("rb") as file,
            warnings.catch_warnings(),
            _allowing(allow),
        ):
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=not trust)
    except Exception as error:
        raise _explained(error, path, start, allow, trust) from error
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise CheckpointError(
            f"{path} must hold a mapping with string keys, got {type(content).__name__}. "
            "Save the model's state dict: `torch.save(model.state_dict(), path)`."
        )
    return content if isinstance(content, dict) else dict(content)


def _allowing(allow: Sequence[Allowed]) -> AbstractContextManager[object]:
    """Let torch read some names for a while. What the program allowed for good stays allowed afterwards."""
    already = torch.serialization.get_safe_globals()
    return torch.serialization.safe_globals([item for item in allow if item not in already])


def _opening(path: Path) -> bytes:
    """First bytes of a file, after checking that there are any."""
    try:
        with path.open("rb") as file:
            start = file.read(32)
    except FileNotFoundError as error:
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = near_matches(path.name, siblings, n=3)
        remedy = f"Near matches there: {', '.join(near)}." if near else "Check the path."
        raise CheckpointError(f"{path} does not exist. {remedy}") from error
    except OSError as error:
        what = "is a folder" if path.is_dir() else f"cannot be read ({error.strerror})"
        raise CheckpointError(f"{path} {what}. Give the path of a checkpoint file.") from error
    if not start:
        raise CheckpointError(f"{path} is empty. Download or save it again.")
    return start


def _explained(
    error: Exception, path: Path, start: bytes, allow: Sequence[Allowed], trust: bool
) -> CheckpointError:
    """Say why torch could not read a file, and what to do."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    refused = [] if trust else _refused(error, path, allow)
    if refused and not _breaks_off(path, refused[0]):
        return _refusal(path, refused)
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
    if "TorchScript" in str(error):
        return CheckpointError(f"{path} is a TorchScript program. Save its `state_dict()` and load that.")
    if start.startswith(b"PK"):
        return CheckpointError(f"{path} is truncated or damaged ({first}). Download or save it again.")
    if refused or isinstance(error, EOFError) or "EOF" in first or "truncated" in first:
        return CheckpointError(f"{path} is truncated. Download or save it again.")
    return CheckpointError(
        f"{path} is damaged, or not a checkpoint at all ({type(error).__name__}: {first}). "
        "Get the file that `torch.save` wrote."
    )


def _refused(error: Exception, path: Path, allow: Sequence[Allowed]) -> list[str]:
    """Names of everything in a file that the safe reader does not know, as far as they can be told."""
    if not isinstance(error, pickle.UnpicklingError):
        return []
    found = set(_REFUSED.findall(str(error)))
    # Only whole zip archives can be listed; of other files the message names the first thing refused.
    with suppress(Exception), _allowing(allow):
        found.update(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    return sorted({name if "." in name else f"builtins.{name}" for name in found})


def _breaks_off(path: Path, name: str) -> bool:
    """Whether a file ends within the name that the reader did not know, whose last byte it drops."""
    attribute = name.rpartition(".")[2]
    with path.open("rb") as file:
        file.seek(-min(len(attribute) + 2, path.stat().st_size), 2)
        end = file.read().rpartition(b"\n")[2]
    return not attribute or end[:-1] == attribute.encode()


def _refusal(path: Path, refused: Sequence[str]) -> CheckpointError:
    names = ", ".join(refused)
    if any(_HOSTILE.fullmatch(name) for name in refused):
        return CheckpointError(
            f"{path} is refused: it would call {names}, which no checkpoint needs. Nothing was run. "
            "It is probably hostile: delete it. (`trust=True` would run it.)"
        )
    return CheckpointError(
        f"{path} is refused: it contains {names}, which is more than tensors and plain containers. "
        "Nothing was run. Pass what you know to be harmless in `allow`, or `trust=True` if you trust whoever "
        "made the file: it can then run any code."
    )
