"""Batches of images, read ahead of the detector."""

import math
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..detectors import Detector, offered
from ..errors import BadImageError, DissectError
from ._options import OnBadImage

_OR_SKIP = '; `on_bad_image="skip"` (--on-bad-image skip) leaves such images out, and on record.'


@dataclass(frozen=True)
class Loaded:
    """A batch, or what kept an image from being one.

    Attributes
    ----------
    images : tuple of int
        Numbers of the images in the batch.
    batch : object
        What the detector takes; None if no image of it could be read.
    bad : tuple of (int, str)
        Images that could not be read, with the error.
    """

    images: tuple[int, ...]
    batch: Any
    bad: tuple[tuple[int, str], ...] = ()


def annotated_sizes(truth: Any, image_ids: Sequence[int]) -> list[tuple[float, float]] | None:
    """Return width and height of images as annotated; NaN for one without, None for a truth without sizes.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> truth = SimpleNamespace(image_ids=np.array([4, 9]), image_sizes=np.array([[6.0, 8.0], [2.0, 3.0]]))
    >>> annotated_sizes(truth, [9, 5])
    [(2.0, 3.0), (nan, nan)]
    """
    ids, sizes = getattr(truth, "image_ids", None), getattr(truth, "image_sizes", None)
    if ids is None or sizes is None:
        return None
    known = dict(zip(np.asarray(ids).tolist(), np.asarray(sizes).tolist(), strict=True))
    return [tuple(known.get(image_id, (math.nan, math.nan))) for image_id in image_ids]


@dataclass(frozen=True)
class Files:
    """Images of a study by their numbers, and what to do about one that is bad.

    Attributes
    ----------
    paths : sequence of Path
    on_bad : {"fail", "skip"}
    sizes : sequence of (float, float), optional
        Width and height of each image as it was annotated; NaN where unknown.
    """

    paths: Sequence[Path]
    on_bad: OnBadImage = "fail"
    sizes: Sequence[tuple[float, float]] | None = None

    def load(self, detector: Detector, images: Sequence[int]) -> Loaded:
        """Read one batch; an image that cannot be read is an error that names it, or left out and told.

        Raises
        ------
        BadImageError
            If an image is bad, and none may be.
        DissectError
            As the detector raises, where that names the image.
        """
        try:
            return Loaded(tuple(images), self._batch(detector, images))
        except MemoryError:
            raise
        except Exception as error:  # whatever a decoder raises for a damaged file
            named = [image for image in images if self.names(error, image)]
            if isinstance(error, DissectError) and (not named or (self.on_bad == "fail" and len(named) == 1)):
                raise
            together = error
        bad = tuple((i, fault) for i in images if (fault := self.fault(detector, i)) is not None)
        if not bad:
            raise together  # each can be read alone: the fault is not an image's
        if self.on_bad == "fail":
            raise BadImageError(self.told(*bad[0])) from together
        good = [image for image in images if image not in dict(bad)]
        return Loaded(tuple(good), self._batch(detector, good) if good else None, bad)

    def usable(self, detector: Detector, images: Sequence[int]) -> list[int]:
        """Return the images that the detector can be run on, if bad ones are skipped; else all of them.

        Raises
        ------
        BadImageError
            If all are bad.
        """
        if self.on_bad == "fail":
            return list(images)
        faults = {image: self.fault(detector, image, run=True) for image in images}
        good = [image for image, fault in faults.items() if fault is None]
        if not good:
            image, fault = next(iter(faults.items()))
            raise BadImageError(
                f"All {len(faults)} reference images of the study are bad. {self.told(image, str(fault))}"
            )
        return good

    @contextmanager
    def named(self, detector: Detector, images: Sequence[int]) -> Iterator[list[Path]]:
        """Yield image files to a block that runs the detector on all of them; an error then names the image to blame.

        Raises
        ------
        BadImageError
            If the block ends in an error because of an image.
        """
        try:
            yield [self.paths[i] for i in images]
        except (DissectError, MemoryError):
            raise
        except Exception as error:
            for image in images:
                fault = self.fault(detector, image, run=True)
                if fault is not None:
                    raise BadImageError(self.told(image, fault)) from error
            raise

    def fault(self, detector: Detector, image: int, *, run: bool = False) -> str | None:
        """Say what is wrong with an image by itself, with `run` also in the detector's pass; None if nothing is."""
        try:
            batch = self._batch(detector, [image])
            if run:
                detector.predict_batch(batch)
        except MemoryError:
            raise
        except Exception as error:
            if isinstance(error, DissectError) and not self.names(error, image):
                raise
            told = " ".join(str(error).split())
            return told if isinstance(error, DissectError) else f"{type(error).__name__}: {told}"
        return None

    def told(self, image: int, fault: str) -> str:
        """Return the message of an error about an image."""
        name = str(self.paths[image])
        where = "" if name in fault else f"The detector stops at the image {name}: "
        return f"{where}{fault.rstrip('.')}. Mend or replace it{_OR_SKIP}"

    def names(self, error: Exception, image: int) -> bool:
        """Return whether an error names an image."""
        return str(self.paths[image]) in str(error)

    def _batch(self, detector: Detector, images: Sequence[int]) -> Any:
        paths = [self.paths[i] for i in images]
        (batch,) = detector.prepare(paths, batch_size=len(paths))
        image_sizes = offered(detector, "image_sizes")
        if self.sizes is not None and image_sizes is not None:
            for image, read in zip(images, image_sizes(batch), strict=True):
                self._require_size(image, read)
        return batch

    def _require_size(self, image: int, read: tuple[int, int] | None) -> None:
        """Refuse an image of another size than the annotated one: its boxes would lie in another frame."""
        assert self.sizes is not None
        width, height = self.sizes[image]
        if read is None or math.isnan(width) or math.isnan(height) or read == (width, height):
            return
        turned = ", which are those of the image turned" if read == (height, width) else ""
        raise BadImageError(
            f"The image {self.paths[image]} is read as {read[0]} x {read[1]} pixels, but was annotated as "
            f"{width:g} x {height:g}{turned}: its true boxes would not lie where its detections do. Take the images "
            "that were annotated, or correct their `width` and `height` in the annotation file if only these are wrong"
            f"{_OR_SKIP}"
        )


def loaded_ahead(
    detector: Detector, files: Files, batches: Sequence[Sequence[int]], ahead: int = 2
) -> Generator[Loaded, None, None]:
    """Yield batches in order, some of them read in a thread while the detector is busy with the ones before.

    Decoding and resizing release Python's lock, so that a thread keeps up without copying batches between processes.
    """
    if ahead <= 0:
        for images in batches:
            yield files.load(detector, images)
        return
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(1, thread_name_prefix="dissect-load")
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        waiting: list[Future[Loaded]] = []
        for i in range(len(batches) + ahead):
            if i < len(batches):
                waiting.append(pool.submit(files.load, detector, batches[i]))
            if i >= ahead:
                yield waiting.pop(0).result()
