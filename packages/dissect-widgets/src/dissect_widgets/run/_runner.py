"""The work of the run panel's thread: run a study by `deep_dissect.run_study`, measure it, and write its report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from deep_dissect import CocoSplit, Results, Study, run_study
from dissect_core.detectors import Detector
from dissect_core.engine import Listener, PassDone, StopRequest
from dissect_core.progress import Bar, MakeBar, no_bar
from dissect_core.spec import DetectorSpec, StudySpec
from dissect_core.storage import location_of

from ..figure.plots import themed

QUICK = 0
"""Resamples for the finished part of a run that was stopped: its numbers come without intervals, but soon."""


class RunOutcome(NamedTuple):
    """How a run ended without an error.

    Attributes
    ----------
    folder : Path
        The study's folder.
    is_finished : bool
        Whether everything was done; False if it was asked to stop.
    """

    folder: Path
    is_finished: bool


class Runner(Protocol):
    """Runs a study for `RunModel`: a `StudyRunner`, or a callable of your own."""

    def __call__(
        self,
        spec: StudySpec,
        watch: Callable[[PassDone], object],
        stop: StopRequest,
        say: Callable[[str], object],
        /,
    ) -> RunOutcome:
        """Run a study; call `watch` for each pass and `say` with texts to show; end early once ``stop.asked``."""
        ...


class StudyRunner:
    """Run a study as `deep_dissect.run_study` does, measure it, and write its tables and report into its folder.

    A run can be stopped at any time; what is finished of it is then measured quickly, without intervals.

    Parameters
    ----------
    data : deep_dissect.CocoSplit
        The images with their truth.
    out : Path or str
        The study's folder: a new one, empty, or with a part of this study; or a URL like ``s3://bucket/study``.
    detector : Detector, DetectorSpec or str, optional
        The detector, or how to open one; by default the one that the study names.
    replicates : int, optional
        Resamples of the images for intervals and p-values, as for `deep_dissect.Study.measure`; 0 leaves them out.
    **options
        Further arguments of `run_study`: ``batch_size=4``, ``trust=True``.

    Raises
    ------
    DissectError, EvalError
        When it is called, by `run_study` and `Study.measure`.
    """

    def __init__(
        self,
        data: CocoSplit,
        out: Path | str,
        detector: Detector | DetectorSpec | str | None = None,
        *,
        replicates: int | None = None,
        **options: Any,
    ) -> None:
        self.data, self.out, self.detector = data, out, detector
        self.replicates, self.options = replicates, options

    def __call__(
        self,
        spec: StudySpec,
        watch: Callable[[PassDone], object],
        stop: StopRequest,
        say: Callable[[str], object],
    ) -> RunOutcome:
        """Run the study, and write its tables and report; see `Runner`."""
        if stop.asked:  # while the data were read
            return RunOutcome(location_of(self.out), is_finished=False)
        say("opening the detector")
        listener = Listener(bar=no_bar, watch=watch, stop=stop, say=say)
        study = run_study(spec, self.detector, self.data, self.out, listener=listener, **self.options)
        if study.is_complete:
            say("measuring")
            results = self._measured(study, self.replicates, lambda: stop.asked)
            if results is not None:
                results.write()
                say("drawing the report")
                with themed("light"):  # the report's page is light, whatever the panels' theme is
                    results.report(images=self.data.folder)
                say("the tables and the report are written")
                return RunOutcome(study.path, is_finished=True)
        if study.progress()[0]:
            say("measuring what is finished; cancel again to leave that out")
            results = self._measured(study, QUICK, lambda: stop.is_urgent)
            if results is not None:
                results.write()
            say("nothing is measured" if results is None else "the numbers of what is finished are written")
        return RunOutcome(study.path, is_finished=False)

    def _measured(
        self, study: Study, replicates: int | None, is_stopped: Callable[[], bool]
    ) -> Results | None:
        """Measure what is finished of a study; return None if the user stops that."""
        try:
            return study.measure(replicates=replicates, partial=True, bar=_bar_while_not(is_stopped))
        except _StoppedError:
            return None


class _StoppedError(Exception):
    """The user asked to stop while a study was measured."""


def _bar_while_not(is_stopped: Callable[[], bool]) -> MakeBar:
    """Return a progress bar that shows nothing, and raises `_StoppedError` once the user asks to stop."""

    class StoppingBar:
        def update(self, n: int = 1, /) -> None:
            if is_stopped():
                raise _StoppedError

    @contextmanager
    def bar(_total: int, _unit: str, _label: str) -> Iterator[Bar]:
        yield StoppingBar()

    return bar
