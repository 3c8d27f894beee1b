"""A study's folder: what was detected, and the way to its numbers, report and pictures."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from dissect_core.progress import MakeBar, no_bar
from dissect_core.store import Study as StoredStudy
from dissect_eval import GroundTruth
from dissect_eval.study import DEFAULT_METRIC, Settings, Spread, counted, in_processes, measure

from .errors import FrontDoorError
from .results import Comparison, Results, compare

__all__ = ["Study"]

_SETTINGS = tuple(name for name in Settings.__dataclass_fields__ if name != "n_replicates")


class Study(StoredStudy):
    """A study's folder, for reading, while it runs or later; made by `run_study`, opened by ``Study.open(folder)``.

    Beside what `dissect_core.store.Study` reads from it (plan, images, detections, log), it is measured here.

    Attributes
    ----------
    path : Path
    facts : mapping
        What must be the same when it goes on, as plain data.

    Examples
    --------
    >>> study = Study.open("out/layers")  # doctest: +SKIP
    >>> study.progress(), len(study.variants)  # doctest: +SKIP
    ((125, 125), 31)
    >>> study.measure(replicates=200).summary  # doctest: +SKIP
    """

    @classmethod
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
        """Return the study that a folder of `dissect_core` holds."""
        return stored if isinstance(stored, Study) else cls(stored.path, stored._record)

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
        """Measure every variant against the truth that is kept with the study; the detector is not needed.

        Parameters
        ----------
        truth : GroundTruth, optional
            Another truth than the one that is kept.
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
        if unknown := [name for name in settings if name not in _SETTINGS]:
            raise FrontDoorError(
                f"`measure` has no setting {', '.join(map(repr, unknown))}. Its settings are: replicates, "
                f"{', '.join(_SETTINGS)}."
            )
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

    def compare(self, other: Study | Results | Path | str, metric: str = DEFAULT_METRIC) -> Comparison:
        """Compare what this study and another one lost, each against its own baseline; see `compare`."""
        return compare(self, other, metric)

    def __repr__(self) -> str:
        done, wanted = self.progress()
        state = "complete" if done == wanted else f"{done:,} of {wanted:,} batches"
        size = f"{counted(len(self.variants), 'variant')} on {counted(len(self.images), 'image')}"
        return f"<Study {self.spec.name!r} in {self.path}: {size}, {state}>"
