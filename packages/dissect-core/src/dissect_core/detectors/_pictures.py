"""Images in memory as files: arrays and Pillow images are written as PNG, which every detector reads without loss."""

import struct
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageTypeError
from ..text import quoted

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Picture", "is_one_picture", "pixels_of", "write_png"]

Picture: TypeAlias = "Path | str | NDArray[np.uint8] | Image"
"""What a detector predicts on: a file, RGB pixels of shape (height, width, 3), or a Pillow image."""

_SAME_IN_RGB = ("RGB", "L", "1", "P")
"""Modes of Pillow that RGB can hold without loss, as long as nothing in them is transparent."""
_EXIF_ORIENTATION, _UPRIGHT = 0x0112, 1


def is_one_picture(images: object) -> bool:
    """Return whether an argument is a single image; else it is a sequence of them.

    Examples
    --------
    >>> is_one_picture("a.png"), is_one_picture(["a.png"]), is_one_picture(np.zeros((2, 8, 8, 3), dtype=np.uint8))
    (True, False, False)
    """
    if isinstance(images, np.ndarray):
        return images.ndim != 4
    return isinstance(images, (str, Path)) or _is_pillow(images)


def pixels_of(image: object, name: str) -> NDArray[np.uint8]:
    """Return the pixels of an image in memory.

    Parameters
    ----------
    image : ndarray or PIL.Image.Image
    name : str
        What messages call it: ``"images[3]"``.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    ImageTypeError
        If it is something else, holds other numbers, is transparent, or waits to be turned as its EXIF tag says: with
        what to do instead.

    Examples
    --------
    >>> pixels_of(np.zeros((4, 6, 3)), "images[0]")
    Traceback (most recent call last):
    dissect_core.errors.ImageTypeError: images[0] must be an array of uint8, got float64. From values in [0, 1] make ...
    """
    if _is_pillow(image):
        return _pixels_of_pillow(image, name)
    if not isinstance(image, np.ndarray):
        raise ImageTypeError(
            f"{name} must be a path, an array of uint8 of shape (height, width, 3) in RGB, or a Pillow image, got "
            f"{type(image).__module__}.{type(image).__qualname__}."
        )
    if image.dtype != np.uint8:
        remedy = (
            "From values in [0, 1] make it by `(image * 255).round().astype(np.uint8)`, from 0 to 255 by "
            "`image.round().astype(np.uint8)`."
            if image.dtype.kind == "f"
            else "Make it by `image.astype(np.uint8)` if its values are 0 to 255."
        )
        raise ImageTypeError(f"{name} must be an array of uint8, got {image.dtype}. {remedy}")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ImageTypeError(
            f"{name} must be of shape (height, width, 3) in RGB, got {image.shape}. {_remedy_of(image.shape)}"
        )
    return image


def _remedy_of(shape: tuple[int, ...]) -> str:
    """Say how to mend an array of another shape."""
    if len(shape) == 2:
        return "For grey pixels write `np.stack([image] * 3, axis=-1)`."
    if len(shape) == 3 and shape[2] == 4:
        return "Leave the alpha channel out: `image[..., :3]`."
    if len(shape) == 3 and shape[2] == 1:
        return "For grey pixels write `np.repeat(image, 3, axis=-1)`."
    if len(shape) == 3 and shape[0] == 3:
        return "Put the channels last: `image.transpose(1, 2, 0)`."
    return "Several images are given as a list."


def _is_pillow(image: object) -> bool:
    pillow: Any = sys.modules.get("PIL.Image")  # who made such an image has imported it
    return pillow is not None and isinstance(image, pillow.Image)


def _pixels_of_pillow(image: Any, name: str) -> NDArray[np.uint8]:
    try:
        image.load()  # Pillow decodes a file when its pixels are asked for
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageTypeError(f"{name} cannot be decoded: {error}.") from error
    turned = image.getexif().get(_EXIF_ORIENTATION, _UPRIGHT)
    if turned != _UPRIGHT:
        raise ImageTypeError(
            f"{name} is to be turned or mirrored as its EXIF orientation, {turned}, says, so that boxes would lie in "
            "another frame than its pixels. Give `PIL.ImageOps.exif_transpose(image)`, or the path of its file."
        )
    if image.mode not in _SAME_IN_RGB or "transparency" in image.info:
        what = "transparent" if "transparency" in image.info else f"of mode {quoted(image.mode)}"
        raise ImageTypeError(
            f"{name} is a Pillow image that is {what}, which RGB cannot hold without loss. Say how, for instance by "
            "`image.convert('RGB')`, which leaves transparency out."
        )
    return np.asarray(image.convert("RGB"))


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write RGB pixels as a PNG.

    It is written by hand because this package needs no imaging library, and PNG without filters is no more than this.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> write_png(path, np.full((2, 3, 3), 127, dtype=np.uint8))
    >>> path.read_bytes()[1:4], path.stat().st_size < 100
    (b'PNG', True)
    """
    height, width, _ = pixels.shape
    rows = np.zeros(
        (height, 1 + 3 * width), dtype=np.uint8
    )  # each begins with the number of its filter, 0: none
    rows[:, 1:] = pixels.reshape(height, -1)
    depth, colour = 8, 2
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )
    )
