"""Find the images of a study that may be shown: those below its own folder, and those in a folder the user names.

A study's folder says where its images lay and what they are called. Whoever sent the folder could name any image on the
reader's machine, which would then be embedded in a report that is passed on.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._files import open_regular
from ...errors import StudyDataError
from ..stored import StoredStudy

__all__ = ["Pictures", "pictures_of", "read_pixels"]

FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are decoded: not those for which Pillow starts another program (EPS)."""


@dataclass(frozen=True)
class Pictures:
    """The folder from which images of a study are shown; made by `pictures_of`.

    Attributes
    ----------
    folder : Path or None
        None where none may be shown.
    within : Path or None
        Folder that a file must lie below, with links followed; None if the user named `folder`: its links are trusted.
    """

    folder: Path | None
    within: Path | None = None

    def read(self, name: str, *, turned: bool = True) -> NDArray[np.uint8]:
        """Decode an image to RGB of shape (height, width, 3).

        Parameters
        ----------
        name : str
            Name of the file in the study.
        turned : bool
            See `read_pixels`.

        Raises
        ------
        StudyDataError
            If the image may not be shown or cannot be read; the message is the reason alone.
        """
        if self.folder is None:
            raise StudyDataError("no folder of images was named")
        given = Path(name)
        if given.is_absolute() or given.drive or ".." in given.parts:
            raise StudyDataError("its name leads out of the folder of images")
        path = self.folder / given
        if self.within is not None and not _is_below(path, self.within):
            raise StudyDataError("it is a link that leads out of the study's folder")
        return _decoded(path, turned)


def pictures_of(study: StoredStudy, images: Path | None = None) -> Pictures:
    """Return the folder from which images of a study may be shown: the user's, or one below the study's own.

    Parameters
    ----------
    study : StoredStudy
    images : Path, optional
        Folder that the user named; one that only the study's folder names is not passed here.
    """
    if images is not None:
        return Pictures(images)
    noted = study.environment.get("incidental")
    folder = noted.get("image_folder") if isinstance(noted, dict) else None
    if not isinstance(folder, str) or not isinstance(
        study.path, Path
    ):  # in an object store the path is no `Path`
        return Pictures(None)
    home = study.path.resolve()
    # By its name first: even looking for the file may contact another machine.
    place = Path(os.path.normpath(study.path.absolute() / folder))
    is_below = any(place.is_relative_to(top) for top in (home, study.path.absolute()))
    return Pictures(place, home) if is_below and _is_below(place, home) and place.is_dir() else Pictures(None)


def _is_below(path: Path, home: Path) -> bool:
    """Return whether a path, with links followed, lies below a folder."""
    try:
        return path.resolve().is_relative_to(home)
    except (OSError, RuntimeError, ValueError):  # a ring of links, or an impossible name
        return False


def read_pixels(path: Path, *, turned: bool = True) -> NDArray[np.uint8] | None:
    """Decode an image to RGB of shape (height, width, 3); None where it cannot be.

    Parameters
    ----------
    path : Path
    turned : bool, default True
        Whether to turn the image by the EXIF tag in its file: boxes lie on the image as the detector saw it
        (`turns_by_exif` of a study).
    """
    try:
        return _decoded(path, turned)
    except StudyDataError:
        return None


def _decoded(path: Path, turned: bool) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    Image.init()
    known: Any = [name for name in FORMATS if name in Image.OPEN]  # a build of Pillow may lack some
    try:
        with warnings.catch_warnings(), open_regular(path) as file:
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=known) as image:
                return np.asarray((ImageOps.exif_transpose(image) if turned else image).convert("RGB"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise StudyDataError(f"it has more than {limit} pixels, the most that are decoded") from error
    except FileNotFoundError as error:
        raise StudyDataError("there is no such file") from error
    except Exception as error:  # Pillow raises nearly any error for damaged files
        why = getattr(error, "strerror", None) or "it is damaged, or no image"
        raise StudyDataError(why) from error
