"""Protocols that a stored study must follow to be measured, as `dissect_core.store.Study` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["MakeBar", "StoredDetections", "StoredImage", "StoredStudy", "no_bar"]


class StoredImage(Protocol):
    """An image as the annotation file names and numbers it."""

    @property
    def file_name(self) -> str:
        """Name of its file."""
        ...

    @property
    def image_id(self) -> int:
        """Its id in the truth."""
        ...


class StoredDetections(Protocol):
    """Detections of one variant in M images, one image after the other."""

    @property
    def images(self) -> NDArray[np.int64]:
        """Numbers of the images that were run, ascending, shape (M,)."""
        ...

    @property
    def counts(self) -> NDArray[np.int64]:
        """Detections in each, shape (M,)."""
        ...

    @property
    def boxes(self) -> NDArray[np.float64]:
        """Corners ``x_min, y_min, x_max, y_max`` in pixels, shape (N, 4)."""
        ...

    @property
    def scores(self) -> NDArray[np.float64]:
        """Scores, shape (N,)."""
        ...

    @property
    def labels(self) -> NDArray[np.int64]:
        """Index into the detector's class names, shape (N,)."""
        ...

    @property
    def queries(self) -> NDArray[np.int64] | None:
        """Object query that gave each, shape (N,); None where it is not known."""
        ...


class StoredStudy(Protocol):
    """A study's folder, with what measuring needs."""

    @property
    def path(self) -> Path:
        """The folder."""
        ...

    @property
    def spec(self) -> Any:
        """The spec, with a `name`."""
        ...

    @property
    def variants(self) -> tuple[str, ...]:
        """Ids of all variants, the baseline first."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the detector's classes, by label."""
        ...

    @property
    def images(self) -> Sequence[StoredImage]:
        """The images, by number."""
        ...

    @property
    def plan(self) -> Any:
        """An Arrow table with a row for each variant: what it removes."""
        ...

    @property
    def effects(self) -> Any:
        """An Arrow table of what variants change in a model, or None."""
        ...

    @property
    def environment(self) -> Mapping[str, Any]:
        """Versions, settings and fingerprints that the study was run with."""
        ...

    @property
    def image_folder(self) -> Path | None:
        """Where the images lie, as far as that is known."""
        ...

    @property
    def scoring(self) -> Mapping[str, Any]:
        """The `common_classes` and `class_map` that the study was begun with; see `dissect_eval.match_classes`."""
        ...

    @property
    def turns_by_exif(self) -> bool:
        """True if the detector saw images turned by the EXIF tag in their files."""
        ...

    @property
    def chooses_queries(self) -> bool | None:
        """True if the detector chose its object queries from each image; None where that is not known."""
        ...

    def read_file(self, name: str) -> bytes | None:
        """Return the content of a file that is kept with the study, as it was written; None if there is none."""
        ...

    def progress(self) -> tuple[int, int]:
        """Return how many batches are finished, and how many there are."""
        ...

    def bad_images(self) -> list[int]:
        """Return the numbers of skipped images: they cannot be read, have another size, or stop the detector."""
        ...

    def found(self, variant: str) -> StoredDetections:
        """Return the detections of one variant."""
        ...

    def table(self, variants: Sequence[str] | None = None, columns: Sequence[str] | None = None) -> Any:
        """Return an Arrow table with a row for each variant and image."""
        ...


MakeBar: TypeAlias = Callable[[int, str, str], AbstractContextManager[Any]]
"""Makes a progress bar from total, unit and description: a context manager whose target has `update(n)`."""


class _NoBar:
    def update(self, n: float = 1) -> object:
        """Show nothing."""


def no_bar(_total: int, _unit: str, _description: str) -> AbstractContextManager[_NoBar]:
    """Return a progress bar that shows nothing."""
    return nullcontext(_NoBar())
