"""Measure a whole study: every metric of every variant, with what it lost against the baseline."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial as bound
from typing import Any

import numpy as np

from ...data import GroundTruth
from ...errors import StudyDataError
from ...matching import better_than_chance
from ...statistics import adjust_p_values, variant_table
from ..stored import MakeBar, StoredStudy, StudyDetections, no_bar
from ._interactions import Interactions, singles_of_pairs
from ._noise import above_noise, noise_of
from ._one_variant import OneVariant, VariantMeasure
from ._results import StudyResults
from ._settings import Settings
from ._spread import Spread, here

__all__ = ["measure"]

DEFAULT = Settings()
COUNTS = ("n_detections", "n_not_finite", "n_negative", "n_degenerate")


def measure(
    study: StoredStudy,
    truth: GroundTruth | None = None,
    settings: Settings = DEFAULT,
    *,
    partial: bool = False,
    images: Collection[int] | None = None,
    spread: Spread = here,
    bar: MakeBar = no_bar,
) -> StudyResults:
    """Measure every variant of a study that was run to its end, or of its finished part.

    Parameters
    ----------
    study : StoredStudy
    truth : GroundTruth, optional
        Used instead of the truth that is kept with the study.
    settings : Settings
    partial : bool, default False
        Whether a study that is not complete is measured too, on the images that all variants have seen.
    images : collection of int, optional
        Ids of the images to measure on, all if left out: for instance to choose variants on some images, and to report
        them on the others.
    spread : callable
        Where variants are measured: `here`, `in_processes(n)`, or by a cluster (`dissect_core.engine.ray.spread_over`).
        The numbers are the same.
    bar : callable
        Makes a progress bar.

    Raises
    ------
    StudyDataError
        If the study is not complete and `partial` is not set, none of its images has been run, or it holds no truth.
    """
    done, wanted = study.progress()
    if done < wanted and not partial:
        raise StudyDataError(
            f"The study {study.path} is not complete: {done} of {wanted} batches are finished. Run it to its end first."
        )
    adjust_p_values([], settings.correction)
    _ = settings.statistics, settings.resampling  # wrong settings raise before anything is read
    found = StudyDetections(
        study, truth, common_classes=settings.common_classes, class_map=settings.class_map, images=images
    )
    whole, baseline = found.truth, study.variants[0]
    n_idle = found.leave_out_idle_classes()
    kinds = dict(zip(*(study.plan.column(name).to_pylist() for name in ("id", "kind")), strict=True))
    untested = {variant for variant, kind in kinds.items() if kind in ("control", "again")}
    settings = replace(settings, **found.scoring)  # kept with the results, wherever they were given
    settings = settings.of_study(list(kinds.values()).count("ablation"), found.truth.n_images)
    measured, pairs = _measured(found, settings, untested, spread, bar)
    table = variant_table(
        found.truth,
        {variant: one.metrics for variant, one in measured.items()},
        baseline,
        settings.statistics,
        settings.resampling,
        settings.correction,
        untested,
    )
    noise = noise_of(table, kinds)
    return StudyResults(
        study=study,
        truth=whole,
        settings=settings,
        table=above_noise(table, noise),
        variants=[
            _with_counts(row, measured[row["id"]], found.truth.n_images) for row in variant_rows(study)
        ],
        errors={variant: one.errors for variant, one in measured.items()},
        chance={variant: one.chance for variant, one in measured.items()},
        better_than_chance=better_than_chance(found.truth, found.of(baseline)[0], settings.seed),
        n_bad_images=found.n_bad_images,
        batches=(done, wanted),
        unscored=found.match.note(found.flat(baseline).n_unscored),
        interactions=pairs,
        noise=noise,
        n_idle_classes=n_idle,
    )


def _measured(
    found: StudyDetections, settings: Settings, untested: Collection[str], spread: Spread, bar: MakeBar
) -> tuple[dict[str, OneVariant], list[dict[str, Any]]]:
    """Measure the variants by `spread`; return their numbers in the order of the plan, and the rows of pairs."""
    study = found.study
    pairs = Interactions(singles_of_pairs(study), study.variants[0], settings)
    opening = bound(VariantMeasure, found, settings, pairs.kept, untested)
    given: dict[str, OneVariant] = {}
    with bar(len(study.variants), "variant", "metrics") as shown:
        for variant, one in spread(opening, pairs.in_order(study.variants)):
            given[variant] = one._replace(metrics=pairs.add(variant, one.metrics))
            shown.update(1)
    return {variant: given[variant] for variant in study.variants}, pairs.rows()


def _with_counts(row: dict[str, Any], one: OneVariant, n_images: int) -> dict[str, Any]:
    """Return a row of `variant_rows` with counts of detections, and why the variant changed nothing, if so."""
    row = row | {name: getattr(one, name) for name in COUNTS}
    return row | {"no_op": no_op_reason(row, one.is_baseline, n_images)}


def variant_rows(study: StoredStudy) -> list[dict[str, Any]]:
    """Return the plan's rows, with what each variant reported to have changed in the model."""
    changes = study.table(columns=["masked", "changed"])
    numbers = changes.column("variant").to_numpy()
    masked, changed = (_largest(numbers, changes.column(name).to_numpy()) for name in ("masked", "changed"))
    effects = {} if study.effects is None else {row["id"]: row for row in study.effects.to_pylist()}
    rows: list[dict[str, Any]] = []
    for number, row in enumerate(study.plan.to_pylist()):
        effect = effects.get(row["id"], {})
        change = effect.get("output_change", math.nan)
        rows.append(
            {
                **row,
                "masked": int(masked[number]),
                "changed": int(changed[number]),
                "output_change": change,
                "no_op": effect.get("no_op"),
                "flops_saved": effect.get("flops_saved"),
            }
        )
    return rows


def no_op_reason(row: Mapping[str, Any], is_baseline: bool, n_images: int) -> str | None:
    """Return why a variant's numbers say nothing about robustness; None where they do.

    Its detections alone decide; what it reports to have changed only tells the reason.

    Parameters
    ----------
    row : mapping
        Row of `variant_rows`, with `n_detections`.
    is_baseline : bool
        Whether its detections are those of the baseline on all images.
    n_images : int

    Examples
    --------
    >>> row = {"kind": "ablation", "n_units": 1, "changed": 64, "no_op": None, "n_detections": 7}
    >>> no_op_reason(row, True, 5)
    'its detections are those of the baseline on all 5 images: what it removes is not used, or nothing was removed.'
    """
    if row["kind"] == "baseline" or not is_baseline:
        return None
    on = f"all {n_images:,} images" if n_images > 1 else "the one image"
    same = f"its detections are those of the baseline on {on}"
    if not row["n_detections"]:
        return f"{same}: none."
    if row["no_op"]:
        return f"{same}: {row['no_op']}"
    if not row["n_units"]:
        return f"{same}: it removes no unit."
    if not row["changed"]:
        return f"{same}: it changed no value."
    return f"{same}: what it removes is not used, or nothing was removed."


def _largest(numbers: Any, values: Any) -> Any:
    """Return the largest number that each variant reports over its images: with activations, batches differ in it."""
    out = np.zeros(int(numbers.max()) + 1, dtype=np.int64)
    np.maximum.at(out, numbers, values)
    return out
