"""Text files that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path


def write_text_whole(path: Path, text: str) -> None:
    """Write a text file beside its place and rename it, so that nobody ever sees half of it.

    Missing folders are made. On any failure the former content stays.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "results" / "numbers.json"
    >>> write_text_whole(file, "[1, 2]")
    >>> file.read_text(), [entry.name for entry in file.parent.iterdir()]
    ('[1, 2]', ['numbers.json'])
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.part")
    try:
        scratch.write_text(text, encoding="utf-8", newline="")
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
