"""Batches of images, read ahead of the detector."""

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..detectors import Detector


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


def load(
    detector: Detector, paths: Sequence[Path], images: Sequence[int], on_bad_image: Literal["fail", "skip"]
) -> Loaded:
    """Read one batch; an image that cannot be read is an error, or left out and named."""
    try:
        return Loaded(tuple(images), _batch(detector, [paths[i] for i in images]))
    except Exception as error:
        if on_bad_image == "fail":
            raise
        together = error
    faults = {image: _fault(detector, paths[image]) for image in images}
    good = tuple(image for image, fault in faults.items() if fault is None)
    bad = tuple((image, fault) for image, fault in faults.items() if fault is not None)
    if not bad:
        raise together  # each can be read alone: the fault is not an image's
    return Loaded(good, _batch(detector, [paths[i] for i in good]) if good else None, bad)


def _fault(detector: Detector, path: Path) -> str | None:
    try:
        _batch(detector, [path])
    except Exception as error:  # whatever a decoder raises for a damaged file
        return " ".join(str(error).split())
    return None


def _batch(detector: Detector, paths: Sequence[Path]) -> Any:
    (batch,) = detector.prepare(list(paths), batch_size=len(paths))
    return batch


def loaded_ahead(
    detector: Detector,
    paths: Sequence[Path],
    batches: Sequence[Sequence[int]],
    on_bad_image: Literal["fail", "skip"] = "fail",
    ahead: int = 2,
) -> Generator[Loaded, None, None]:
    """Batches in order, some of them read in a thread while the detector is busy with the ones before.

    Decoding and resizing release Python's lock, so that a thread keeps up without copying batches between processes.
    """
    if ahead <= 0:
        for images in batches:
            yield load(detector, paths, images, on_bad_image)
        return
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(1, thread_name_prefix="dissect-load")
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        waiting: list[Future[Loaded]] = []
        for i in range(len(batches) + ahead):
            if i < len(batches):
                waiting.append(pool.submit(load, detector, paths, batches[i], on_bad_image))
            if i >= ahead:
                yield waiting.pop(0).result()
