"""Toy detectors with one fault each in what they say, read and detect: what the conformance suite must find."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dissect_core import Anatomy
from dissect_core.detectors import ImageDetections
from dissect_core.plan import Variant
from toy_detector import ToyDetector, read_ppm

FAULTS: dict[str, list[type[ToyDetector]]] = {}
"""Faulty detectors by the name of the check that must find them."""


def fault(name: str) -> Any:
    def add(kind: type[ToyDetector]) -> type[ToyDetector]:
        FAULTS.setdefault(name, []).append(kind)
        return kind

    return add


class Changed(ToyDetector):
    """Changes what the toy gives, image by image."""

    def change(self, found: ImageDetections) -> Any:
        return found

    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        return [self.change(each) for each in super().predict_batch(batch)]


@fault("members")
class NoPrepare(ToyDetector):
    prepare = None  # type: ignore[assignment]


@fault("members")
class NoReference(ToyDetector):
    def ablated(self, variant: Variant) -> Any:  # type: ignore[override]
        return super().ablated(variant)


@fault("class names")
class SameNames(ToyDetector):
    class_names = ("red", "green", "red")


@fault("class names")
class NamesInAList(ToyDetector):
    def __init__(self) -> None:
        super().__init__()
        self.class_names = list(ToyDetector.class_names)  # type: ignore[assignment]


@fault("anatomy")
class ComponentTwice(ToyDetector):
    @property
    def anatomy(self) -> Anatomy:
        whole = super().anatomy
        return replace(whole, components=(*whole.components, whole.components[0]))


@fault("anatomy")
class NoAnatomy(ToyDetector):
    anatomy = None  # type: ignore[assignment]


@fault("predictions")
class OneForTheBatch(ToyDetector):
    def predict_batch(self, batch: Any) -> Any:
        return super().predict_batch(batch)[0]


@fault("predictions")
class PlainTuples(ToyDetector):
    def predict_batch(self, batch: Any) -> Any:
        return [tuple(found) for found in super().predict_batch(batch)]


@fault("arrays")
class SinglePrecision(Changed):
    def change(self, found: ImageDetections) -> Any:
        return found._replace(scores=found.scores.astype(np.float32))


@fault("arrays")
class FlatBoxes(Changed):
    def change(self, found: ImageDetections) -> Any:
        return found._replace(boxes=found.boxes.ravel())


@fault("finite")
class NotANumber(Changed):
    def change(self, found: ImageDetections) -> Any:
        found.scores[-1:] = np.nan
        return found


@fault("scores")
class Percent(Changed):
    def change(self, found: ImageDetections) -> Any:
        return found._replace(scores=found.scores * 100)


@fault("boxes")
class WidthAndHeight(Changed):
    def change(self, found: ImageDetections) -> Any:
        return found._replace(boxes=np.hstack([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]]))


@fault("labels")
class LabelsFromOne(Changed):
    def change(self, found: ImageDetections) -> Any:
        return found._replace(labels=found.labels + 1)


@fault("arrays")
class QueriesOfAnotherNumber(Changed):
    def change(self, found: ImageDetections) -> Any:
        return found._replace(queries=np.arange(len(found.labels) + 1))


@fault("predictions")
class QueriesInAList(Changed):
    def change(self, found: ImageDetections) -> Any:
        return found._replace(queries=[0] * len(found.labels))  # type: ignore[arg-type]


@fault("repeatable")
class Random(Changed):
    def change(self, found: ImageDetections) -> Any:
        return found._replace(scores=found.scores - np.random.default_rng().uniform(0, 1e-9))


@fault("reusable batches")
class Consumed(ToyDetector):
    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        found = super().predict_batch(batch)
        batch[:] = [image // 2 for image in batch]
        return found


@fault("images told apart")
class Blind(Changed):
    def change(self, found: ImageDetections) -> Any:
        return ImageDetections(np.array([[0.0, 0, 9, 9]]), np.array([0.5]), np.array([0]))


@fault("order")
class LastBatchDropped(ToyDetector):
    def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Any]:
        for batch in super().prepare(images, batch_size):
            if len(batch) == min(batch_size, 2):
                yield batch


@fault("order")
class Sorted(ToyDetector):
    def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Any]:
        yield from super().prepare(sorted(images, key=str), batch_size)


@fault("order")
class PathsOnly(ToyDetector):
    def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Any]:
        yield from super().prepare([image.resolve() for image in images], batch_size)  # type: ignore[union-attr]


@fault("lazy reading")
class Eager(ToyDetector):
    def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Any]:
        return iter(list(super().prepare(images, batch_size)))


@fault("missing image")
class NoSuchThing(ToyDetector):
    def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Any]:
        for start in range(0, len(images), batch_size):
            if not all(Path(path).is_file() for path in images[start : start + batch_size]):
                raise ValueError("cannot read")
            yield [read_ppm(path) for path in images[start : start + batch_size]]


@fault("missing image")
class GreyForMissing(ToyDetector):
    def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Any]:
        grey = np.full((8, 8, 3), 128, dtype=np.uint8)
        for start in range(0, len(images), batch_size):
            part = images[start : start + batch_size]
            yield [read_ppm(path) if Path(path).is_file() else grey for path in part]


@fault("batches as alone")
class BatchStatistics(ToyDetector):
    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        found = super().predict_batch(batch)
        return [f._replace(scores=f.scores * (1 - 0.05 * (len(batch) - 1))) for f in found]


@fault("own memory")
class SharedMemory(ToyDetector):
    def __init__(self) -> None:
        super().__init__()
        self.known: dict[bytes, ImageDetections] = {}

    def detect(self, image: Any) -> ImageDetections:
        weights = b"".join(array.tobytes() for array in self.arrays.values())
        return self.known.setdefault(image.tobytes() + weights, super().detect(image))


@fault("second thread")
class OneThread(ToyDetector):
    def __init__(self) -> None:
        super().__init__()
        self.home = threading.get_ident()

    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        if threading.get_ident() != self.home:
            raise RuntimeError("made in another thread")
        return super().predict_batch(batch)
