"""The demo's ablation study: a few targets at several doses, each on a live detector that is restored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dissect_core import Mask, head_masks, row_mask, sample_units, unknown_component, variant_rng
from dissect_eval import Detections, GroundTruth, chance_level, coco_ap, detection_metrics, matched_metrics

from ..detector._detector import Batch, ImageDetections, MMDetDetector

DOSES = (0.25, 0.5, 0.75, 1.0)
SCORE_THRESHOLD = 0.3
QUERY_EMBEDDING = "query_embedding.weight"

Unit = tuple[str, int]
"""A block or component, and the number of a head or row in it."""


@dataclass(frozen=True)
class Target:
    """What part of a detector a sweep removes.

    Attributes
    ----------
    name : str
        For people.
    unit : {"query", "head"}
        Rows of the query embedding, or heads of attention blocks.
    pattern : str
        Glob over module paths of attention blocks, or the name of the query embedding.
    """

    name: str
    unit: str
    pattern: str


@dataclass(frozen=True)
class Measurement:
    """What a detector, whole or ablated, is worth on the demo images.

    Attributes
    ----------
    ap, ap50 : float
        COCO AP over IoU 0.50 to 0.95, and at 0.50; in [0, 1].
    f1 : float
        Micro F1 of `detection` mode: unmatched detections and misses count.
    mean_giou : float
        Mean GIoU of `matched` mode, Deep Dissect 1.0's; in [-1, 1].
    matched_f1 : float
        Weighted F1 of `matched` mode.
    chance_giou : float
        Mean GIoU of as many random boxes per image: what `mean_giou` must be held against.
    """

    ap: float
    ap50: float
    f1: float
    mean_giou: float
    matched_f1: float
    chance_giou: float


@dataclass(frozen=True)
class Outcome:
    """One variant and its measurement.

    Attributes
    ----------
    variant : str
        Stable id.
    target : str
        Name of the target; ``"baseline"`` for the whole detector.
    dose : float
        Share of the target's units removed, in [0, 1].
    repeat : int
        Which of the random draws at this dose.
    n_units : int
        Units removed.
    n_changed : int
        Weights that became other values.
    measurement : Measurement
    same_detections : bool
        Whether its detections are those of the baseline on all images: then it says nothing about robustness.
    """

    variant: str
    target: str
    dose: float
    repeat: int
    n_units: int
    n_changed: int
    measurement: Measurement
    same_detections: bool = False

    @property
    def is_no_op(self) -> bool:
        """Whether it is a variant that changed nothing."""
        return self.dose > 0 and self.same_detections


def demo_targets() -> tuple[Target, ...]:
    """Query embeddings, and the heads of three kinds of attention.

    Examples
    --------
    >>> [target.name for target in demo_targets()]
    ['query embeddings', 'encoder self-attention', 'decoder self-attention', 'decoder cross-attention']
    """
    return (
        Target("query embeddings", "query", QUERY_EMBEDDING),
        Target("encoder self-attention", "head", "encoder.layers.*.self_attn*"),
        Target("decoder self-attention", "head", "decoder.layers.*.self_attn*"),
        Target("decoder cross-attention", "head", "decoder.layers.*.cross_attn*"),
    )


def units_of(detector: MMDetDetector, target: Target) -> list[Unit]:
    """Every unit of a target, over all its blocks, in a fixed order."""
    if target.unit == "query":
        shapes = {component.name: component.shape for component in detector.components}
        if target.pattern not in shapes:
            raise unknown_component(target.pattern, shapes)
        return [(target.pattern, row) for row in range(shapes[target.pattern][0])]
    layouts = detector.attention
    blocks = [block for block in layouts if fnmatchcase(block, target.pattern)]
    if not blocks:
        raise unknown_component(target.pattern, layouts, what="attention block")
    return [(block, head) for block in blocks for head in range(layouts[block].n_heads)]


def masks_of(detector: MMDetDetector, target: Target, units: Iterable[Unit]) -> dict[str, Mask]:
    """Masks that remove exactly these units."""
    chosen: dict[str, list[int]] = {}
    for place, number in units:
        chosen.setdefault(place, []).append(number)
    if target.unit == "query":
        shapes = {component.name: component.shape for component in detector.components}
        return {name: row_mask(shapes[name], rows) for name, rows in chosen.items()}
    layouts = detector.attention
    masks: dict[str, Mask] = {}
    for block, heads in chosen.items():
        masks.update(head_masks(layouts[block], heads, part="output"))
    return masks


def n_variants(targets: Sequence[Target], doses: Sequence[float], repeats: int) -> int:
    """Variants of a sweep, the baseline included; a dose of 1 leaves nothing to chance and runs once.

    Examples
    --------
    >>> n_variants(demo_targets(), (0.5, 1.0), repeats=3)
    17
    """
    return 1 + len(targets) * sum(1 if dose == 1.0 else repeats for dose in doses)


def run_study(
    name: str,
    detector: MMDetDetector,
    batches: Sequence[Batch],
    truth: GroundTruth,
    category_ids: NDArray[np.int64],
    *,
    targets: Sequence[Target] | None = None,
    doses: Sequence[float] = DOSES,
    repeats: int,
    seed: int = 0,
    done: Mapping[str, Outcome] | None = None,
) -> Iterator[Outcome]:
    """Measure the whole detector, then every ablated variant of it.

    Parameters
    ----------
    name : str
        Name of the detector: part of each variant's id.
    detector : MMDetDetector
    batches : sequence
        Prepared images, in the order of the truth's images.
    truth : GroundTruth
    category_ids : ndarray of int64, shape (n_classes,)
        COCO category id of each of the detector's labels, from `dissect_eval.label_to_category`.
    targets, doses, repeats
        What to remove, how much of it, and how often it is drawn anew.
    seed : int
        Seed of the study.
    done : mapping of str to Outcome, optional
        Outcomes of an earlier, interrupted run by variant: these are not measured again.

    Yields
    ------
    Outcome
        The baseline first.
    """
    done = done or {}
    whole = cache(lambda: detector.predict_batches(batches))

    def outcome(
        variant: str, masks: Mapping[str, Mask], target: str, dose: float, repeat: int, n_units: int
    ) -> Outcome:
        if variant in done:
            return done[variant]
        intact = whole()
        with detector.ablated(masks) as report:
            found = detector.predict_batches(batches) if masks else intact
        measured = measure(found, truth, category_ids)
        same = all(_bits(a) == _bits(b) for a, b in zip(found, intact, strict=True))
        return Outcome(variant, target, dose, repeat, n_units, report.changed, measured, same)

    yield outcome(f"{name}/baseline", {}, "baseline", 0.0, 0, 0)
    for target in demo_targets() if targets is None else targets:
        units = units_of(detector, target)
        for dose in doses:
            for repeat in range(1 if dose == 1.0 else repeats):
                variant = f"{name}/{target.pattern}/{target.unit}/{dose:g}/{repeat}"
                # The stream leaves the dose out: what a small dose removes, a larger one of its repeat removes too.
                stream = variant_rng(seed, f"{name}/{target.pattern}/{target.unit}/{repeat}")
                drawn = sample_units(len(units), stream, fraction=dose, rounding="nearest")
                masks = masks_of(detector, target, [units[i] for i in drawn])
                yield outcome(variant, masks, target.name, dose, repeat, len(drawn))


def _bits(found: ImageDetections) -> tuple[bytes, ...]:
    return tuple(
        np.ascontiguousarray(column).tobytes() for column in (found.boxes, found.scores, found.labels)
    )


def measure(
    found: Sequence[ImageDetections], truth: GroundTruth, category_ids: NDArray[np.int64]
) -> Measurement:
    """Score detections, one entry for each image of the truth, in both modes and as COCO AP."""
    detections = Detections.from_arrays(found, truth.image_ids.tolist(), category_ids)
    matched = matched_metrics(truth, detections)
    honest = detection_metrics(truth, detections, score_threshold=SCORE_THRESHOLD)
    coco = coco_ap(truth, detections)
    return Measurement(
        ap=coco.AP,
        ap50=coco.AP50,
        f1=honest.micro.f1,
        mean_giou=matched.mean_giou,
        matched_f1=matched.f1_weighted,
        chance_giou=chance_level(truth, np.diff(detections.image_splits)).mean_giou,
    )
