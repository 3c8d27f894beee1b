"""Many variants of a detector against one truth: a tidy table with paired intervals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from .._text import quoted
from ..coco import AreaRanges, IouType, TieBreak, coco_settings, tell_cut
from ..data import Detections, TruthLike, as_detections, as_truth, checked_pair, require_threshold
from ..errors import SettingError
from ._beside import Beside, variant_table
from ._intervals import Correction, IntervalMethod, adjust_p_values
from ._metrics import DEFAULT_METRICS, MetricSettings, chosen_metrics
from ._resampled import Resampling
from ._variant_table import VariantTable

__all__ = ["evaluate_variants"]


def evaluate_variants(
    truth: TruthLike,
    variants: Mapping[str, Detections | Callable[[], Detections]],
    *,
    baseline: str | None = None,
    controls: Collection[str] = (),
    metrics: str | Sequence[str] = DEFAULT_METRICS,
    per_class: bool = False,
    n_replicates: int = 0,
    confidence: float = 0.95,
    method: IntervalMethod = "t",
    correction: Correction = "holm",
    seed: int = 0,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.3,
    iou_thresholds: float | Iterable[float] | None = None,
    max_detections: int | Iterable[int] | None = None,
    area_ranges: AreaRanges | None = None,
    class_agnostic: bool = False,
    iou_type: IouType = "bbox",
    tie_break: TieBreak = "canonical",
    check: bool = True,
) -> VariantTable:
    """Measure many variants of a detector on one split, each beside the baseline.

    Parameters
    ----------
    truth : GroundTruth
        The split: sorted and indexed once for all variants.
    variants : mapping of str to Detections, or to a function that returns them
        By name. A function is called when its turn comes, so that not all detections need to be in memory.
    baseline : str, optional
        Name of the variant that the others are compared with; the first, if left out.
    controls : collection of str
        Variants to compare the others with, such as random ones: they have no corrected p-value, and do not count
        in the correction of the others.
    metrics, per_class, iou_threshold, score_threshold
        As in `bootstrap`.
    iou_thresholds, max_detections, area_ranges, class_agnostic, tie_break
        As in `bootstrap`.
    n_replicates : int
        Resamples of the paired bootstrap; 0 leaves intervals and p-values out (NaN).
    confidence, method, seed
        As in `bootstrap`: all variants see the same resamples.
    correction : {"holm", "bh", "none"}
        How p-values are corrected for the number of variants (and categories), see `adjust_p_values`. The
        family is all tests of one metric, without the controls; tests over all categories and tests of single
        categories are two families. A corrected p-value cannot fall below the number of tests divided by that
        of the resamples: a hundred variants need more than 2,000.
    check : bool
        Whether to look for mistakes in the baseline that would score without an error, and warn; see `check_split`.

    Returns
    -------
    VariantTable
        Rows by variant, metric and category, the baseline's own included.

    Warns
    -----
    SplitWarning
        If `check` finds such a sign in the baseline.

    Raises
    ------
    SettingError
        If a setting is unknown or out of range, or the baseline or a control is not among the variants.
    DetectionError
        If a detection has an image or category that `truth` does not have.

    Examples
    --------
    >>> from dissect_eval import Detections, GroundTruth
    >>> truth = GroundTruth.from_coco(
    ...     {
    ...         "images": [{"id": 1}],
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
    coco = coco_settings(iou_thresholds, max_detections, area_ranges, class_agnostic, iou_type)
    wanted = chosen_metrics(metrics, coco)
    settings = MetricSettings(wanted, per_class, iou_threshold, score_threshold, tie_break, coco)
    how = Resampling(n_replicates, confidence, method, seed)
    adjust_p_values([], correction)
    _require_named(variants, controls)
    name = next(iter(variants), None) if baseline is None else baseline
    if name is None or name not in variants:
        raise SettingError(f"`baseline` must be one of {', '.join(variants) or 'no variants'}, got {name!r}.")

    if unknown := [one for one in controls if one not in variants or one == name]:
        raise SettingError(f"`controls` must be variants other than the baseline, got {', '.join(unknown)}.")

    known = as_truth(truth)

    def found(variant: str) -> Detections:
        given = variants[variant]
        return as_detections(given() if callable(given) else given, known)

    pair = checked_pair(known, found(name), check=check, masks=iou_type == "segm")
    truth, first = pair.truth, pair.given
    if check and any(metric[:2] in ("AP", "AR") for metric in settings.metrics):
        tell_cut(pair.truth, pair.given, settings.coco)
    require_threshold(score_threshold, first)
    beside = Beside(truth, first, settings, how)
    measured = {
        variant: beside.of_baseline() if variant == name else beside.of(found(variant))
        for variant in variants
    }
    return variant_table(truth, measured, name, settings, how, correction, controls)


def _require_named(variants: Any, controls: Any) -> None:
    """Raise unless variants come by name, and controls as a collection of names."""
    if not isinstance(variants, Mapping) or not all(isinstance(name, str) for name in variants):
        raise SettingError(
            "`variants` must be a mapping of names to detections, after the truth, got "
            f"{'other names' if isinstance(variants, Mapping) else type(variants).__name__}. Write "
            "{'whole': found, 'ablated': other}."
        )
    if isinstance(controls, str) or not isinstance(controls, Collection):
        raise SettingError(
            f"`controls` must be a collection of names of variants, got {quoted(controls)}. Put it in [ ]."
        )
