"""The one way from a study to its folder: the command, the panels, the demo and notebooks all go through `run_study`.

What a run needs is put together here: images with their truth, the classes that are scored, the detector and how
workers open it. So no caller can leave a part out.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from dissect_core.arguments import check_value, checked_arguments
from dissect_core.detectors import (
    Detector,
    DetectorRequest,
    available_detectors,
    missing_members,
    offered,
    open_detector,
)
from dissect_core.detectors.trust import agreed_execution
from dissect_core.engine import Listener, RunOptions, plan_study, run
from dissect_core.names import near_hint
from dissect_core.plan import Plan, scores_needed
from dissect_core.progress import Bar, no_bar
from dissect_core.spec import DetectorSpec, Execution, RayExecution, StudySpec, load_spec
from dissect_core.storage import location_of
from dissect_core.text import quoted, visible
from dissect_eval import match_classes

from .data import CocoSplit
from .errors import FrontDoorError
from .studies import study_path
from .study import Study

__all__ = [
    "Detector",
    "Listener",
    "Plan",
    "RunOptions",
    "StudySpec",
    "available_detectors",
    "detector_of",
    "load_spec",
    "loaded",
    "open_detector",
    "plan",
    "run_study",
    "spec_of",
]

_OPTIONS = tuple(RunOptions.__dataclass_fields__)


def spec_of(study: str | PathLike[str] | Mapping[str, Any] | StudySpec | Plan) -> StudySpec:
    """Return the specification of a study, however it is given.

    Parameters
    ----------
    study : str, path, mapping, StudySpec or Plan
        Name of a shipped study, a file, its content, or a specification or plan.

    Raises
    ------
    FrontDoorError
        If it is neither a file nor the name of a shipped study.
    SpecError
        If its content is no study.

    Examples
    --------
    >>> spec_of("layer_knockout").name
    'Knock out layers and sublayers'
    """
    if isinstance(study, Plan):
        return study.spec
    if isinstance(study, StudySpec):
        return study
    if isinstance(study, Mapping):
        return load_spec(study)
    if not isinstance(study, (str, PathLike)):
        raise FrontDoorError(
            f"`study` must be the name of a shipped study, a file, its content or a StudySpec, got {quoted(study)}."
        )
    check_value("study", study, Path | str)
    return load_spec(study_path(Path(study) if not isinstance(study, str) else study))


@checked_arguments(study=None, data="CocoSplit('instances_val2017.json', 'val2017')")
def plan(
    study: str | PathLike[str] | Mapping[str, Any] | StudySpec,
    detector: Detector,
    data: CocoSplit | None = None,
    *,
    class_map: Mapping[str, str | None] | None = None,
    listener: Listener | None = None,
) -> Plan:
    """List every variant of a study of a detector, the baseline first.

    Parameters
    ----------
    study : str, path, mapping or StudySpec
        Name of a shipped study (`shipped_studies`), a file, or its content.
    detector : Detector
        From `open_detector`.
    data : CocoSplit, optional
        Images with their truth, for studies that select units by gradients (`weight_gradient`, `head_importance`).
    class_map : mapping of str to (str or None), optional
        The truth's name for names of the detector; see `run_study`.
    listener : Listener, optional
        Shows how far the scores are.

    Returns
    -------
    Plan
        Its length is the number of variants; ``plan[3]`` is one of them, which ``detector.ablated(plan[3])`` applies.

    Raises
    ------
    FrontDoorError
        If the study is neither a file nor a shipped one, or needs `data` and there are none.
    DissectError
        If the study does not fit the detector.

    Examples
    --------
    >>> detector = open_detector("demo:detr")  # doctest: +SKIP
    >>> len(plan("layer_knockout", detector))  # doctest: +SKIP
    19
    """
    spec = spec_of(study)
    _require_detector(detector)
    by_gradient = [name for name in scores_needed(spec) if name != "weight_norm"]
    if by_gradient and data is None:
        raise FrontDoorError(
            f"`data` must be given for {quoted(spec.name)}, which selects by {', '.join(by_gradient)}: that takes "
            "images with their truth. Pass a CocoSplit."
        )
    images, truth = ((), None) if data is None else (data.images, data.truth)
    bar = no_bar if listener is None else listener.bar
    return plan_study(spec, detector, images, truth, class_map=class_map, bar=bar)


@checked_arguments(study=None, detector=None, data="CocoSplit('instances_val2017.json', 'val2017')")
def run_study(
    study: str | PathLike[str] | Mapping[str, Any] | StudySpec | Plan,
    detector: Detector | DetectorSpec | DetectorRequest | str | None,
    data: CocoSplit,
    out: str | PathLike[str],
    *,
    execution: Execution | None = None,
    facts: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
    trust: bool = False,
    options: RunOptions | None = None,
    **further: Any,
) -> Study:
    """Run every variant of a study over images, and keep what it detects in a folder.

    A run that was stopped or killed goes on where it was when it is called again, and gives the same files as one that
    was left alone. A folder that holds another study is refused, and what differs is named: spec, weights, config,
    class names, images, truth and versions of libraries are on record.

    Parameters
    ----------
    study : str, path, mapping, StudySpec or Plan
        Name of a shipped study, a file, its content, or a plan. The variants of a plan must be those that its study
        gives for this detector and data.
    detector : Detector, str, DetectorSpec or DetectorRequest, optional
        An open detector, the name of a bundled one, or how to open one; left out, the one that the study names.
        Workers of a cluster open it themselves, or get a copy if it is open already.
    data : CocoSplit
        Images with their truth.
    out : path
        The study's folder: not there, empty, or holding this study; or a URL like ``s3://bucket/study``.
    execution : LocalExecution or RayExecution, optional
        Which engine runs it; left out, as the study says, whose cluster is joined only with `trust`. Each call may use
        another one: the results are the same.
    facts : mapping, optional
        What else must stay the same when the study goes on, as plain data.
    listener : Listener, optional
        Shows how the run goes on, and can stop it. Left out, a progress bar on standard error.
    trust : bool
        Let the study run code: open its detector as `open_detector` with ``trust=True`` does, and join the cluster
        that it names.
    options : RunOptions, optional
        How it is run.
    **further
        Fields of `RunOptions`, instead: ``batch_size=4``.

    Returns
    -------
    Study
        `is_complete` tells whether it was run to its end; `measure` gives its numbers.

    Raises
    ------
    FrontDoorError
        If there is no detector, or an option is unknown.
    DissectError, EvalError
        As `dissect_core.engine.run` raises, and if class names of detector and truth do not fit together.

    Examples
    --------
    >>> data = CocoSplit("demo:scenes", limit=8)  # doctest: +SKIP
    >>> study = run_study("layer_knockout", "demo:detr", data, "layers", batch_size=4)  # doctest: +SKIP
    >>> study.measure(replicates=200).summary  # doctest: +SKIP
    """
    spec, options, listener = spec_of(study), _options(options, further), listener or Listener()
    location = location_of(out)
    execution = execution or agreed_execution(spec.execution, trust=trust)
    given = detector_of(spec, detector, trust=trust)
    if options.on_bad_image == "fail":
        data.require_images()
    opened = _opened(given, execution)
    if isinstance(execution, RayExecution) and not scores_needed(spec):
        plan_study(spec, opened)  # refuses what does not fit the detector before a cluster is asked
    match = match_classes(
        data.truth, opened.class_names, common_classes=options.common_classes, class_map=options.class_map
    )
    if note := match.note():  # before hours of work
        listener.say(f"note: {note}")
    begin = _Telling(opened, listener)
    runs = given if isinstance(execution, RayExecution) else opened
    del opened  # workers have their own
    done = run(
        study if isinstance(study, Plan) else spec,
        runs,
        data.images,
        location,
        options,
        truth=data.truth,
        refs=data.refs,
        execution=execution,
        facts=facts,
        listener=replace(listener, bar=begin.bar),
    )
    begin.tell()
    return Study.of(done)


class _Telling:
    """Says what was loaded of a detector when the first pass begins: after everything that may refuse the study."""

    def __init__(self, detector: Detector, listener: Listener) -> None:
        self._listener, self._text = listener, loaded(detector)

    def tell(self) -> None:
        """Say it once."""
        if self._text:
            self._listener.say(self._text)
        self._text = ""

    def bar(self, total: int, unit: str, label: str) -> AbstractContextManager[Bar]:
        """Make a progress bar of the listener's."""
        if unit == "pass":
            self.tell()
        return self._listener.bar(total, unit, label)


def loaded(detector: object) -> str:
    """Return what a detector says of its checkpoint, and of how much of it fitted; empty if it says nothing.

    Examples
    --------
    >>> loaded(object())
    ''
    """
    fit = offered(detector, "fit")
    describe, name = getattr(fit, "describe", None), getattr(fit, "checkpoint", "")
    return visible(f"{name}: {describe()}" if name else str(describe())) if callable(describe) else ""


def _options(options: RunOptions | None, further: Mapping[str, Any]) -> RunOptions:
    """Return the options of a run, given as an object or as keywords."""
    for name in further:
        if name not in _OPTIONS:
            raise FrontDoorError(
                f"`run_study` has no option {quoted(name)}.{near_hint(name, _OPTIONS)} Its options are: "
                f"{', '.join(_OPTIONS)}."
            )
    return replace(options, **further) if options is not None else RunOptions(**further)


def detector_of(
    spec: StudySpec, detector: Detector | DetectorSpec | DetectorRequest | str | None, *, trust: bool
) -> Detector | DetectorRequest:
    """Return an open detector, or how to open the given one or the one that the study names."""
    given = detector if detector is not None else spec.detector
    if given is None:
        raise FrontDoorError("`detector` must be given, or named by the study, got neither.")
    if isinstance(given, str):
        given = DetectorSpec(adapter=given)
    if isinstance(given, DetectorSpec):
        return DetectorRequest(given, trust=trust)
    if not isinstance(given, DetectorRequest):
        _require_detector(given)
    return given


def _require_detector(detector: object) -> None:
    """Refuse what is no open detector.

    Raises
    ------
    FrontDoorError
    """
    if missing := missing_members(detector):
        raise FrontDoorError(
            f"`detector` must be an open detector, as `open_detector` gives one; {quoted(detector)} has no "
            f"{', '.join(missing)}."
        )


def _opened(given: Detector | DetectorRequest, execution: Execution) -> Detector:
    """Open a detector in this process: the leader of a cluster needs no GPU, unlike its workers."""
    if not isinstance(given, DetectorRequest):
        return given
    if isinstance(execution, RayExecution) and "device" in {**given.named.options, **given.options}:
        given = replace(given, options={**given.options, "device": "cpu"})
    return open_detector(given)
