"""A study from its spec to its tables, on a COCO data split: what the run panel's worker does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dissect_core.detectors import Detector, DetectorRequest, open_detector
from dissect_core.detectors.trust import agreed_execution
from dissect_core.engine import Listener, PassDone, RunOptions, StopRequest, no_bar, run
from dissect_core.spec import DetectorSpec, StudySpec
from dissect_core.storage import location_of, write_bytes_whole
from dissect_core.store import Study
from dissect_eval import GroundTruth, match_classes
from dissect_eval.study import Settings, StudyTables, measure

from ..detector import fit_text
from ..errors import RunInputError


class RunOutcome(NamedTuple):
    """How a run ended, where no error ended it.

    Attributes
    ----------
    folder : Path
        The study's.
    is_finished : bool
        Whether all was done; False after it was asked to stop.
    """

    folder: Path
    is_finished: bool


class Runner(Protocol):
    """What a run does: `StudyRunner`, or a callable of your own."""

    def __call__(
        self,
        spec: StudySpec,
        watch: Callable[[PassDone], object],
        stop: StopRequest,
        say: Callable[[str], object],
        /,
    ) -> RunOutcome:
        """Run a study, tell `watch` of each pass and `say` what people read; end early once `stop` is asked."""
        ...


class _StoppedError(Exception):
    """Somebody asked to stop while the study was measured."""


QUICK = 0
"""Resamples for the finished part of a run that was stopped: its numbers come without intervals, but soon."""


@dataclass
class StudyRunner:
    """Run a study over images with their truth, measure it, and write its tables into its folder.

    Parameters
    ----------
    images : Path or str
        Folder of the images.
    annotations : Path or str
        Their truth, a COCO instances file.
    out : Path or str
        The study's folder: not there, empty, or holding a part of this study; or a URL like ``s3://bucket/study``.
    detector : Detector, DetectorSpec or None
        The detector, or how to open one; None takes what the study names.
    limit : int, optional
        Only the first images.
    batch_size : int
    n_replicates : int, optional
        Resamples of the images for intervals and p-values, as in `dissect_eval.study.Settings`; 0 leaves them out.
    facts : mapping
        What else must stay the same if the study goes on.
    trust : bool
        Let the study run code: open its detector as `open_detector` with ``trust=True`` does, and join the cluster that
        it names.
    common_classes, class_map
        Which classes are scored, where detector and truth share only some; see `dissect_eval.match_classes`.

    Raises
    ------
    RunInputError
        When it is called: if images are missing, the file holds none, or there is no detector.
    DissectError, EvalError
        When it is called: as `dissect_core.engine.run` and `dissect_eval.study.measure` raise.
    """

    images: Path | str
    annotations: Path | str
    out: Path | str
    detector: Detector | DetectorSpec | None = None
    limit: int | None = None
    batch_size: int = 1
    n_replicates: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    common_classes: bool = False
    class_map: Mapping[str, str | None] | None = None
    trust: bool = False

    def __call__(
        self,
        spec: StudySpec,
        watch: Callable[[PassDone], object],
        stop: StopRequest,
        say: Callable[[str], object],
    ) -> RunOutcome:
        """Run it; see `RunModel`."""
        execution = agreed_execution(spec.execution, trust=self.trust)
        truth = GroundTruth.from_coco(Path(self.annotations))
        truth = truth if self.limit is None else truth.subset(truth.image_ids[: self.limit].tolist())
        paths = self._paths(truth)
        say("opening the detector")
        detector = self._opened(spec)
        if told := fit_text(detector):
            say(told)
        scoring: dict[str, Any] = {"common_classes": self.common_classes, "class_map": self.class_map}
        match_classes(truth, detector.class_names, **scoring)  # before hours of work
        if stop.asked:
            return RunOutcome(location_of(self.out), is_finished=False)
        study = run(
            spec,
            self._for_run(spec, detector),
            paths,
            self.out,
            RunOptions(batch_size=self.batch_size, **scoring),
            truth=truth,
            execution=execution,
            facts=self.facts,
            listener=Listener(bar=no_bar, watch=watch, stop=stop, say=say),
        )
        if study.is_complete:
            say("measuring")
            if self._measured(study, self.n_replicates, lambda: stop.asked):
                say("the tables are written")
                return RunOutcome(study.path, is_finished=True)
        if study.progress()[0]:
            say("measuring what is finished; cancel again to leave that out")
            kept = self._measured(study, QUICK, lambda: stop.is_urgent)
            say("the numbers of what is finished are written" if kept else "nothing is measured")
        return RunOutcome(study.path, is_finished=False)

    def _measured(self, study: Study, n_replicates: int | None, is_stopped: Callable[[], bool]) -> bool:
        """Measure a study and write its tables, unless somebody stops it."""
        settings = Settings(n_replicates=n_replicates)
        try:
            results = measure(study, settings=settings, partial=True, bar=_stopping_bar(is_stopped))
        except _StoppedError:
            return False
        for name, content in StudyTables.of(results).files().items():
            write_bytes_whole(study.path / name, content)
        return True

    def _paths(self, truth: GroundTruth) -> list[Path]:
        folder = Path(self.images)
        paths = [folder / name for name in truth.file_names]
        missing = [path.name for path in paths if not path.is_file()]
        if not paths:
            raise RunInputError(f"`annotations` must name an image, {self.annotations} names none.")
        if missing:
            raise RunInputError(
                f"`images` must be the folder of the images in `annotations`: {len(missing):,} of {len(paths):,} are "
                f"not in {folder}, for instance {', '.join(missing[:3])}."
            )
        return paths

    def _for_run(self, spec: StudySpec, opened: Detector) -> Detector | DetectorRequest:
        """Workers of a cluster open the detector themselves, where it is known how; else they get a copy."""
        given = self._given(spec)
        return given if isinstance(given, DetectorRequest) and spec.execution.engine != "local" else opened

    def _opened(self, spec: StudySpec) -> Detector:
        given = self._given(spec)
        return open_detector(given) if isinstance(given, DetectorRequest) else given

    def _given(self, spec: StudySpec) -> Detector | DetectorRequest:
        given = self.detector if self.detector is not None else spec.detector
        if given is None:
            raise RunInputError("`detector` must be given, or named by the study, got neither.")
        return DetectorRequest(given, trust=self.trust) if isinstance(given, DetectorSpec) else given


def _stopping_bar(is_stopped: Callable[[], bool]) -> Callable[[int, str, str], AbstractContextManager[Any]]:
    """A progress bar that shows nothing, and ends the work once somebody asks."""

    class Bar:
        def update(self, n: int = 1, /) -> None:
            if is_stopped():
                raise _StoppedError

    @contextmanager
    def bar(_total: int, _unit: str, _label: str) -> Iterator[Bar]:
        yield Bar()

    return bar
