"""Scoring in a stream: batches come one by one, in several processes, and are scored once at the end."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from .._text import quoted
from ..data import Detections, GroundTruth, TruthLike, as_truth
from ..errors import DetectionError, SplitWarning
from ._summary import evaluate

__all__ = ["Accumulator"]

T = TypeVar("T")


class Accumulator:
    """Collects the detections of a validation loop, and scores them.

    In a loop of several processes each has its own; gather their `detections` and `merge` them in one. An image that
    comes again, as a distributed sampler repeats some to fill its last batch, counts once: the first that came.

    Parameters
    ----------
    truth : GroundTruth, path or mapping
        The split, or a COCO file or its content.
    category_ids_of_labels : sequence of int, optional
        Category id of label 0, 1, …, see `label_to_category`. By default labels are category ids.

    Attributes
    ----------
    truth : GroundTruth
    n_repeated : int
        Images that came again and were left out.

    Examples
    --------
    >>> from dissect_eval import Accumulator, GroundTruth
    >>> truth = GroundTruth.from_arrays([([[0, 0, 10, 10]], [1])] * 2, [7, 8], {1: "cat"})
    >>> accumulator = Accumulator(truth)
    >>> accumulator.update([7], [{"boxes": [[0, 0, 10, 10]], "scores": [0.9], "labels": [1]}])
    >>> accumulator.update([8, 7], [{"boxes": [], "scores": [], "labels": []}] * 2)
    >>> accumulator.n_repeated, round(accumulator.compute(chance_repeats=0).ap.AP, 3)
    (1, 0.505)
    """

    def __init__(self, truth: TruthLike, category_ids_of_labels: Sequence[int] | None = None) -> None:
        self.truth: GroundTruth = as_truth(truth)
        self.n_repeated = 0
        self._labels = category_ids_of_labels
        self._parts: list[Detections] = []
        self._seen: set[int] = set()

    def __repr__(self) -> str:
        n_boxes = sum(part.n_boxes for part in self._parts)
        return f"Accumulator({len(self._seen)} of {self.truth.n_images} images, {n_boxes} boxes)"

    def update(self, image_ids: Iterable[int] | Detections, outputs: Sequence[Any] | None = None) -> None:
        """Add a batch.

        Parameters
        ----------
        image_ids : iterable of int, or Detections
            Ids of the images, or detections of any kind, without `outputs`.
        outputs : sequence of dict or of (boxes, scores, labels)
            One per image: boxes of shape (n, 4) xyxy in pixels, scores and labels, also as tensors on any device.

        Raises
        ------
        DetectionError
            If lengths differ, a value is not finite, a label has no category, or an image or category is not in the
            truth.
        """
        self._add(image_ids if isinstance(image_ids, Detections) else self._of_batch(image_ids, outputs))

    def merge(self, *others: Accumulator | Detections | Iterable[Accumulator | Detections]) -> Accumulator:
        """Add what other processes have collected: their accumulators, or `detections` of these.

        Parameters
        ----------
        *others : Accumulator, Detections, or iterable of them

        Returns
        -------
        Accumulator
            Itself. Of an image that several have, the first that comes counts.
        """
        for other in others:
            if isinstance(other, Accumulator):
                self.n_repeated += other.n_repeated
                for part in list(other._parts):
                    self._add(part)
            elif isinstance(other, Detections):
                self._add(other)
            elif isinstance(other, Iterable) and not isinstance(other, (str, bytes, Mapping)):
                self.merge(*other)
            else:
                raise DetectionError(
                    f"`others` must be accumulators or Detections, got {type(other).__name__}."
                )
        return self

    @property
    def detections(self) -> Detections:
        """All that has been collected, over the images that came: arrays, which are quickly sent to another process."""
        self._parts = [Detections.concat(self._parts)] if len(self._parts) != 1 else self._parts
        return self._parts[0]

    def compute(
        self, function: Callable[..., T] | None = None, *, only_seen: bool = False, **settings: Any
    ) -> Any:
        """Score all that has been collected.

        Parameters
        ----------
        function : callable, optional
            Called with truth, detections and `settings`: `coco_ap`, `detection_metrics`, …; by default `evaluate`.
        only_seen : bool
            Whether to score the images that came alone. Otherwise the others count as without detections.
        **settings
            Of the function.

        Returns
        -------
        Evaluation, or what the function returns

        Warns
        -----
        SplitWarning
            If images of the truth have not come and `only_seen` is False.
        """
        found = self.detections
        truth = self.truth.subset(found.image_ids) if only_seen else self.truth
        missing = truth.n_images - found.n_images
        if missing:
            warnings.warn(
                f"{missing} of {truth.n_images} images have not come: they count as without detections. Merge what "
                "other processes have collected, or pass only_seen=True.",
                SplitWarning,
                stacklevel=2,
            )
        return (evaluate if function is None else function)(truth, found, **settings)

    def reset(self) -> None:
        """Forget all that has been collected."""
        self.n_repeated, self._parts, self._seen = 0, [], set()

    def _of_batch(self, image_ids: Iterable[Any], outputs: Sequence[Any] | None) -> Detections:
        if outputs is None or not isinstance(outputs, Sequence):
            raise DetectionError(
                f"`outputs` must be a sequence with one item per image, got {quoted(outputs)}."
            )
        items = [
            one if isinstance(one, Mapping) else dict(zip(("boxes", "scores", "labels"), one, strict=False))
            for one in outputs
        ]
        ids = [int(one) for one in image_ids]
        if len(ids) != len(items):
            raise DetectionError(
                f"`image_ids` and `outputs` must be of one length, got {len(ids)} and {len(items)}."
            )
        new = list({image: i for i, image in reversed(list(enumerate(ids)))}.values())  # the first of each
        self.n_repeated += len(ids) - len(new)
        return Detections.from_torchvision([items[i] for i in new], [ids[i] for i in new], self._labels)

    def _add(self, part: Detections) -> None:
        unknown = np.setdiff1d(part.image_ids, self.truth.image_ids)
        if len(unknown):
            raise DetectionError(
                f"`image_ids` must be images of the truth, got {', '.join(map(str, unknown[:8].tolist()))}. Is it the "
                "truth of this split?"
            )
        fresh = [image for image in part.image_ids.tolist() if image not in self._seen]
        self.n_repeated += part.n_images - len(fresh)
        self._parts.append(part if len(fresh) == part.n_images else part.subset(fresh))
        self._seen.update(fresh)
