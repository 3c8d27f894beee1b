"""A study's detections beside its truth, ready to be measured."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...boxes import finite_rows, upright
from ...data import UNSCORED, Detections, GroundTruth, match_classes
from ...errors import StudyDataError
from ._protocols import StoredDetections, StoredStudy
from ._scoring import scoring_of

TRUTH = "truth.json"
IDLE_AT_MOST = 2000
"""Up to this many classes, all have rows in tables, even those without any object or detection."""
_PARTS = ("images", "annotations", "categories")


def truth_file(annotations: Path, truth: GroundTruth) -> bytes:
    """Return the truth's file for `files` of `dissect_core.engine.run`; not needed if `run` is given `truth` itself.

    Parameters
    ----------
    annotations : Path
        The file that `truth` was read from; it is not read again.
    truth : GroundTruth
        Truth of the study's images.
    """
    return json.dumps(truth.to_coco(), ensure_ascii=False).encode()


class ImageBoxes(NamedTuple):
    """Boxes of one image.

    Attributes
    ----------
    boxes : ndarray of float64, shape (N, 4)
        Corners ``x_min, y_min, x_max, y_max`` in pixels.
    labels : ndarray of int64, shape (N,)
        Index into the detector's class names; -1 for a true box of a category that it does not know.
    scores : ndarray of float64, shape (N,)
        1 for true boxes.
    """

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    def above(self, threshold: float) -> ImageBoxes:
        """Return the boxes with at least this score."""
        kept = self.scores >= threshold
        return ImageBoxes(self.boxes[kept], self.labels[kept], self.scores[kept])


class FlatDetections(NamedTuple):
    """Detections of a variant in M images: N of them, one image after the other.

    Attributes
    ----------
    ran : ndarray of int64, shape (M,)
        Numbers of the images that were run, ascending.
    counts : ndarray of int64, shape (M,)
        Detections in each.
    images : ndarray of int64, shape (N,)
        Number of each detection's image.
    boxes : ndarray of float64, shape (N, 4)
        Corners ``x_min, y_min, x_max, y_max`` in pixels.
    scores : ndarray of float64, shape (N,)
    labels : ndarray of int64, shape (N,)
        Index into `StudyDetections.class_names`.
    queries : ndarray of int64, shape (N,), or None
        Object query of each detection, where these are known.
    n_dropped : int
        Detections left out since they are not finite.
    n_negative : int
        Inverted boxes among the others: each becomes the point of its first corner, which matches nothing.
    n_unscored : int
        Detections left out since they are of classes that are not scored.
    """

    ran: NDArray[np.int64]
    counts: NDArray[np.int64]
    images: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    queries: NDArray[np.int64] | None
    n_dropped: int
    n_negative: int
    n_unscored: int = 0

    def split(self, *columns: NDArray[Any]) -> tuple[list[NDArray[Any]], ...]:
        """Return columns split by image."""
        ends = np.cumsum(self.counts)[:-1]
        return tuple(np.split(column, ends) for column in columns)

    def on_images(self) -> dict[int, ImageBoxes]:
        """Return the boxes of each image, by its number in the study."""
        parts = self.split(self.boxes, self.labels, self.scores)
        return dict(zip(self.ran.tolist(), map(ImageBoxes, *parts), strict=True))


class _Part(NamedTuple):
    """Detections of a variant in some of a study's images; a `StoredDetections`."""

    images: NDArray[np.int64]
    counts: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    queries: NDArray[np.int64] | None


class StudyDetections:
    """Detections of a study's variants, as `dissect_eval` takes them.

    Parameters
    ----------
    study : StoredStudy
    truth : GroundTruth, optional
        The truth kept with the study, if left out.
    common_classes, class_map
        Which classes are scored, see `dissect_eval.match_classes`; as the study was begun, or as it was measured
        before, if left out.
    images : collection of int, optional
        Ids of the images that `truth` and `of` are limited to; all that were run, if left out.

    Attributes
    ----------
    match : ClassMatch
        Which classes are scored, and which are left out.
    truth : GroundTruth
        Truth of the images that were run, or of `images`, and of the categories that are scored.
    class_names : tuple of str
        Name of each label: the detector's names, or the truth's if only some classes are scored or names are mapped.

    Raises
    ------
    StudyDataError
        If the study has no truth, or no image that was run, or was begun with other classes; or if `truth` is of other
        images.
    CategoryError
        If the detector's classes and the truth's categories do not fit together.
    """

    def __init__(
        self,
        study: StoredStudy,
        truth: GroundTruth | None = None,
        *,
        common_classes: bool = False,
        class_map: Mapping[str, str | None] | None = None,
        images: Collection[int] | None = None,
    ) -> None:
        self.study = study
        self.scoring = scoring_of(study, common_classes, class_map)
        whole = truth if truth is not None else kept_truth(study)
        bad = set(study.bad_images())
        self.n_bad_images = len(bad)
        self._ids = np.array([image.image_id for image in study.images], dtype=np.int64)
        finished, wanted = study.progress()
        self._seen = None if finished == wanted else study.found(study.variants[0]).images
        numbers = range(len(self._ids)) if self._seen is None else self._seen.tolist()
        ran = self._ids[[i for i in numbers if i not in bad]].tolist()
        if not ran:
            raise StudyDataError(
                f"None of the images of the study {study.path} could be read, or has been run. Run it on readable ones."
            )
        if images is not None and not set(images) <= set(ran):
            wrong = sorted(set(images) - set(ran))
            raise StudyDataError(f"`images` must be ids of images that were run, got {wrong[0]}.")
        if images is not None:
            ran = sorted(images)
        self._chosen = None if images is None else ran
        if truth is not None:
            _require_images(truth, study, set(ran))
        # Images that were not run, or could not be read, would count as images without a detection.
        ran_truth = whole.subset(ran) if len(ran) < whole.n_images else whole
        self.match = match_classes(ran_truth, study.class_names, **self.scoring)
        self.truth = self.match.truth
        self.class_names: tuple[str, ...] = tuple(study.class_names)
        self.categories = np.asarray(self.match.categories)
        """Category id of each label."""
        self._label: NDArray[np.int64] | None = None
        if self.scoring:
            kept = [int(category) for category in self.categories if category != UNSCORED]
            self.categories = np.array(list(dict.fromkeys(kept)), dtype=np.int64)
            places = {category: label for label, category in enumerate(self.categories.tolist())}
            self.class_names = tuple(self.truth.category_names[category] for category in places)
            self._label = np.array(
                [places.get(int(c), UNSCORED) for c in self.match.categories], dtype=np.int64
            )

    def leave_out_idle_classes(self) -> int:
        """Remove the categories with neither an object nor a detection of any variant from `truth`; return how many.

        This is done only where there are very many categories, since tables have a row for each variant, class and
        metric. All numbers of such categories are undefined, and they change no mean.
        """
        if len(self.truth.category_names) <= IDLE_AT_MOST:
            return 0
        labels = self.study.table(columns=["labels"]).column("labels").combine_chunks()
        known = np.unique(labels.flatten().to_numpy(zero_copy_only=False))
        detected = self.match.categories[known[(known >= 0) & (known < len(self.match.categories))]]
        used = {*self.truth.category_ids.tolist(), *detected.tolist()}
        before = len(self.truth.category_names)
        self.truth = self.truth.subset(
            categories=[category for category in self.truth.category_names if category in used]
        )
        return before - len(self.truth.category_names)

    @cached_property
    def image_sizes(self) -> NDArray[np.float64]:
        """Width and height in pixels of each of the study's images, shape (M, 2); NaN where the truth gives none."""
        sizes = np.full((len(self._ids), 2), np.nan)
        at = np.searchsorted(self.truth.image_ids, self._ids)
        known = np.isin(self._ids, self.truth.image_ids)
        sizes[known] = self.truth.image_sizes[at[known]]
        return sizes

    def stored(self, variant: str) -> StoredDetections:
        """Read a variant's detections on the images that were finished at first, even if a run goes on meanwhile."""
        found = self.study.found(variant)
        if self._seen is None or np.array_equal(found.images, self._seen):
            return found
        kept = np.isin(found.images, self._seen)
        rows = np.repeat(kept, found.counts)
        queries = None if found.queries is None else found.queries[rows]
        return _Part(
            found.images[kept],
            found.counts[kept],
            found.boxes[rows],
            found.scores[rows],
            found.labels[rows],
            queries,
        )

    def of(self, variant: str, stored: StoredDetections | None = None) -> tuple[Detections, int]:
        """Return a variant's detections, and how many were not finite and left out; give `stored` to read no file."""
        flat = self.flat(variant, stored)
        boxes = list(zip(*flat.split(flat.boxes, flat.scores, flat.labels), strict=True))
        ids = self._ids[flat.ran].tolist()
        found = Detections.from_arrays(boxes, ids, self.categories)
        if self._chosen is not None:
            found = found.subset(self._chosen)
        return replace(found, n_negative=flat.n_negative), flat.n_dropped

    def on_images(self, variant: str) -> dict[int, ImageBoxes]:
        """Return a variant's finite boxes of each image, by the image's number in the study."""
        return self.flat(variant).on_images()

    def flat(
        self, variant: str, stored: StoredDetections | None = None, *, every_class: bool = False
    ) -> FlatDetections:
        """Return all detections of a variant as columns, without those that are not finite; inverted boxes are points.

        Detections of classes that are not scored are left out, too, unless `every_class` is set: their label is -1.
        """
        found = self.stored(variant) if stored is None else stored
        labels, finite = self._labels_of(found), finite_rows(found.boxes, found.scores)
        good = finite if every_class else finite & (labels != UNSCORED)
        boxes, n_negative = upright(found.boxes[good])
        owner = np.repeat(np.arange(len(found.counts)), found.counts)[good]
        return FlatDetections(
            found.images,
            np.bincount(owner, minlength=len(found.counts)),
            found.images[owner],
            boxes,
            found.scores[good],
            labels[good],
            None if found.queries is None else found.queries[good],
            int((~finite).sum()),
            n_negative,
            int((finite & ~good).sum()),
        )

    def _labels_of(self, found: StoredDetections) -> NDArray[np.int64]:
        """Return labels as indices into `class_names`."""
        if self._label is None:
            return found.labels
        if len(found.labels) and not 0 <= found.labels.min() <= found.labels.max() < len(self._label):
            raise StudyDataError(
                f"The study {self.study.path} is damaged: it holds a label that is none of {len(self._label)} classes."
            )
        return self._label[found.labels]

    def truth_on(self, image: int) -> ImageBoxes:
        """Return the true boxes of an image, by its number in the study."""
        at = int(np.searchsorted(self.truth.image_ids, self._ids[image]))
        part = slice(*self.truth.image_splits[at : at + 2])
        boxes = self.truth.boxes[part]
        return ImageBoxes(boxes, self._truth_labels[part], np.ones(len(boxes)))

    @cached_property
    def _truth_labels(self) -> NDArray[np.int64]:
        """Label of each true box; -1 for a category that the detector does not know."""
        label_of = {category: label for label, category in enumerate(self.categories.tolist())}
        labels = [label_of.get(category, -1) for category in self.truth.category_ids.tolist()]
        return np.array(labels, dtype=np.int64)


def _require_images(truth: GroundTruth, study: StoredStudy, ran: Collection[int]) -> None:
    """Verify that a truth that is given is of the study's images: equal ids alone may belong to other images."""
    names = dict(zip(truth.image_ids.tolist(), truth.file_names, strict=True))
    images = [image for image in study.images if image.image_id in ran]
    unknown = [image for image in images if image.image_id not in names]
    other = [image for image in images if not _is_one_file(image.file_name, names.get(image.image_id, ""))]
    for wrong, what in ((unknown, "has no image of the id"), (other, "gives another image the id")):
        if wrong:
            called = names.get(wrong[0].image_id)
            raise StudyDataError(
                f"The truth that is given {what} {wrong[0].image_id}{f', {called}' if called else ''}, which is "
                f"{wrong[0].file_name} in the study {study.path} ({len(wrong)} of {len(images)} such images). Give one "
                "of the study's images, with the same ids (`truth`, --annotations)."
            )
    try:
        kept = kept_truth(study)
    except StudyDataError:  # no truth, or none that counts
        return
    pairs = zip(kept.image_ids.tolist(), kept.image_sizes.tolist(), strict=True)
    sizes = dict(zip(truth.image_ids.tolist(), truth.image_sizes.tolist(), strict=True))
    resized = [
        (one, size)
        for one, size in pairs
        if one in ran and np.isfinite([size, sizes[one]]).all() and size != sizes[one]
    ]
    if resized:
        one, size = resized[0]
        raise StudyDataError(
            f"The truth that is given says of image {one} ({names[one]}) that it has {sizes[one][0]:g} x "
            f"{sizes[one][1]:g} pixels, and the study {study.path} saw {size[0]:g} x {size[1]:g} ({len(resized)} of "
            f"{len(images)} such images): its boxes would not lie where the detections do. Give the truth of the "
            "images that were run (`truth`, --annotations)."
        )


def _is_one_file(name: str, other: str) -> bool:
    """Return whether two names may be one file's: one path ends with the other, or one is not known.

    >>> _is_one_file("val/1.png", "1.png"), _is_one_file("val/1.png", "train/1.png"), _is_one_file("1.png", "")
    (True, False, True)
    """
    parts, others = PurePosixPath(name).parts, PurePosixPath(other).parts
    common = min(len(parts), len(others))
    return not common or parts[-common:] == others[-common:]


def kept_truth(study: StoredStudy) -> GroundTruth:
    """Return the truth that was kept with a study.

    Raises
    ------
    StudyDataError
        If there is none, or it is not the one that the study was begun with.
    """
    path, content = study.path / TRUTH, study.read_file(TRUTH)
    if content is None:
        raise StudyDataError(
            f"The study {study.path} holds no truth: pass `truth`, to `run` or to `measure`."
        )
    frozen = study.environment.get("frozen")
    recorded = (
        frozen.get("truth") if isinstance(frozen, dict) else None
    )  # none in studies of the first format
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StudyDataError(
            f"{path} is damaged: it is no JSON ({error}). Restore it, or pass `truth`."
        ) from error
    _require_recorded(parsed, recorded, path)
    return GroundTruth.from_coco(parsed)


def _require_recorded(content: Any, recorded: Any, path: Path) -> None:
    """Verify that a truth is the recorded one, by the checksum that `dissect_core.engine.run` takes of it."""
    if not isinstance(recorded, dict):
        return
    parts = {name: content.get(name) for name in _PARTS} if isinstance(content, dict) else {}
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    if sha256(text.encode()).hexdigest() == recorded.get("sha256"):
        return
    counts = {"images": len(parts.get("images") or ()), "boxes": len(parts.get("annotations") or ())}
    told = [f"{recorded.get(name)} → {n} {name}" for name, n in counts.items() if recorded.get(name) != n]
    raise StudyDataError(
        f"{path} is another truth than the study was begun with ({', '.join(told) or 'other values'}). Restore it, or "
        "pass the other one as `truth` (`--annotations` of `deep-dissect report`)."
    )
