"""Weights, downloaded once into the folder for caches: checked, taken up where they broke off, whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from dissect_core.progress import say_beside_bars
from dissect_core.storage import open_regular, why_refused
from dissect_core.storage.files import require_own, sync_folder
from dissect_core.text import quoted

from .._cache import CACHE, cache_folder
from ..errors import DownloadError, ZooError
from ._transfer import BrokenOffError, RefusedError, receive

ZOO = "DEEP_DISSECT_ZOO"
"""Environment variable that names a mirror: the address that stands before the paths of the zoo's files."""
PART = ".part"
"""How the name of a file ends that has not come whole yet."""
TRIES = 4
"""How often in a row nothing may come before a download is given up."""
PAUSE_S = 1.0
"""Seconds to wait before the second try; twice as long before the next."""
_HASH = re.compile(r"-([0-9a-f]{8})\.pth$")
_PIECE = 1 << 20


def cached(url: str) -> Path:
    """Return where the file of an address lies once it is downloaded."""
    return cache_folder() / "mmdet-zoo" / unquote(urlsplit(url).path.rpartition("/")[2])


def download(url: str, name: str) -> Path:
    """Return the file of an address; one that is there and intact is not asked for again.

    Any number of processes may do so at the same time: one downloads, the others wait for it.

    Parameters
    ----------
    url : str
        As the zoo's index names it. Its file's name ends in a hyphen, the first eight digits of its SHA-256, and
        ``.pth``; of the few that do not, the length alone is checked.
    name : str
        What the model is called, for messages.

    Raises
    ------
    DownloadError
        If it cannot be had: the message says why, and where to put the file by hand.
    """
    from filelock import FileLock, Timeout

    target = cached(url)
    if _is_intact(target):
        return target
    remedy = f"let the environment variable {CACHE} name another folder"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass  # where no file can be made, the lock would be waited for in vain
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            say_beside_bars(f"note: waiting for another process, which downloads {target.name}")
            held = lock.acquire()
        with held:
            if not _is_intact(target):
                _download(_mirrored(url), target, name)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"the weights of {name} cannot be written to {target.parent}: {why_refused(error)}; or {remedy}."
        ) from error
    return target


def _is_intact(path: Path, name: str = "") -> bool:
    """Return whether a file is there whose content is what its name says, or another name."""
    wanted = _HASH.search(name or path.name)
    try:
        with open_regular(path) as file:
            return wanted is None or _digits(file) == wanted[1]
    except OSError:
        return False


def _digits(file: BinaryIO) -> str:
    """Return the first eight digits of the SHA-256 of a file."""
    digest = sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()[:8]


def _mirrored(url: str) -> str:
    """Return the address to download from: the zoo's, or the same path on a mirror."""
    base = os.environ.get(ZOO)
    if not base:
        return url
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ZooError(
            f"the environment variable {ZOO} must be an address that begins with https:// or http://, got "
            f"{quoted(base)}."
        )
    return base.rstrip("/") + urlsplit(url).path


def _download(url: str, target: Path, name: str) -> None:
    """Download a file beside its place, check it, and move it there."""
    part = target.with_name(target.name + PART)
    require_own(part)
    has_hash = _HASH.search(target.name) is not None
    if not has_hash:
        part.unlink(missing_ok=True)  # nothing would tell that two halves are of different files
    was_begun = part.exists()
    _receive_all(url, part, target, name)
    if not _is_intact(part, target.name) and was_begun:  # begun from another file, or damaged since
        part.unlink()
        _receive_all(url, part, target, name)
    if not _is_intact(part, target.name):
        with part.open("rb") as file:
            got, size = _digits(file), part.stat().st_size
        part.unlink()
        raise DownloadError(
            f"the weights of {name} must have a SHA-256 that begins with {target.name[-12:-4]}, as their name says, "
            f"got {got} in {size:,} bytes from {url}: nothing is kept. Try again later, or let the environment "
            f"variable {ZOO} name a mirror."
        )
    if not has_hash:
        say_beside_bars(f"note: {target.name} has no checksum in its name: only its length was checked")
    part.replace(target)
    sync_folder(target.parent)


def _receive_all(url: str, part: Path, target: Path, name: str) -> None:
    """Receive a file, taken up where a connection broke off, as long as more of it comes."""
    tries, most = 0, _size(part)
    while (error := _failure(url, part, target.name)) is not None:
        size = _size(part)
        tries = 0 if size > most else tries + 1
        most = max(most, size)
        if isinstance(error, RefusedError) or tries >= TRIES:
            kept = f" {size:,} bytes are kept, and the same command goes on from there." if size else ""
            raise DownloadError(
                f"the weights of {name} cannot be downloaded from {url}: {error}.{kept} Without a network, put that "
                f"file to {target}, or give `checkpoint` and `config`; the environment variable {ZOO} names a mirror."
            ) from error
        time.sleep(PAUSE_S * 2 ** max(0, tries - 1))


def _failure(url: str, part: Path, label: str) -> RefusedError | BrokenOffError | None:
    """Receive what is missing of a file, and return why it is not there; None if all of it is."""
    try:
        receive(url, part, label)
    except (RefusedError, BrokenOffError) as error:
        return error
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
