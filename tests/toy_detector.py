"""A small detector in NumPy: it finds red, green and blue shapes on grey, and has parts that can be removed.

Each pixel, smoothed, gets six features: how much redder, greener or bluer it is than the mean of the other two
colours, and red over green, green over blue, blue over red. A linear classifier makes class scores of these, and
connected pixels of one class make a box. Each colour has two features, so that without one of them it is still
found, less surely; without both it is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dissect_core import Anatomy, Block, Component, edit_arrays
from dissect_core.anatomy import channel_group
from dissect_core.detectors import BaseDetector, ImageDetections
from dissect_core.edits import AblationReport
from dissect_core.plan import Variant

COLOURS = {"red": (0.85, 0.2, 0.2), "green": (0.2, 0.8, 0.25), "blue": (0.2, 0.3, 0.85)}
HEIGHT, WIDTH = 64, 96


def weights() -> dict[str, NDArray[np.float64]]:
    """What the detector computes with: worked out on paper, not trained."""
    eye = np.eye(3)
    purer = 1.5 * eye - 0.5  # each colour against the mean of the others
    over = eye - np.roll(eye, 1, axis=1)  # red over green, green over blue, blue over red
    classes = np.hstack([9 * eye, 6 * eye])
    return {
        "smooth.weight": np.full((3, 3), 1 / 9),
        "features.weight": np.vstack([purer, over]),
        "features.bias": np.full(6, -0.1),
        "classifier.weight": np.vstack([classes, np.zeros(6)]),
        "classifier.bias": np.array([0.0, 0.0, 0.0, 2.0]),  # the last class is the background
    }


class ToyDetector(BaseDetector):
    """Satisfies `dissect_core.detectors.Detector` by its base class; a batch is a list of images."""

    adapter = "toy"
    class_names: tuple[str, ...] = tuple(COLOURS)

    def __init__(self, min_area: int = 20) -> None:
        self.arrays: dict[str, Any] = dict(weights())
        self.min_area = min_area

    @property
    def anatomy(self) -> Anatomy:
        shapes = {name: array.shape for name, array in weights().items()}
        roles = {"features": "backbone", "classifier": "head"}
        return Anatomy(
            components=tuple(
                Component(name, shape, "float64", role=roles.get(name.partition(".")[0]))
                for name, shape in shapes.items()
            ),
            blocks=(Block("features", "conv", ("backbone",)), Block("classifier", "conv", ("head",))),
            groups=(
                channel_group("features", [(n, shapes[n]) for n in ("features.weight", "features.bias")]),
            ),
        )

    def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Any]:
        for start in range(0, len(images), batch_size):
            yield [read_ppm(path) for path in images[start : start + batch_size]]

    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        return [self.detect(image) for image in batch]

    def write_picture(self, pixels: NDArray[np.uint8], path: Path) -> Path:
        path = path.with_name(f"{path.name}.ppm")
        write_ppm(path, pixels)
        return path

    @contextmanager
    def apply_variant(self, variant: Variant, /, *, reference: Any = None) -> Iterator[AblationReport]:
        arrays, report = edit_arrays(self.arrays, variant.as_edits(), seed=variant.seed, variant=variant.id)
        before, self.arrays = self.arrays, arrays
        try:
            yield report
        finally:
            self.arrays = before

    def probabilities(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Class probabilities of each pixel, shape (height, width, 4)."""
        w: Mapping[str, NDArray[np.float64]] = self.arrays
        smooth = ndimage.correlate(image / 255.0, w["smooth.weight"][:, :, None], mode="nearest")
        features = np.maximum(smooth @ w["features.weight"].T + w["features.bias"], 0)
        scores = features @ w["classifier.weight"].T + w["classifier.bias"]
        likely = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares: NDArray[np.float64] = likely / likely.sum(axis=-1, keepdims=True)
        return shares

    def detect(self, image: NDArray[np.uint8]) -> ImageDetections:
        shares = self.probabilities(image)
        winner = shares.argmax(axis=-1)
        found: list[tuple[float, int, list[int]]] = []
        for label in range(len(self.class_names)):
            regions, n = ndimage.label(winner == label)
            areas = np.bincount(regions.ravel(), minlength=n + 1)[1:]
            for i, (rows, columns) in enumerate(ndimage.find_objects(regions)):
                if areas[i] >= self.min_area:
                    score = float(shares[..., label][regions == i + 1].mean())
                    found.append((score, label, [columns.start, rows.start, columns.stop, rows.stop]))
        found.sort(key=lambda each: -each[0])
        return ImageDetections(
            np.array([box for _, _, box in found], dtype=np.float64).reshape(-1, 4),
            np.array([score for score, _, _ in found], dtype=np.float64),
            np.array([label for _, label, _ in found], dtype=np.int64),
        )


def open_toy(*, min_area: int = 20) -> ToyDetector:
    """What an entry point of the group ``dissect.detectors`` names."""
    return ToyDetector(min_area)


@dataclass(frozen=True)
class Scene:
    """An image on disk and what is on it: boxes in xyxy, pixels, and labels."""

    path: Path
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]


class QueryDetector(ToyDetector):
    """Tells a query with each detection: the one of three by two cells in which its centre lies."""

    chooses_queries = False

    def detect(self, image: NDArray[np.uint8]) -> ImageDetections:
        found = super().detect(image)
        across, down = ((found.boxes[:, :2] + found.boxes[:, 2:]) / 2 // 32).astype(np.int64).T
        return found._replace(queries=across.clip(0, 2) + 3 * down.clip(0, 1))


def write_scenes(folder: Path, n: int, seed: int = 0) -> list[Scene]:
    """Draw scenes of one to six discs and rectangles, apart from each other, on noisy grey."""
    return [_write_scene(folder / f"{i:03}.ppm", np.random.default_rng([seed, i])) for i in range(n)]


def _write_scene(path: Path, rng: np.random.Generator) -> Scene:
    image = np.full((HEIGHT, WIDTH, 3), rng.uniform(0.3, 0.7))
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    boxes, labels = [], []
    for cell in rng.permutation(6)[: rng.integers(1, 7)]:  # three by two cells of 32 pixels
        width, height = rng.integers(12, 27, 2)
        left = int(cell % 3 * 32 + rng.integers(2, 31 - width))
        top = int(cell // 3 * 32 + rng.integers(2, 31 - height))
        across, down = (x - left) / width * 2 - 1, (y - top) / height * 2 - 1
        disc = across**2 + down**2 < 1
        inside = disc if rng.random() < 0.5 else np.maximum(abs(across), abs(down)) < 1
        label = int(rng.integers(len(COLOURS)))
        image[inside] = np.array(list(COLOURS.values())[label]) * rng.uniform(0.85, 1.1)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        labels.append(label)
    image += rng.normal(0, 0.03, image.shape)
    write_ppm(path, np.clip(np.rint(image * 255), 0, 255).astype(np.uint8))
    return Scene(path, np.array(boxes, dtype=np.float64), np.array(labels, dtype=np.int64))


def write_ppm(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an image, shape (height, width, 3), in the simplest format there is."""
    path.write_bytes(b"P6 %d %d 255\n" % image.shape[1::-1] + image.tobytes())


def read_ppm(path: Path | str) -> NDArray[np.uint8]:
    """Read what `write_ppm` wrote."""
    header, _, pixels = Path(path).read_bytes().partition(b"\n")
    _, width, height, _ = header.split()
    return np.frombuffer(pixels, dtype=np.uint8).reshape(int(height), int(width), 3)
