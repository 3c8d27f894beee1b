"""Reading images, and finding those that an annotation file names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, ImageNotFoundError

NAMED_AT_MOST = 3


def read_image(path: Path | str) -> NDArray[np.uint8]:
    """Decode an image as MMDetection does.

    Parameters
    ----------
    path : Path or str
        Any format that OpenCV reads.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        Pixels in BGR order, OpenCV's and MMDetection's convention.

    Raises
    ------
    ImageError
        If the file is not an image; `ImageNotFoundError` if it is not there.
    """
    import cv2

    path = Path(path)
    if not path.is_file():
        raise ImageNotFoundError(f"image {path}: no such file.")
    # imdecode on bytes, not imread: imread writes its own warnings and fails on some paths of Windows.
    pixels = (
        cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
    )
    if pixels is None:
        raise ImageError(
            f"image {path} cannot be decoded: it is damaged or not an image ({path.stat().st_size} bytes)."
        )
    return np.asarray(pixels, dtype=np.uint8)


def image_paths(folder: Path, file_names: Sequence[str]) -> list[Path]:
    """Return the files of an annotation file's images, checked to be there before any work starts.

    Raises
    ------
    ImageError
        If the folder or any of the images is missing; the first missing ones are named.
    """
    if not folder.is_dir():
        raise ImageError(f"image folder {folder}: no such folder.")
    paths = [folder / name for name in file_names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        # Most of them missing, the folder is the wrong one; a few, it is incomplete.
        remedy = (
            "is it the folder of another split?"
            if 2 * len(missing) > len(paths)
            else "complete the folder, or take them out of the annotation file."
        )
        raise ImageError(
            f"{len(missing)} of {len(paths)} images of the annotation file are not in {folder}, for instance "
            f"{', '.join(missing[:NAMED_AT_MOST])}: {remedy}"
        )
    return paths
