"""The numbers of a whole study, and notes on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...data import GroundTruth
from ...matching import ChanceVerdict
from ...statistics import Key, VariantTable, summarize_repeats
from ...tide import ErrorTypes
from ..stored import StoredStudy
from ._noise import noise_note
from ._notes import box_notes, class_notes, significance_notes
from ._settings import Settings

__all__ = ["StudyResults", "missing_weights"]


@dataclass(frozen=True)
class StudyResults:
    """Everything that was measured of a study.

    Attributes
    ----------
    study : StoredStudy
    truth : GroundTruth
        Truth of the images that were run.
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
        Whether the baseline is better than chance: if not, it has nothing to lose.
    n_bad_images : int
        Images that were skipped, as they could not be read or run, and count nowhere.
    batches : tuple of int
        Numbers of finished batches of images and of all batches; all numbers are of the images in finished ones.
    unscored : str
        Which classes are scored and what is left out, if detector and truth do not share all; empty if they do.
    interactions : list of dict
        A row for each pair of units (`select: {by: pairs}`). For each metric, `{metric}_loss` is what both units cost
        together, `{metric}_loss_first` and `{metric}_loss_second` are what each costs alone, and `{metric}_beyond` is
        what both cost beyond the sum of these, with its paired interval in `{metric}_beyond_low` and
        `{metric}_beyond_high`.
    noise : mapping of (str, int or None) to float
        For a detector that is not deterministic, by how much each metric, overall and of each category, differs between
        passes with nothing removed, see `noise_of`: smaller differences show nothing. Empty for a deterministic one.
    n_idle_classes : int
        Classes without rows in `table`: where there are very many, those with neither an object nor a detection of any
        variant are left out, as all their numbers are undefined.
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
        """Return notes to show beside the numbers.

        They are on an incomplete study, a detector that is not deterministic, classes that are left out, what was
        assumed of the truth, boxes that are not finite or have no area, and p-values that cannot be significant.
        """
        n_images, n_idle = self.truth.n_images, self.n_idle_classes
        idle = f"classes without an object and without a detection of any variant have no rows in tables: {n_idle:,}."
        return (
            *self._unfinished,
            *noise_note(self.noise, self.variants, self.settings.metrics[0]),
            *((self.unscored,) if self.unscored else ()),
            *((idle,) if n_idle else ()),
            *self.truth.notes,
            *box_notes(self.truth, self.variants),
            *significance_notes(self.settings, self.n_tests, n_images),
        )

    @property
    def _unfinished(self) -> tuple[str, ...]:
        """Return a note that not all images were run yet, if that is so."""
        done, wanted = self.batches
        if done == wanted:
            return ()
        return (
            f"the study is not complete: {done:,} of {wanted:,} batches of images are finished, and all numbers are of "
            "those.",
        )

    @property
    def missing_weights(self) -> str:
        """Return the detector's note on weights that were missing when the study was begun; empty if it had all."""
        return missing_weights(self.study)

    @property
    def class_notes(self) -> tuple[str, ...]:
        """Return a note on why no p-value of a single class can be significant, if that is so."""
        n_tests = self.n_tests * (len(self.truth.category_names) - self.n_idle_classes)
        return class_notes(self.settings, n_tests, self.truth.n_images)

    @property
    def n_tests(self) -> int:
        """Number of variants that p-values are corrected for: neither the baseline nor controls."""
        return sum(row["kind"] == "ablation" for row in self.variants)

    def repeats(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each metric of the variants of one dose: mean, spread and t interval, where it is defined."""
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


def missing_weights(study: StoredStudy) -> str:
    """Return the detector's note on weights that were missing when a study was begun; empty if it had all."""
    frozen = study.environment.get("frozen")
    detector = frozen.get("detector") if isinstance(frozen, Mapping) else None
    missing = detector.get("missing_weights") if isinstance(detector, Mapping) else None
    return str(missing.get("note") or "weights are missing") if isinstance(missing, Mapping) else ""
