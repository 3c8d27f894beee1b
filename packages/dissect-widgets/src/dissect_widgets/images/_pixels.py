"""Images as the content of files that a page shows: each is encoded once."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["image_bytes"]

SMALL = 65_536
"""Pixels up to which an image is kept exact, as PNG: enlarged, the squares of JPEG would show."""


def image_bytes(pixels: NDArray[np.uint8], width: int = 0) -> tuple[bytes, str]:
    r"""Return an image as the content of a file, and its type.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
    width : int
        Most pixels across; 0 for all of them.

    Examples
    --------
    >>> content, kind = image_bytes(np.zeros((4, 4, 3), dtype=np.uint8))
    >>> content[:4], kind
    (b'\x89PNG', 'image/png')
    """
    image = pillow_image(pixels, width)
    kind, options = ("PNG", {}) if image.width * image.height <= SMALL else ("JPEG", {"quality": 88})
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue(), f"image/{kind.lower()}"


def pillow_image(pixels: NDArray[np.uint8], width: int = 0) -> Any:
    """Return an image of Pillow, at most so many pixels wide."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    if width and image.width > width:
        image = image.resize(
            (width, max(1, round(image.height * width / image.width))), Image.Resampling.BILINEAR
        )
    return image
