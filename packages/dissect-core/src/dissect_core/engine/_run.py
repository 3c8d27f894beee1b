"""Running a study: images outside, variants inside, and nothing lost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..detectors import Detector, DetectorRequest, open_detector
from ..detectors.trust import agreed_execution
from ..errors import StudyError, StudyLockedError
from ..progress import MakeBar, PassDone, say_beside_bars, tqdm_bar
from ..spec import DetectorSpec, Execution, LocalExecution, RayExecution, StudySpec
from ..storage.locations import place_of
from ..store._create import ImageRef
from ..store._holder import Holder
from ..store._study import Study
from ..store._truth import StudyTruth
from ._caller import Caller
from ._identity import identified
from ._loading import OnBadImage, annotated_sizes
from ._precision import Precision, in_precision
from ._stop import StopRequest, stop_on_interrupt
from ._task import Described, Task, open_folder, say_what_is_not_on_record
from ._threads import computing_with, threads_of
from .local import run_here


def run(
    spec: StudySpec,
    detector: Detector | DetectorSpec | DetectorRequest,
    images: Sequence[Path | str],
    out: Path | str,
    *,
    execution: Execution | None = None,
    refs: Sequence[ImageRef] | None = None,
    truth: StudyTruth | None = None,
    facts: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
    batch_size: int = 1,
    shard_images: int = 32,
    replay: bool = True,
    verify: float = 0.0,
    max_bytes: int | None = None,
    precision: Precision = "full",
    on_bad_image: OnBadImage = "fail",
    common_classes: bool = False,
    class_map: Mapping[str, str | None] | None = None,
    allow_random: bool | None = None,
    repair: bool = False,
    ahead: int = 2,
    bar: MakeBar = tqdm_bar,
    watch: Callable[[PassDone], object] | None = None,
    stop: StopRequest | None = None,
    say: Callable[[str], object] = say_beside_bars,
) -> Study:
    """Run every variant of a study over images, and keep what it detects in a folder.

    A run that was stopped or killed goes on where it was when it is called again, and gives the same files as one that
    was left alone.

    Parameters
    ----------
    spec : StudySpec
    detector : Detector, DetectorSpec or DetectorRequest
        The detector, or how to open it: of a spec only what runs no code, as `open_detector` says, of a request what
        the user lets it. Workers of a cluster are handed a copy of an open one.
    images : sequence of Path or str
    out : Path or str
        The study's folder: not there, empty, or holding this study. Or such a prefix of an object store, by its URL:
        ``s3://bucket/study``.
    execution : LocalExecution or RayExecution, optional
        What computes it; as the spec says, if left out, which may not name a cluster by its address then. It may be
        another one each time: the results are the same.
    refs : sequence of ImageRef, optional
        How the annotation file names and numbers the images. Left out, the truth tells: the image whose file name is at
        the end of the path. Without a truth, file names and 0, 1, ...
    truth : StudyTruth, optional
        Ground truth of the images, a `dissect_eval.GroundTruth`; of further images it may be, too, which count nowhere
        then. It is kept in the folder, where `dissect_eval.study.measure` finds it. The detector's `prepare_with_truth`
        gets it for scores by gradients and optimal constants.
    facts : mapping, optional
        What else must stay the same if the study goes on, as plain data: spec, detector, images, truth and versions of
        libraries are on record anyway.
    files : mapping of str to bytes, optional
        Further files to keep in the folder.
    batch_size : int
        Images of a batch. Some detectors pad the images of a batch to one size, which shows in the detections.
    shard_images : int
        Images of a file of detections, rounded up to whole batches.
    replay : bool
        Run variants of a torch model by prefix replay, which is exact.
    verify : float
        Share of the pairs of variant and batch that are run in full too, to compare, in [0, 1]. Beside these, on the
        first batch of each process, the baseline is run twice and up to eight variants in full, above all those that
        detect what the baseline does.
    max_bytes : int, optional
        Bound of the memory for prefix replay's records.
    precision : {"full", "bf16", "fp16"}
        Compute in half precision where `torch.autocast` does. Numbers become others, so a study keeps to one.
    on_bad_image : {"fail", "skip"}
        What to do about an image that cannot be read, at which the whole detector stops, or that has another size
        than its truth says; a skipped one is recorded as such.
    common_classes : bool
        Score the classes that detector and truth both know, whenever the study is measured: it is on record.
    class_map : mapping of str to (str or None), optional
        For names of the detector the truth's, or None to leave a class out: on record, too, and what scores by
        gradients and optimal constants go by. `dissect_eval.match_classes` says more of both.
    allow_random : bool, optional
        Whether to take a detector that gives something else each time for the same images: False refuses it, True
        takes it. It is run in full then, and the baseline eleven times: what these differ among themselves is the
        floor of every claim. Left out, it is taken with a `RandomDetectorWarning`. A study that goes on keeps to what
        it was begun with.
    repair : bool
        Compute what is damaged in the folder again, and keep the damaged files beside it, under names that end in
        ``.damaged``. Without it, a damaged folder is an error that names the file.
    ahead : int
        Batches read ahead of the detector, 0 or more.
    bar : callable
        Makes progress bars; `no_bar` makes none.
    watch : callable, optional
        Called after each pass, on the thread of the run.
    stop : StopRequest, optional
        Ask it, from any thread, to stop after the batch at hand. Ctrl-C does the same.
    say : callable
        Takes messages for people.

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
    task = Task(
        spec,
        [Path(image) for image in images],
        place_of(out),
        batch_size=batch_size,
        shard_images=shard_images,
        replay=replay,
        verify=verify,
        max_bytes=max_bytes,
        precision=precision,
        on_bad_image=on_bad_image,
        common_classes=common_classes,
        class_map=class_map,
        allow_random=allow_random,
        repair=repair,
        ahead=ahead,
    )
    task.check()
    refs, kept = identified(task.paths, truth, refs, facts or {}, files or {}, say)
    if truth is not None:
        task = replace(task, sizes=annotated_sizes(truth, [ref.image_id for ref in refs]))
    request = StopRequest() if stop is None else stop
    holder = Holder(on_lost=request.ask)
    caller = Caller(bar, watch, say, request, holder)
    execution = execution or agreed_execution(spec.execution)
    if isinstance(execution, RayExecution) and not execution.gpus_per_worker and _is_complete(task.out):
        execution = LocalExecution()  # only to compare: no cluster is needed for that
    if not isinstance(execution, LocalExecution):
        from .ray import run_on_cluster

        run_on_cluster(task, detector, execution, refs, kept, truth, caller)
    else:
        opened = (
            detector if not isinstance(detector, (DetectorSpec, DetectorRequest)) else open_detector(detector)
        )
        in_precision(opened, precision)  # before anything is written
        variants = task.planned(opened, truth, bar)
        for note in variants.notes:
            say(f"note: {note}")
        described = Described.of(task, opened, variants, bar)
        say_what_is_not_on_record(described, say)
        folder = open_folder(task, described, refs, **kept, threads=threads_of(opened))
        with folder.locked(holder, say), stop_on_interrupt(request, say), computing_with(folder.threads):
            run_here(task, opened, described, folder, truth, caller)
    if holder.is_lost:
        raise StudyLockedError(
            f"The study {task.out} was taken over by {holder.taken_by}, as this run was not heard of for too long. "
            "What it has finished is kept; wait for the other one."
        )
    return Study.open(task.out)


def _is_complete(place: Path) -> bool:
    """Whether a finished study is there."""
    try:
        return Study.open(place).is_complete
    except StudyError:  # none, or one that cannot be read: the run says so
        return False
