"""Many variants of a detector against one truth: a tidy table with paired intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._ap import TieBreak
from ._compared import compared
from ._detections import Detections
from ._intervals import Correction, IntervalMethod, adjust_p_values
from ._resampled import Resampling, ordered, resampled
from ._statistics import Key, Settings
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
    columns: list[tuple[NDArray[Any], ...]] = []
    p = np.full((len(variants), len(keys)), np.nan)
    for i, variant in enumerate(variants):
        detections = first if variant == name else found(variant)
        measured = whole if variant == name else resampled(truth, detections, settings, how)
        own, result = compared(keys, measured, None, how), compared(keys, whole, measured, how)
        if variant != name:
            p[i] = result.p_value
        sizes = (np.full(len(keys), n) for n in (truth.n_images, detections.n_boxes))
        values = (own.estimate, result.baseline, result.estimate, own.low, own.high, result.low, result.high)
        columns.append((*values, p[i], p[i], result.n_undefined, *sizes))
    adjusted = _adjusted(p, keys, correction)
    labels = [None if category is None else truth.category_names[category] for _, category in keys]
    rows: list[VariantRow] = []
    for i, variant in enumerate(variants):
        of_variant = (*columns[i][:8], adjusted[i], *columns[i][9:])
        # By position: a study has so many rows that names would show in its time.
        for (metric, category), label, *numbers in zip(
            keys, labels, *(column.tolist() for column in of_variant), strict=True
        ):
            rows.append(VariantRow(variant, metric, category, label, *numbers))
    used = {**asdict(settings), **asdict(how), "baseline": name, "correction": correction}
    return VariantTable(tuple(rows), used)


def _adjusted(p: NDArray[np.float64], keys: Sequence[Key], correction: Correction) -> NDArray[np.float64]:
    """Correct the p-values (V, K) within each family: one metric, over all categories or per category."""
    families: dict[tuple[str, bool], list[int]] = {}
    for k, (metric, category) in enumerate(keys):
        families.setdefault((metric, category is None), []).append(k)
    out: NDArray[np.float64] = p.copy()
    for members in families.values():
        given = p[:, members]
        out[:, members] = adjust_p_values(given, correction).reshape(given.shape)
    return out
