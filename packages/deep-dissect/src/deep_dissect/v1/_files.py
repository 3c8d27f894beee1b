"""Open images as they are stored, with errors that name the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from ._mmdet import mmdet


@contextmanager
def opened_image(path: Path | str) -> Iterator[Image.Image]:
    """Open an image for the length of a ``with`` block; raise an `ImageError` if it cannot be read."""
    mmdet.require_pixels(path)
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError as error:
        raise mmdet.ImageNotFoundError(f"image {path}: no such file.") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise mmdet.ImageError(f"image {path} cannot be decoded: {error}") from error
