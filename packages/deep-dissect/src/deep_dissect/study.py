"""A study's folder, and what it found out: detections, numbers as data frames, pictures and pages."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from dissect_core.arguments import check_value, checked_arguments
from dissect_core.names import near_hint
from dissect_core.progress import MakeBar, no_bar
from dissect_core.storage import is_remote, location_of, own_folder
from dissect_core.store import Study as StoredStudy
from dissect_core.text import cut, quoted
from dissect_eval import GroundTruth
from dissect_eval.study import (
    DEFAULT_METRIC,
    NamedFigure,
    Settings,
    Spread,
    StudyResults,
    StudyTables,
    counted,
    figures,
    in_processes,
    measure,
)

from .errors import FrontDoorError
from .report import latex_table, write_report, write_results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Results", "Study"]

WORST = 5
"""Number of variants with the largest losses that the text of results names."""

_SETTINGS = {name: hint for name, hint in get_type_hints(Settings).items() if name != "n_replicates"}


class Study(StoredStudy):
    """A study's folder, for reading, while it runs or later; made by `run_study`, opened by ``Study.open(folder)``.

    It adds measuring to what `dissect_core.store.Study` reads from the folder (plan, images, detections, log).

    Attributes
    ----------
    path : Path
    facts : mapping
        What must be the same when the study goes on, as plain data.

    Examples
    --------
    >>> study = Study.open("out/layers")  # doctest: +SKIP
    >>> study.progress(), len(study.variants)  # doctest: +SKIP
    ((125, 125), 31)
    >>> study.measure(replicates=200).summary  # doctest: +SKIP
    """

    @classmethod
    @checked_arguments()
    def open(cls, path: Path | str) -> Study:
        """Open a study's folder. Nothing in it runs code, whoever made it.

        Parameters
        ----------
        path : path
            A folder, or a URL like ``s3://bucket/study``.

        Raises
        ------
        StudyError
            If it is no study, damaged, or of a newer format.
        """
        return cls.of(super().open(path))

    @classmethod
    def of(cls, stored: StoredStudy) -> Study:
        """Return a study of `dissect_core` as one that can be measured."""
        return stored if isinstance(stored, Study) else cls(stored.path, stored._record)

    @checked_arguments(truth="GroundTruth.from_coco('instances.json')")
    def measure(
        self,
        truth: GroundTruth | None = None,
        *,
        replicates: int | None = None,
        partial: bool = False,
        images: Collection[int] | None = None,
        jobs: int = 1,
        spread: Spread | None = None,
        bar: MakeBar = no_bar,
        **settings: Any,
    ) -> Results:
        """Measure every variant against the study's own truth; the detector is not needed.

        Parameters
        ----------
        truth : GroundTruth, optional
            Another truth than the study's own.
        replicates : int, optional
            Resamples of the images for intervals and p-values. Left out, as many as p-values need, at least 1,000; 0
            leaves intervals and p-values out.
        partial : bool
            Measure what is finished of a study that is not complete.
        images : collection of int, optional
            Ids of the images to measure on; all, if left out.
        jobs : int
            Processes that measure variants side by side. In a script, more than 1 needs ``if __name__ == "__main__":``.
        spread : callable, optional
            Where variants are measured, instead of `jobs`: see `dissect_eval.study.measure`.
        bar : callable
            Makes a progress bar.
        **settings
            Further fields of `dissect_eval.study.Settings`: `metrics`, `confidence`, `score_threshold`,
            `iou_threshold`, `correction`, `seed`, `common_classes`, `class_map`.

        Returns
        -------
        Results

        Raises
        ------
        FrontDoorError
            If a setting is unknown.
        EvalError
            If the study is not complete and `partial` is not set, or a setting is out of range.
        """
        for name in settings:
            if name not in _SETTINGS:
                raise FrontDoorError(
                    f"`measure` has no setting {quoted(name)}.{near_hint(name, ('replicates', *_SETTINGS))} Its "
                    f"settings are: replicates, {', '.join(_SETTINGS)}."
                )
        if isinstance(settings.get("metrics"), str):
            settings["metrics"] = (settings["metrics"],)
        settings = {name: check_value(name, value, _SETTINGS[name]) for name, value in settings.items()}
        found = measure(
            self,
            truth,
            Settings(n_replicates=replicates, **settings),
            partial=partial,
            images=images,
            spread=in_processes(jobs) if spread is None else spread,
            bar=bar,
        )
        return Results(found)

    def report(self, *, replicates: int | None = None, **options: Any) -> Path:
        """Measure the study, write its tables and ``report.html`` into its folder, and return the page.

        Parameters
        ----------
        replicates : int, optional
            As for `measure`.
        **options
            As for `Results.report`.
        """
        results = self.measure(replicates=replicates)
        results.write()
        return results.report(**options)

    def __repr__(self) -> str:
        return f"<{self._line()}>"

    def _repr_html_(self) -> str:
        return f"<div>{escape(self._line())}</div>"

    def _line(self) -> str:
        done, wanted = self.progress()
        state = "complete" if done == wanted else f"{done:,} of {wanted:,} batches"
        size = f"{counted(len(self.variants), 'variant')} on {counted(len(self.images), 'image')}"
        return f"Study {quoted(self.spec.name)} in {self.path}: {size}, {state}"


class Results:
    """Results of a study; made by `Study.measure`.

    Tables are data frames: pandas' where it is installed, else Arrow's.

    Parameters
    ----------
    measured : StudyResults
        From `dissect_eval.study.measure`.

    Attributes
    ----------
    measured : StudyResults
        The same, with the truth, the settings and every number as Python objects.
    """

    def __init__(self, measured: StudyResults) -> None:
        self.measured = measured

    @property
    def study(self) -> Study:
        """The study that was measured."""
        return Study.of(self.measured.study)  # type: ignore[arg-type]  # measured of a folder

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return self.tables.metrics

    @cached_property
    def tables(self) -> StudyTables:
        """The same numbers as rows, and as the files that `write` writes."""
        return StudyTables.of(self.measured)

    @property
    def summary(self) -> Any:
        """A row for each variant: each metric with its difference from the baseline, then what the variant removes."""
        found = self.tables.frame("summary")
        names = list(getattr(found, "column_names", None) or found.columns)
        first = ["id", *(name for one in self.metrics for name in (one, f"{one}_difference"))]
        ordered = [*first, *(name for name in names if name not in first)]
        return found.select(ordered) if hasattr(found, "column_names") else found[ordered]

    @property
    def per_class(self) -> Any:
        """A row for each variant, class and metric."""
        return self.tables.frame("per_class")

    @property
    def errors(self) -> Any:
        """A row for each variant: TIDE's error types."""
        return self.tables.frame("errors")

    @property
    def repeats(self) -> Any:
        """A row for each dose and metric: mean and spread over its variants."""
        return self.tables.frame("repeats")

    @property
    def doses(self) -> Any:
        """Dose–response: a row for each target, dose and metric, the baseline as dose 0."""
        return self.tables.frame("doses")

    @property
    def interactions(self) -> Any:
        """A row for each pair of units: what both cost beyond the sum of what each costs alone; often empty."""
        return self.tables.frame("interactions")

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that must be read with the numbers."""
        found = self.measured
        said = (found.missing_weights, found.better_than_chance.text, *found.notes)
        return tuple(text for text in said if text)

    @checked_arguments()
    def figures(self, metric: str = DEFAULT_METRIC) -> list[NamedFigure]:
        """Draw every picture of the report, each with its name, caption and numbers.

        Parameters
        ----------
        metric : str
        """
        self._require(metric)
        return list(figures(self.tables, metric))

    @checked_arguments()
    def plot(self, metric: str = DEFAULT_METRIC, name: str | None = None) -> Figure:
        """Draw one picture: dose–response curves where the study has doses, else the variants that lose most.

        Parameters
        ----------
        metric : str
        name : str, optional
            Name of another picture of `figures`.

        Raises
        ------
        FrontDoorError
            If the study has no such picture, or no such metric.
        """
        self._require(metric)
        known = []
        for drawn in figures(self.tables, metric):
            if name is None or drawn.name == name:
                return drawn.figure
            known.append(drawn.name)
        if name is None:
            raise FrontDoorError(
                f"The study {quoted(self.measured.name)} has nothing to draw: it has no ablation."
            )
        raise FrontDoorError(
            f"`name` must be one of {', '.join(known)}, got {quoted(name)}.{near_hint(name, known)}"
        )

    @checked_arguments(formats="formats=('png',)")
    def report(
        self,
        folder: Path | str | None = None,
        *,
        images: Path | str | None = None,
        metric: str = DEFAULT_METRIC,
        formats: tuple[str, ...] = (),
    ) -> Path:
        """Write ``report.html``, one page that needs no network, and return its path.

        Parameters
        ----------
        folder : path, optional
            The study's own, if left out.
        images : path, optional
            Folder of the images, for examples. Left out, they are shown only from below the study's folder.
        metric : str
            What the pictures show.
        formats : tuple of str
            Also write each picture to ``figures/`` as ``png``, ``svg`` or ``pdf``.
        """
        return write_report(
            self.measured,
            _made(folder),
            images=None if images is None else Path(images),
            metric=metric,
            formats=formats,
        )

    @checked_arguments()
    def write(self, folder: Path | str | None = None) -> list[Path]:
        """Write all tables as CSV and Parquet, and ``summary.json`` with the settings, each whole or not at all.

        Parameters
        ----------
        folder : path, optional
            The study's own, if left out.
        """
        return write_results(self.measured, _made(folder))

    @checked_arguments(metrics="metrics=('AP', 'f1')")
    def latex(self, metrics: tuple[str, ...] = ("AP", "AP50", "f1")) -> str:
        """Return the table of doses for a paper; it needs the LaTeX package booktabs."""
        return latex_table(self.measured, metrics)

    def _require(self, metric: str) -> None:
        if metric not in self.metrics:
            raise FrontDoorError(
                f"`metric` must be one of {', '.join(self.metrics)}, got {quoted(metric)}."
                + near_hint(metric, self.metrics)
            )

    def _lines(self) -> list[str]:
        """Return the most important numbers, as lines of text."""
        metric = DEFAULT_METRIC if DEFAULT_METRIC in self.metrics else self.metrics[0]
        baseline, *rows = self.tables.summary
        truth = self.measured.truth
        lines = [
            f"{cut(self.measured.name)}: {len(rows):,} variants and the baseline, {truth.n_images:,} images, "
            f"{truth.n_boxes:,} objects",
            f"baseline {metric} {number_text(baseline[metric])}",
        ]
        known = [
            row
            for row in rows
            if row["kind"] == "ablation" and not row["no_op"] and math.isfinite(row[f"{metric}_difference"])
        ]
        worst = sorted(known, key=lambda row: row[f"{metric}_difference"])[:WORST]
        if worst and not self.measured.better_than_chance.text:
            lines.append(f"largest losses of {metric}:")
            lines += [f"  {row[f'{metric}_difference']:+.3f}  {cut(str(row['id']))}" for row in worst]
        return lines + [f"note: {text}" for text in self.notes]

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        head, *lines = self._lines()
        rest = "<br>".join(escape(line) for line in lines)
        return f"<div><b>{escape(head)}</b><br>{rest}</div>"


def _made(folder: Path | str | None) -> Path | None:
    """Return the folder for files, and make it if it is missing; None for the study's own."""
    if folder is None:
        return None
    location = location_of(folder)
    if not is_remote(location):  # an object store has no folders
        own_folder(location)
    return location


def number_text(value: Any, *, signed: bool = False) -> str:
    """Return three decimals; a dash for what is undefined."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:+.3f}" if signed else f"{value:.3f}"
