"""What a study found out, as data frames, pictures and pages."""

from __future__ import annotations

import math
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dissect_core.storage import is_remote, location_of, own_folder
from dissect_core.text import cut
from dissect_eval.study import (
    DEFAULT_METRIC,
    NamedFigure,
    Settings,
    StudyResults,
    StudyTables,
    compare as compared,
    figures,
    frame,
    measure,
)

from .errors import FrontDoorError
from .report import latex_table, write_report, write_results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .study import Study

__all__ = ["Comparison", "Results", "compare"]

WORST = 5
"""Variants that lose most are named, in the text of results."""


class Results:
    """What a study found out; made by `Study.measure`.

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
        from .study import Study

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
        """A row for each variant: what it removes, and each metric with its difference from the baseline."""
        return self.tables.frame("summary")

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

    def figures(self, metric: str = DEFAULT_METRIC) -> list[NamedFigure]:
        """Draw every picture of the report, each with its name, caption and numbers.

        Parameters
        ----------
        metric : str
        """
        self._require(metric)
        return list(figures(self.tables, metric))

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
            raise FrontDoorError(f"The study {self.measured.name!r} has nothing to draw: it has no ablation.")
        raise FrontDoorError(f"`name` must be one of {', '.join(known)}, got {name!r}.")

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

    def write(self, folder: Path | str | None = None) -> list[Path]:
        """Write all tables as CSV and Parquet, and ``summary.json`` with the settings, each whole or not at all.

        Parameters
        ----------
        folder : path, optional
            The study's own, if left out.
        """
        return write_results(self.measured, _made(folder))

    def latex(self, metrics: tuple[str, ...] = ("AP", "AP50", "f1")) -> str:
        """Return the table of doses for a paper; it needs the LaTeX package booktabs."""
        return latex_table(self.measured, metrics)

    def _require(self, metric: str) -> None:
        if metric not in self.metrics:
            raise FrontDoorError(f"`metric` must be one of {', '.join(self.metrics)}, got {metric!r}.")

    def _lines(self) -> list[str]:
        """Return the most important numbers, as lines of text."""
        metric = DEFAULT_METRIC if DEFAULT_METRIC in self.metrics else self.metrics[0]
        baseline, *rows = self.tables.summary
        truth = self.measured.truth
        lines = [
            f"{cut(self.measured.name)}: {len(rows):,} variants and the baseline, {truth.n_images:,} images, "
            f"{truth.n_boxes:,} objects",
            f"baseline {metric} {_number(baseline[metric])}",
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


class Comparison:
    """What two studies lost, side by side; made by `compare`.

    Attributes
    ----------
    metric : str
    by : {"variant", "dose"}
        Whether rows are variants that both studies have, or ablations at a dose.
    same : str
        Why the two are one study, so that every difference is 0; empty if they are not.
    """

    def __init__(self, first: Results, second: Results, metric: str) -> None:
        found = compared(first.measured, second.measured, (metric,))
        self.first, self.second, self.metric, self.by, self.same = first, second, metric, found.by, found.same
        self.rows = found.rows
        self._without_counterpart = (found.only_first, found.only_second)
        self._at_chance = found.at_chance

    @property
    def table(self) -> Any:
        """A row for each common variant or dose: the change in both studies, and the difference of the two."""
        return frame(self.rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that must be read with the numbers; A is the first study, B the second."""
        said = [self.same] if self.same else []
        for letter, results in (("A", self.first), ("B", self.second)):
            said += [f"{letter}: {text}" for text in results.notes]
        if any(self._without_counterpart):
            one, other = self._without_counterpart
            said.append(f"without a counterpart: {one} of A, {other} of B")
        return tuple(said)

    def __repr__(self) -> str:
        lines = [
            f"{letter}: {cut(results.measured.name)}, baseline {self.metric} "
            f"{_number(results.tables.summary[0][self.metric])}"
            for letter, results in (("A", self.first), ("B", self.second))
        ]
        lines.append(f"change of {self.metric} in A, in B, and B − A, by {self.by}:")
        for row in self.rows:
            values = (row[f"{self.metric}_{which}"] for which in ("first", "second", "change"))
            lines.append(
                f"  {'  '.join(_number(value, signed=True) for value in values)}  {cut(str(row['name']))}"
            )
        return "\n".join([*lines, *(f"note: {text}" for text in self.notes)])


def compare(
    first: Study | Results | Path | str, second: Study | Results | Path | str, metric: str = DEFAULT_METRIC
) -> Comparison:
    """Compare what two studies lost, each against its own baseline: of two detectors, or before and after a change.

    Parameters
    ----------
    first, second : Study, Results or path
        A study, its folder, or its results. Studies and folders are measured, without resamples.
    metric : str

    Returns
    -------
    Comparison

    Raises
    ------
    EvalError
        If the studies have no variant and no ablation in common, or `metric` is not in both.

    Examples
    --------
    >>> compare("out/layers", "out/other").table  # doctest: +SKIP
    """
    return Comparison(_results(first, metric), _results(second, metric), metric)


def _results(given: Study | Results | Path | str, metric: str) -> Results:
    if isinstance(given, Results):
        return given
    from .study import Study

    study = (
        given if isinstance(given, Study) else Study.open(given)
    )  # a path, or the location of an object store
    return Results(measure(study, settings=Settings(n_replicates=0, metrics=(metric,))))


def _made(folder: Path | str | None) -> Path | None:
    """Return the folder that files go to, made if it is not there; None for the study's own."""
    if folder is None:
        return None
    location = location_of(folder)
    if not is_remote(location):  # an object store has no folders
        own_folder(location)
    return location


def _number(value: Any, *, signed: bool = False) -> str:
    """Return three decimals; a dash for what is undefined."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:+.3f}" if signed else f"{value:.3f}"
