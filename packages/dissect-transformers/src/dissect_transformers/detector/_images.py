"""Reading images as Transformers does: turned as their files say, in RGB."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps

from dissect_core.storage import open_regular

from ..errors import PictureError, PictureNotFoundError, said

# EPS and PDF are programs, which Pillow has Ghostscript run; the others are read by Pillow itself.
_PROGRAMS = frozenset({"EPS", "PDF"})


def read_image(path: Path | str) -> Image.Image:
    """Decode an image to RGB, turned as its file says (the EXIF tag of cameras).

    Parameters
    ----------
    path : Path or str
        Any format of pixels that Pillow reads.

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    PictureError
        If the file is not an image; `PictureNotFoundError` if it is not there.

    Examples
    --------
    >>> read_image("no-such-image.png")
    Traceback (most recent call last):
    dissect_transformers.errors.PictureNotFoundError: image no-such-image.png: no such file.
    """
    try:
        with open_regular(path) as file, Image.open(file, formats=_formats()) as image:
            turned = ImageOps.exif_transpose(image)
            return turned.convert("RGB")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PictureNotFoundError(f"image {path}: no such file.") from error
    except IsADirectoryError as error:
        raise PictureError(f"image {path}: is a folder.") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever a decoder raises for a damaged file
        if Path(path).is_dir():
            raise PictureError(f"image {path}: is a folder.") from error
        if not Path(path).is_file():
            raise PictureError(f"image {path}: {said(error)}.") from error
        n_bytes = Path(path).stat().st_size
        raise PictureError(
            f"image {path} cannot be decoded: it is damaged or not an image of pixels ({n_bytes} bytes)."
        ) from error


def _formats() -> list[str]:
    Image.init()
    return [name for name in Image.ID if name not in _PROGRAMS]
