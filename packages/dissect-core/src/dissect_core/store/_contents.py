"""What is in the files of a study's images: a file that became another one under its old name gives other numbers."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..progress import MakeBar, no_bar
from ..storage.files import open_regular

READERS = 8
"""Files that are read at a time: storage answers several about as fast as one, and hashing lets other threads run."""
BLOCK = 2**20
SHOWN_FROM = 1000
"""Images from which on a progress bar is worth its line."""
UNREAD = ""
"""Stands for a file that cannot be read: missing, or no permission."""


def image_digests(paths: Sequence[Path], bar: MakeBar) -> list[str]:
    """SHA-256 of each file's bytes, which takes a second for each 1 to 2 GB where they are at hand; see `UNREAD`.

    Examples
    --------
    >>> from dissect_core.engine import no_bar
    >>> image_digests([Path("no-such-file.png")], no_bar)
    ['']
    """
    make = bar if len(paths) >= SHOWN_FROM else no_bar
    with ThreadPoolExecutor(READERS) as pool, make(len(paths), "image", "checksums") as shown:
        digests = []
        for digest in pool.map(_digest, paths):
            digests.append(digest)
            shown.update(1)
    return digests


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError:
        return UNREAD
    return digest.hexdigest()
