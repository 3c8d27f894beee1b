"""Two studies side by side: what each lost against its own baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dissect_core.arguments import checked_arguments
from dissect_core.text import cut
from dissect_eval.study import DEFAULT_METRIC, Settings, compare as compared, frame, measure

from .study import Results, Study, number_text

__all__ = ["Comparison", "compare"]


class Comparison:
    """What two studies lost, side by side; made by `compare`.

    Attributes
    ----------
    metric : str
    by : {"variant", "dose"}
        Whether rows are variants that both studies have, or ablations at a dose.
    same : str
        Why both are the same study, so that every difference is 0; empty if they are not.
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
            f"{number_text(results.tables.summary[0][self.metric])}"
            for letter, results in (("A", self.first), ("B", self.second))
        ]
        lines.append(f"change of {self.metric} in A, in B, and B − A, by {self.by}:")
        for row in self.rows:
            values = (row[f"{self.metric}_{which}"] for which in ("first", "second", "change"))
            lines.append(
                f"  {'  '.join(number_text(value, signed=True) for value in values)}  {cut(str(row['name']))}"
            )
        return "\n".join([*lines, *(f"note: {text}" for text in self.notes)])


@checked_arguments()
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
    study = (
        given if isinstance(given, Study) else Study.open(given)
    )  # a path, or the location of an object store
    return Results(measure(study, settings=Settings(n_replicates=0, metrics=(metric,))))
