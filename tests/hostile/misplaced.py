"""What may lie where a file should, other than a damaged one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**24)


MISPLACED: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "an empty file": lambda path: path.touch(),
    "a folder": lambda path: path.mkdir(),
    "a FIFO": lambda path: os.mkfifo(path),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "16 MB of zeros": _sparse,
    "UTF-16": lambda path: path.write_text('{"a": 1}', encoding="utf-16"),
    "a web page": lambda path: path.write_text("<!DOCTYPE html><html><body>404</body></html>"),
    "brackets": lambda path: path.write_text("[" * 200_000),
    "a null byte": lambda path: path.write_bytes(b"\0"),
}
"""Puts something at a path where nothing is."""
