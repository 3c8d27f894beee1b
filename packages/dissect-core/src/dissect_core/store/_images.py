"""The images of a study: their names and ids, and what is in their files."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from ..progress import MakeBar, no_bar
from ..storage import open_regular

READERS = 8
"""Files that are read at a time: storage answers several about as fast as one, and hashing lets other threads run."""
BLOCK = 2**20
SHOWN_FROM = 1000
"""Images from which on a progress bar is worth its line."""
UNREAD = ""
"""Stands for a file that cannot be read: missing, or no permission."""


class ImageRef(NamedTuple):
    """An image of a study.

    Attributes
    ----------
    file_name : str
        As its annotation file names it.
    image_id : int
        As its annotation file numbers it.
    """

    file_name: str
    image_id: int


def images_table(images: Sequence[ImageRef], digests: Sequence[str]) -> pa.Table:
    """Return a table with a row for each image, with the checksum of its file where that is known."""
    table = pa.Table.from_pylist([image._asdict() for image in images])
    return table.append_column("sha256", pa.array(list(digests), pa.string())) if digests else table


def image_digests(paths: Sequence[Path], bar: MakeBar) -> list[str]:
    """Return the SHA-256 of each file; a second for each 1 to 2 GB on a local disk. See `UNREAD`.

    Examples
    --------
    >>> from dissect_core.progress import no_bar
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
