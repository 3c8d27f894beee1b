"""Many variants of a detector against one truth: a tidy table with paired intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from ._ap import TieBreak
from ._bootstrap import Resampling, compare, ordered, resampled
from ._detections import Detections
from ._intervals import Correction, IntervalMethod, adjust_p_values
from ._statistics import Settings
from ._truth import GroundTruth
from ._variant_table import VariantRow, VariantTable
from .errors import SettingError

__all__ = ["evaluate_variants"]


def evaluate_variants(
    truth: GroundTruth,
    variants: Mapping[str, Detections | Callable[[], Detections]],
    *,
    baseline: str | None = None,
    metrics: Sequence[str] = ("AP", "AP50", "f1", "matched_giou", "matched_f1"),
    per_class: bool = False,
    n_replicates: int = 0,
    confidence: float = 0.95,
    method: IntervalMethod = "percentile",
    correction: Correction = "holm",
    seed: int = 0,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.3,
    tie_break: TieBreak = "canonical",
) -> VariantTable:
    """Measure many variants of a detector on one split, each beside the baseline.

    Parameters
    ----------
    truth : GroundTruth
        The split: sorted and indexed once for all variants.
    variants : mapping of str to Detections, or to a function that returns them
        By name. A function is called when its turn comes, so that not all detections need to be in memory.
    baseline : str, optional
        Which one the others are compared with; the first, if left out.
    metrics, per_class, iou_threshold, score_threshold, tie_break
        As in `bootstrap`.
    n_replicates : int
        Resamples of the paired bootstrap; 0 leaves intervals and p-values out (NaN).
    confidence, method, seed
        As in `bootstrap`: all variants see the same resamples.
    correction : {"holm", "bh", "none"}
        How p-values are corrected for the number of variants (and categories), see `adjust_p_values`. The
        family is all tests of one metric: over all categories together, and per category apart from these.

    Returns
    -------
    VariantTable
        Rows by variant, metric and category, the baseline's own included.

    Raises
    ------
    SettingError
        If a setting is unknown or out of range, or the baseline is not among the variants.
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Examples
    --------
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1}, {"id": 2}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [{"id": 0, "image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]}],
    ...     }
    ... )
    >>> whole = Detections.from_arrays([([[0, 0, 10, 10]], [0.9], [0])], [1], [1])
    >>> ablated = Detections.from_arrays([([[0, 0, 10, 8]], [0.9], [0])], [1], [1])
    >>> table = evaluate_variants(truth, {"whole": whole, "ablated": ablated}, metrics=["matched_giou"])
    >>> [(row.variant, round(row.value, 3), round(row.difference, 3)) for row in table]
    [('whole', 1.0, 0.0), ('ablated', 0.8, -0.2)]
    """
    settings = Settings(tuple(metrics), per_class, iou_threshold, score_threshold, tie_break)
    how = Resampling(n_replicates, confidence, method, seed)
    adjust_p_values([], correction)
    name = next(iter(variants), None) if baseline is None else baseline
    if name is None or name not in variants:
        raise SettingError(f"`baseline` must be one of {', '.join(variants) or 'no variants'}, got {name!r}.")

    def found(variant: str) -> Detections:
        given = variants[variant]
        return given if isinstance(given, Detections) else given()

    first = found(name)
    whole = resampled(truth, first, settings, how)
    keys = ordered(whole.whole, settings)
    rows: list[VariantRow] = []
    for variant in variants:
        detections = first if variant == name else found(variant)
        measured = whole if variant == name else resampled(truth, detections, settings, how)
        for key in keys:
            own = compare(key, measured, None, how)
            result = compare(key, whole, measured, how)
            rows.append(
                VariantRow(
                    variant=variant,
                    metric=key[0],
                    category_id=key[1],
                    category=None if key[1] is None else truth.category_names[key[1]],
                    value=own.estimate,
                    baseline=result.baseline,
                    difference=result.estimate,
                    value_low=own.low,
                    value_high=own.high,
                    low=result.low,
                    high=result.high,
                    p_value=float("nan") if variant == name else result.p_value,
                    p_adjusted=float("nan"),
                    n_undefined=result.n_undefined,
                    n_images=truth.n_images,
                    n_detections=detections.n_boxes,
                )
            )
    used = {**asdict(settings), **asdict(how), "baseline": name, "correction": correction}
    return VariantTable(_adjusted(rows, correction), used)


def _adjusted(rows: Sequence[VariantRow], correction: Correction) -> tuple[VariantRow, ...]:
    """Correct the p-values within each family: one metric, over all categories or per category."""
    families: dict[tuple[str, bool], list[int]] = {}
    for i, row in enumerate(rows):
        families.setdefault((row.metric, row.category_id is None), []).append(i)
    out = list(rows)
    for members in families.values():
        given = [rows[i].p_value for i in members]
        if np.isnan(given).all():
            continue
        adjusted = adjust_p_values(given, correction)
        for i, value in zip(members, adjusted.tolist(), strict=True):
            out[i] = replace(rows[i], p_adjusted=value)
    return tuple(out)
