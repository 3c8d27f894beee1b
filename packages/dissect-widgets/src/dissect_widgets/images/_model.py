"""State of the image browser: which image of a study is shown, and how. No widgets in here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from traitlets import Int, Unicode, observe

from dissect_core.store import Study
from dissect_eval import match_image, pairwise_iou
from dissect_eval.errors import StudyDataError
from dissect_eval.study import (
    ImageBoxes,
    ImageHits,
    image_hits,
    lost_objects,
    missing_weights,
    pictures_of,
    side_by_side,
)

from ..base import OneOf, Selection, Share, StudyModel
from ..figure import plots
from ..front import Mark
from ._objects import IOU, ObjectChange, alarms_of, changes_of, marks_of
from ._pixels import image_bytes

ORDERS = {
    "lost": "objects lost",
    "gained": "objects found anew",
    "alarms": "new false alarms",
    "name": "file name",
}
CROPS = {"whole": "whole image", "boxes": "around the boxes"}
EVERY_CLASS = ""
GREY_AT_MOST = 4096.0
"""Largest size, in pixels, of the grey picture in place of an image that is not shown."""
MARGIN = 0.15
"""Added on each side of a crop, as a share of its size."""


class ListedImage(NamedTuple):
    """An image in the list: its number, name, and what changes in it."""

    image: int
    file_name: str
    lost: int
    gained: int
    alarms: int


class FoundNow(NamedTuple):
    """What the ablated model finds at a place: class, score, and the query that gave it, where that is known."""

    category: str
    score: float
    query: int | None


class MatchedBoxes(NamedTuple):
    """A true box with the detections matched to it, and their GIoU; None where there is none."""

    category: str
    baseline: str | None
    baseline_giou: float | None
    ablated: str | None
    ablated_giou: float | None


class ImagesModel(StudyModel):
    """Images of a study with what a variant changes in them: works without a notebook; `ImageBrowser` shows it.

    Parameters
    ----------
    source : Path, str or Study
        A study's folder, with truth, finished or not.
    images : Path or str, optional
        Folder of its images. Without it only images below the study's folder are shown.
    selection : Selection, optional
        What is chosen, shared with other panels; its own by default.

    Attributes
    ----------
    study : dissect_core.store.Study
    images : str
        Trait: the folder of its images, or empty for those below the study's folder. Names that lead out of that
        folder are not read.
    variant : str
        Trait: the ablated model beside the baseline.
    category : str
        Trait: the only class that counts, or empty for all.
    threshold : float
        Trait: least score of the detections shown, in [0, 1].
    order : {"lost", "gained", "alarms", "name"}
        Trait: what the list of images is sorted by.
    image : int or None
        Trait: number of the shown image in the study; None for the first of the list. It stays when the threshold
        changes, and is None again when variant, class or order do.
    query : int or None
        Trait: the chosen object query.
    crop : {"whole", "boxes"}
        Trait: the whole image, or what holds all boxes.
    opacity : float
        Trait: opacity of the outlines, in [0, 1].

    Raises
    ------
    StudyFolderError
        If the folder holds no study with truth and at least one image that was run.
    """

    images = Unicode()
    category = OneOf(lambda model: (EVERY_CLASS, *model.class_names))
    threshold = Share(0.3)
    order = OneOf(ORDERS, "lost")
    image = Int(None, allow_none=True)
    query = Int(None, allow_none=True)
    crop = OneOf(CROPS, "whole")
    opacity = Share(1.0)

    _last: tuple[tuple[str, str], NDArray[np.uint8]] | None = None
    _first: tuple[tuple[str, str, str], int] | None = None
    _listed: tuple[tuple[str, str, float, str], list[ListedImage]] | None = None

    def __init__(
        self,
        source: Path | str | Study,
        *,
        images: Path | str | None = None,
        selection: Selection | None = None,
    ) -> None:
        self._degenerate: dict[str, tuple[int, int]] = {}
        self._encoded: dict[tuple[str, int], tuple[bytes, str]] = {}
        self._queries: dict[str, Mapping[int, NDArray[np.int64]] | None] = {}
        super().__init__(source, selection=selection, shared=("variant", "category", "image", "query"))
        self._hits_of = lru_cache(maxsize=2)(self._read_hits)
        self.images = str(images or "")

    @observe("variant", "category", "order")
    def _begin_anew(self, _: Mapping[str, Any]) -> None:
        self.image = None

    def _prepare(self) -> None:
        self.class_names = self._detections.class_names
        self._unscored = self._detections.match.note()
        self._truth = {image: self._detections.truth_on(image) for image in self._boxes_of(self.baseline)}

    def listed(self) -> list[ListedImage]:
        """Return all images that were run, in the chosen order; only objects of the chosen class count, if any."""
        key = self.variant, self.category, self.threshold, self.order
        if self._listed is None or self._listed[0] != key:
            self._listed = key, self._sorted()
        return self._listed[1]

    def _sorted(self) -> list[ListedImage]:
        label = self.class_names.index(self.category) if self.category else None
        before, after = (self._hits_of(name) for name in (self.baseline, self.variant))
        # Object by object: one that is found anew does not make up for another that is lost.
        lost = lost_objects(before, after, self.threshold, label)
        gained = lost_objects(after, before, self.threshold, label)
        alarms = after.false_alarms(self.threshold, label) - before.false_alarms(self.threshold, label)
        names = [self.study.images[image].file_name for image in self._truth]
        keys: Mapping[str, NDArray[Any]] = {
            "lost": -lost,
            "gained": -gained,
            "alarms": -alarms,
            "name": np.argsort(np.argsort(np.array(names), kind="stable")),
        }
        order = np.argsort(keys[self.order], kind="stable")
        images = list(self._truth)
        return [
            ListedImage(images[i], names[i], int(lost[i]), int(gained[i]), int(alarms[i]))
            for i in order.tolist()
        ]

    def look_at(self, variant: str, category: str = EVERY_CLASS) -> None:
        """Show the first image of a variant, of one class or of all."""
        with self.lock:
            self.variant = variant
            self.category = category if category in self.class_names else EVERY_CLASS
            self.image = None

    def step(self, by: int) -> None:
        """Move by a number of images in the list, at most to its ends."""
        with self.lock:
            listed = self.listed()
            self.image = listed[min(max(0, self.place + by), len(listed) - 1)].image

    @property
    def place(self) -> int:
        """Return the place of the shown image in the list."""
        shown = self.image if self.image in self._truth else self._first_image()
        return next(i for i, row in enumerate(self.listed()) if row.image == shown)

    @property
    def shown(self) -> ListedImage:
        """Return the image that is shown."""
        return self.listed()[self.place]

    def _first_image(self) -> int:
        """Return the image to begin with; it is not another one when only the threshold changes."""
        key = self.variant, self.category, self.order
        if self._first is None or self._first[0] != key:
            self._first = key, self.listed()[0].image
        return self._first[1]

    def changes(self, image: int) -> list[ObjectChange]:
        """Return what becomes of each object of an image at the threshold, of the chosen class or all; lost first."""
        return changes_of(*self._sides(image), self.threshold, self._name, self._label)

    def marks(self, image: int) -> tuple[Mark, ...]:
        """Return the boxes to show over an image: objects by what becomes of them, and new false alarms."""
        truth, before, after = self._sides(image)
        alarms = alarms_of(truth, before, after, self.threshold, self._label)
        return tuple(marks_of(self.changes(image), alarms, after, self.size(image), self._name))

    def size(self, image: int) -> tuple[int, int]:
        """Return height and width of an image in pixels; of one that cannot be read, what holds all of its boxes."""
        pixels = self._pixels(image)
        if not isinstance(pixels, str):
            return int(pixels.shape[0]), int(pixels.shape[1])
        boxes = np.concatenate([one.boxes for one in self._sides(image)])
        reach = boxes[:, 2:].max(axis=0) if len(boxes) else np.array([64.0, 64.0])
        width, height = (int(min(max(float(end), 1.0), GREY_AT_MOST)) + 1 for end in reach)
        return height, width

    def pixels(self, image: int) -> NDArray[np.uint8]:
        """Return an image, shape (height, width, 3); grey if it cannot be read."""
        pixels = self._pixels(image)
        return np.full((*self.size(image), 3), 200, dtype=np.uint8) if isinstance(pixels, str) else pixels

    def picture(self, image: int) -> tuple[bytes, str]:
        """Return an image as the content of a file, and its type."""
        key = self.images, image
        if key not in self._encoded:
            self._encoded = {**dict(list(self._encoded.items())[-3:]), key: image_bytes(self.pixels(image))}
        return self._encoded[key]

    def query_of(self, variant: str, image: int, place: int) -> int | None:
        """Return the object query that gave a detection; None where the study does not know."""
        self._boxes_of(variant)
        queries = self._queries[variant]
        return None if queries is None else int(queries[image][place])

    def found_at(self, image: int, box: tuple[float, float, float, float]) -> FoundNow | None:
        """Return what the ablated model finds at a box; None if it finds nothing there.

        By place, and not by the query: in two-stage detectors (DINO, RT-DETR) query k is another proposal in each
        variant.
        """
        boxes = self._boxes_of(self.variant)[image]
        if not len(boxes.boxes):
            return None
        on = pairwise_iou([box], boxes.boxes)[0] >= IOU
        if not on.any():
            return None
        best = int(np.where(on, boxes.scores, -np.inf).argmax())
        query = self.query_of(self.variant, image, best)
        return FoundNow(self._name(int(boxes.labels[best])), float(boxes.scores[best]), query)

    @property
    def _label(self) -> int | None:
        return self.class_names.index(self.category) if self.category else None

    def _sides(self, image: int) -> tuple[ImageBoxes, ImageBoxes, ImageBoxes]:
        return self._truth[image], self._boxes_of(self.baseline)[image], self._boxes_of(self.variant)[image]

    def boxes(self, image: int) -> tuple[ImageBoxes, ImageBoxes, ImageBoxes]:
        """Return truth, baseline and ablated detections of an image at the threshold, of the chosen class or all."""
        parts = (
            self._truth[image],
            self._boxes_of(self.baseline)[image].above(self.threshold),
            self._boxes_of(self.variant)[image].above(self.threshold),
        )
        if not self.category:
            return parts
        label = self.class_names.index(self.category)
        kept = [ImageBoxes(*(column[one.labels == label] for column in one)) for one in parts]
        return kept[0], kept[1], kept[2]

    def pairs(self, image: int) -> list[MatchedBoxes]:
        """Return each true box with the detections that `dissect_eval.match_image` matches to it, of any class."""
        truth, *others = self.boxes(image)
        matched: list[dict[int, tuple[str, float]]] = []
        for found in others:
            rows, columns, giou = match_image(truth.boxes, found.boxes)
            texts = [f"{self._name(found.labels[c])} {found.scores[c]:.2f}" for c in columns]
            matched.append(dict(zip(rows.tolist(), zip(texts, giou.tolist(), strict=True), strict=True)))
        nothing = (None, None)
        return [
            MatchedBoxes(self._name(label), *matched[0].get(i, nothing), *matched[1].get(i, nothing))
            for i, label in enumerate(truth.labels.tolist())
        ]

    def figure(self) -> Any:
        """Draw truth, baseline and ablated detections side by side; on grey if the image cannot be read."""
        image = self.shown.image
        parts = self.boxes(image)
        pixels = self._pixels()
        if isinstance(pixels, str):
            reach = max((float(one.boxes[:, 2:].max()) for one in parts if len(one.boxes)), default=64.0)
            size = int(min(max(reach, 0.0), GREY_AT_MOST)) + 1
            pixels = np.full((size, size, 3), 200, dtype=np.uint8)
        with plots.themed("light"):
            return side_by_side(
                pixels,
                parts,
                self.class_names,
                crop=self._crop(parts, pixels.shape[:2]) if self.crop == "boxes" else None,
                opacity=self.opacity,
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """Return notes on the picture: missing weights, classes and boxes that are left out."""
        missing = missing_weights(self.study)
        said = [f"Warning: {missing}."] if missing else []
        if self._unscored:
            said.append(f"Note: {self._unscored}")
        for name in dict.fromkeys((self.baseline, self.variant)):
            self._boxes_of(name)
            n_dropped, n_negative = self._degenerate[name]
            if n_dropped:
                said.append(f"{name}: {n_dropped:,} detections with NaN or infinity are left out.")
            if n_negative:
                said.append(
                    f"{name}: {n_negative:,} detections with an inverted box (max < min) count as points: false alarms."
                )
        return tuple(said)

    @property
    def why_grey(self) -> str:
        """Return why boxes are drawn on grey and not on the image; empty if the image is shown."""
        pixels = self._pixels()
        return pixels if isinstance(pixels, str) else ""

    def _pixels(self, image: int | None = None) -> NDArray[np.uint8] | str:
        """Return an image, the shown one by default, or why it cannot be shown."""
        folder = Path(self.images).expanduser() if self.images else None
        name = self.shown.file_name if image is None else self.study.images[image].file_name
        key = self.images, name
        if self._last is None or self._last[0] != key:
            pictures = pictures_of(self.study, folder)
            try:
                self._last = key, pictures.read(name, turned=self.study.turns_by_exif)
            except StudyDataError as error:
                return str(error)
        return self._last[1]

    def _crop(
        self, parts: tuple[ImageBoxes, ...], shape: tuple[int, ...]
    ) -> tuple[float, float, float, float] | None:
        boxes = np.concatenate([one.boxes for one in parts])
        if not len(boxes):
            return None
        low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        margin = MARGIN * np.maximum(high - low, 1)
        (left, top), (right, bottom) = np.maximum(low - margin, 0), high + margin
        crop = (
            float(left),
            float(top),
            min(float(right), float(shape[1])),
            min(float(bottom), float(shape[0])),
        )
        return crop if crop[2] > crop[0] and crop[3] > crop[1] else None

    def _name(self, label: int) -> str:
        return self.class_names[label] if 0 <= label < len(self.class_names) else "other"

    def _read(self, variant: str) -> Mapping[int, ImageBoxes]:
        flat = self._detections.flat(variant)
        self._degenerate[variant] = flat.n_dropped, flat.n_negative
        self._queries[variant] = (
            None
            if flat.queries is None
            else dict(zip(flat.ran.tolist(), *flat.split(flat.queries), strict=True))
        )
        return flat.on_images()

    def _read_hits(self, variant: str) -> ImageHits:
        return image_hits(self._truth, self._boxes_of(variant))
