"""Running a study: for each batch of images all variants, and what is finished is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..detectors import Detector, DetectorRequest, open_detector
from ..detectors.trust import agreed_execution
from ..errors import StudyError, StudyLockedError
from ..plan import Plan
from ..spec import DetectorSpec, Execution, LocalExecution, RayExecution, StudySpec
from ..storage.locations import location_of
from ..store._holder import Holder
from ..store._images import ImageRef
from ..store._study import Study
from ..store._truth import StudyTruth
from ._computing import computing_with, in_precision, threads_of
from ._fingerprint import Described, Known, open_folder
from ._loading import annotated_sizes
from ._options import Listener, RunOptions
from ._stop import StopRequest, stop_on_interrupt
from ._task import Caller, Task
from .local import run_here


def run(
    spec: StudySpec | Plan,
    detector: Detector | DetectorSpec | DetectorRequest,
    images: Sequence[Path | str],
    out: Path | str,
    options: RunOptions | None = None,
    *,
    truth: StudyTruth | None = None,
    refs: Sequence[ImageRef] | None = None,
    execution: Execution | None = None,
    facts: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
    listener: Listener | None = None,
) -> Study:
    """Run every variant of a study over images, and keep what it detects in a folder.

    A run that was stopped or killed goes on where it was when it is called again, and gives the same files as one that
    was left alone.

    Parameters
    ----------
    spec : StudySpec or Plan
        What to ablate. Of a plan, the variants must be those that its study gives on this detector and these images.
    detector : Detector, DetectorSpec or DetectorRequest
        The detector, or how to open it: of a spec only what runs no code, as `open_detector` says, of a request what
        the user lets it. Workers of a cluster are handed a copy of an open one.
    images : sequence of Path or str
    out : Path or str
        The study's folder: not there, empty, or holding this study. Or such a prefix of an object store, by its URL:
        ``s3://bucket/study``.
    options : RunOptions, optional
        How it is run.
    truth : StudyTruth, optional
        Ground truth of the images, a `dissect_eval.GroundTruth`; further images in it are left out. It is kept in the
        folder, where `dissect_eval.study.measure` finds it. The detector's `prepare_with_truth` gets it for scores by
        gradients and optimal constants.
    refs : sequence of ImageRef, optional
        Names and ids of the images in the annotation file. Left out, each path is the image of the truth whose file
        name is at its end; without a truth, names are those of the files, and ids 0, 1, ...
    execution : LocalExecution or RayExecution, optional
        What computes it. Left out, as the spec says, which must not name the address of a cluster then. It may be
        another one each time: the results are the same.
    facts : mapping, optional
        Further plain data that must stay the same if the study goes on. Spec, detector, images, truth, options that
        change numbers, and versions of libraries are always on record.
    files : mapping of str to bytes, optional
        Further files to keep in the folder.
    listener : Listener, optional
        Is told how the run goes on, and can stop it. Left out, a progress bar on standard error.

    Returns
    -------
    Study
        `is_complete` tells whether it was run to its end.

    Raises
    ------
    StudyError
        If an argument is out of range, an image is not in the truth, or the folder is damaged or cannot be used.
    StudyChangedError
        If the folder holds a study that differs; all differences are named. Or if an image's file is another one than a
        finished batch has seen.
    PlanError
        If a plan is none for this detector and these images.
    StudyLockedError
        If another run is at work there.
    ShardsFailedError
        If workers of a cluster have given up a shard; all others are finished then.
    RandomDetectorError
        If the detector gives something else for the same images the second time, and that is refused.
    ReplayError
        If a verified pass differs; the first module that does is named.
    BadImageError
        If an image is bad, and none is to be skipped.
    UntrustedError
        If the spec asks for something that may run code: a detector's option, or to join a cluster.
    DissectError
        As the plan and the detector raise.
    """
    listener = listener or Listener()
    plan = spec if isinstance(spec, Plan) else None
    spec = spec.spec if isinstance(spec, Plan) else spec
    paths = [Path(image) for image in images]
    task = Task(spec, paths, location_of(out), options or RunOptions(), plan=plan)
    if not task.paths:
        raise StudyError("`images` must name at least one, got none.")
    known = Known.of(task.paths, truth, refs, facts, files, listener.say)
    if truth is not None:
        task = replace(task, sizes=annotated_sizes(truth, [ref.image_id for ref in known.refs]))
    request = listener.stop or StopRequest()
    holder = Holder(on_lost=request.ask, on_stop=lambda: _asked_elsewhere(request, listener))
    caller = Caller(listener, request, holder)
    execution = execution or agreed_execution(spec.execution)
    if isinstance(execution, RayExecution) and not execution.gpus_per_worker and _is_complete(task.out):
        execution = LocalExecution()  # only to compare: no cluster is needed for that
    if not isinstance(execution, LocalExecution):
        from .ray import run_on_cluster

        run_on_cluster(task, detector, execution, known, truth, caller)
    else:
        opened = (
            detector if not isinstance(detector, (DetectorSpec, DetectorRequest)) else open_detector(detector)
        )
        in_precision(opened, task.options.precision)  # before anything is written
        variants = task.planned(opened, truth, listener.bar)
        for note in variants.notes:
            listener.say(f"note: {note}")
        described = Described.of(task, opened, variants, listener.bar)
        described.say_what_is_missing(listener.say)
        folder = open_folder(task, known, described, threads_of(opened))
        with (
            folder.locked(holder, listener.say),
            stop_on_interrupt(request, listener.say),
            computing_with(folder.threads),
        ):
            run_here(task, opened, described, folder, truth, caller)
    if holder.is_lost:
        raise StudyLockedError(
            f"The study {task.out} was taken over by {holder.taken_by}, as this run gave no sign of life for too long. "
            "What it has finished is kept; wait for the other one."
        )
    return Study.open(task.out)


def _is_complete(place: Path) -> bool:
    """Return whether a finished study is there."""
    try:
        return Study.open(place).is_complete
    except StudyError:  # none, or one that cannot be read: the run says so
        return False


def _asked_elsewhere(request: StopRequest, listener: Listener) -> None:
    """Stop since another process asks for it, and say so."""
    if not request.asked:
        listener.say("stopping after this batch: another process asks for it")
    request.ask()
