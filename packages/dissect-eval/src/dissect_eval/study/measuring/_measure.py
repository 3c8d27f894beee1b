"""Numbers of a whole study: every metric of every variant, with what it lost against the baseline."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial as bound
from typing import Any

import numpy as np

from ...data import GroundTruth
from ...errors import StudyDataError
from ...matching import ChanceVerdict, better_than_chance
from ...statistics import Key, VariantTable, adjust_p_values, summarize_repeats, variant_table
from ...tide import ErrorTypes
from ..stored import MakeBar, StoredStudy, StudyDetections, no_bar
from ._interactions import Interactions, singles_of_pairs
from ._noise import above_noise, noise_note, noise_of
from ._notes import box_notes, class_notes, significance_notes
from ._one_variant import OneVariant, VariantMeasure
from ._settings import Settings
from ._spread import Spread, here

DEFAULT = Settings()
COUNTS = ("n_detections", "n_not_finite", "n_negative", "n_degenerate")


@dataclass(frozen=True)
class StudyResults:
    """What a study found out.

    Attributes
    ----------
    study : StoredStudy
    truth : GroundTruth
        Of the images that were run.
    settings : Settings
    table : VariantTable
        Every metric of every variant, overall and per class.
    variants : list of dict
        The plan's row of each variant, with what it changed: `masked`, `changed`, `output_change`, `flops_saved`,
        `n_detections`, `n_not_finite`, `n_negative`, `n_degenerate`, and `no_op`: if its detections are those of the
        baseline on all images, why its numbers say nothing about robustness, else None.
    errors : mapping of str to ErrorTypes
        TIDE's error types, by variant.
    chance : mapping of str to mapping of str to float
        What random boxes reach, by variant and metric, as far as there is a chance level of it.
    better_than_chance : ChanceVerdict
        Whether the baseline is better than chance at all: what is not cannot lose anything.
    n_bad_images : int
        Images that were skipped, as they could not be read or run, and count nowhere.
    batches : tuple of int
        Batches of images that are finished, and all; all numbers are of the images of those that are.
    unscored : str
        What is left out of the baseline's detections and of the truth as no class of both; empty if nothing is.
    interactions : list of dict
        A row for each pair of units (`select: {by: pairs}`): of each metric, as `{metric}_loss`, what both together
        cost, as `{metric}_loss_first` and `{metric}_loss_second` what each costs alone, and as `{metric}_beyond` what
        both cost beyond the sum of these, with its paired interval in `{metric}_beyond_low` and
        `{metric}_beyond_high`.
    noise : mapping of (str, int or None) to float
        Of a detector that is not deterministic, by how much each metric, overall and of each category, differs between
        passes with nothing removed: the floor of every claim, see `noise_of`. Empty for a deterministic one.
    n_idle_classes : int
        Classes that have no rows in `table`, where there are very many, as they have neither an object nor a detection
        of any variant: all their numbers are undefined.
    """

    study: StoredStudy
    truth: GroundTruth
    settings: Settings
    table: VariantTable
    variants: list[dict[str, Any]]
    errors: Mapping[str, ErrorTypes]
    chance: Mapping[str, Mapping[str, float]]
    better_than_chance: ChanceVerdict
    n_bad_images: int
    batches: tuple[int, int]
    unscored: str = ""
    interactions: list[dict[str, Any]] = field(default_factory=list)
    noise: Mapping[Key, float] = field(default_factory=dict)
    n_idle_classes: int = 0

    @property
    def name(self) -> str:
        """The study's own name."""
        return str(self.study.spec.name)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed of the truth, boxes that are none or have no area, and p-values that can show nothing.

        None of it is to be passed over in silence.
        """
        found = significance_notes(self.settings, self.n_tests, self.truth.n_images)
        unscored = (self.unscored,) if self.unscored else ()
        idle = (
            (
                f"classes without an object and without a detection of any variant have no rows in tables: "
                f"{self.n_idle_classes:,}.",
            )
            if self.n_idle_classes
            else ()
        )
        noise = noise_note(self.noise, self.variants, self.settings.metrics[0])
        return (
            *self._unfinished,
            *noise,
            *unscored,
            *idle,
            *self.truth.notes,
            *box_notes(self.truth, self.variants),
            *found,
        )

    @property
    def _unfinished(self) -> tuple[str, ...]:
        """That not all images were run yet, if that is so."""
        done, wanted = self.batches
        if done == wanted:
            return ()
        return (
            f"the study is not complete: {done:,} of {wanted:,} batches of images are finished, and all numbers are of "
            "those.",
        )

    @property
    def missing_weights(self) -> str:
        """What the detector says of weights that were missing when the study was begun; empty if it had all."""
        return missing_weights(self.study)

    @property
    def class_notes(self) -> tuple[str, ...]:
        """What keeps p-values of single classes from showing anything."""
        n_tests = self.n_tests * (len(self.truth.category_names) - self.n_idle_classes)
        return class_notes(self.settings, n_tests, self.truth.n_images)

    @property
    def n_tests(self) -> int:
        """Variants that p-values are corrected for: neither the baseline nor controls."""
        return sum(row["kind"] == "ablation" for row in self.variants)

    def repeats(self) -> Iterator[dict[str, Any]]:
        """Rows over variants of the same dose: mean, spread and t interval of each metric, where it is defined."""
        groups: dict[tuple[Any, ...], list[str]] = {}
        for row in self.variants:
            key = tuple(row[name] for name in ("ablation", "kind", "unit", "intervention", "n_units", "dose"))
            groups.setdefault(key, []).append(row["id"])
        values = {(r.variant, r.metric): r.value for r in self.table.select(category_id=None)}
        still = {row["id"]: row["no_op"] is not None for row in self.variants}
        names = ("ablation", "kind", "unit", "intervention", "n_units", "dose")
        for key, ids in groups.items():
            for metric in self.settings.metrics:
                summary = summarize_repeats([values[one, metric] for one in ids], self.settings.confidence)
                yield {
                    **dict(zip(names, key, strict=True)),
                    "variants": len(ids),
                    "n_no_op": sum(still[one] for one in ids),
                    "metric": metric,
                    "n": summary.n,
                    "mean": summary.mean,
                    "standard_deviation": summary.standard_deviation,
                    "low": summary.low,
                    "high": summary.high,
                }


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
        Another one than the truth that is kept with the study.
    settings : Settings
    partial : bool, default False
        Whether a study that is not complete is measured too, on the images that all variants have seen.
    images : collection of int, optional
        Ids of the images to measure on, all if left out: of a part, or to choose on some and to report on the others.
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
    _ = settings.statistics, settings.resampling  # wrong ones are told before anything is read
    found = StudyDetections(
        study, truth, common_classes=settings.common_classes, class_map=settings.class_map, images=images
    )
    whole = found.truth
    n_idle = found.leave_out_idle_classes()
    settings = replace(settings, **found.scoring)  # on record, however they came to be
    kinds = dict(zip(*(study.plan.column(name).to_pylist() for name in ("id", "kind")), strict=True))
    settings = settings.of_study(list(kinds.values()).count("ablation"), found.truth.n_images)
    statistics, resampling = settings.statistics, settings.resampling
    given: dict[str, OneVariant] = {}
    pairs = Interactions(singles_of_pairs(study), study.variants[0], settings)
    untested = {one for one, kind in kinds.items() if kind in ("control", "again")}
    opening = bound(VariantMeasure, found, settings, pairs.kept, untested)
    with bar(len(study.variants), "variant", "metrics") as shown:
        for variant, one in spread(opening, pairs.in_order(study.variants)):
            given[variant] = one._replace(metrics=pairs.add(variant, one.metrics))
            shown.update(1)
    measured = {variant: given[variant] for variant in study.variants}
    table = variant_table(
        found.truth,
        {variant: one.metrics for variant, one in measured.items()},
        study.variants[0],
        statistics,
        resampling,
        settings.correction,
        untested,
    )
    noise = noise_of(table, kinds)
    rows = variant_rows(study)
    for row in rows:
        one = measured[row["id"]]
        row |= {name: getattr(one, name) for name in COUNTS}
        row["no_op"] = no_op_reason(row, one.is_baseline, found.truth.n_images)
    return StudyResults(
        study,
        whole,
        settings,
        above_noise(table, noise),
        rows,
        {variant: one.errors for variant, one in measured.items()},
        {variant: one.chance for variant, one in measured.items()},
        better_than_chance(found.truth, found.of(study.variants[0])[0], settings.seed),
        found.n_bad_images,
        (done, wanted),
        found.match.note(found.flat(study.variants[0]).n_unscored),
        pairs.rows(),
        noise,
        n_idle,
    )


def missing_weights(study: StoredStudy) -> str:
    """What a study's detector says of weights that were missing when the study was begun; empty if it had all."""
    frozen = study.environment.get("frozen")
    detector = frozen.get("detector") if isinstance(frozen, Mapping) else None
    missing = detector.get("missing_weights") if isinstance(detector, Mapping) else None
    return str(missing.get("note") or "weights are missing") if isinstance(missing, Mapping) else ""


def variant_rows(study: StoredStudy) -> list[dict[str, Any]]:
    """The plan's rows, with what each variant reported to have changed in the model."""
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
    """Why a variant's numbers say nothing about robustness; None where they do.

    Its detections decide, whatever it reports to have changed: that is where the reason is looked for.

    Parameters
    ----------
    row : mapping
        Of `variant_rows`, with `n_detections`.
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
    """Most that a variant reports over its images; of activations each batch has its own count."""
    out = np.zeros(int(numbers.max()) + 1, dtype=np.int64)
    np.maximum.at(out, numbers, values)
    return out
