"""Running a study: images outside, variants inside, and nothing lost."""

import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..detectors import Detector, TorchDetector
from ..errors import StudyError
from ..spec import StudySpec
from . import _layout
from ._create import ImageRef
from ._describe import describe, plan_rows
from ._facts import versions
from ._folder import StudyFolder
from ._images import BatchWork, OnBadImage
from ._inputs import ReferenceActivations, planned
from ._loading import loaded_ahead
from ._passes import Passes, PlainPasses, ReplayedPasses
from ._precision import Precision, in_precision
from ._progress import MakeBar, PassDone, Stopwatch, no_bar, say_beside_bars, tqdm_bar
from ._stop import StopRequest, stop_on_interrupt
from ._study import Study

_EFFECTS: pa.Schema = pa.schema(
    [
        ("id", pa.string()),
        ("output_change", pa.float64()),
        ("no_op", pa.string()),
        ("flops_saved", pa.float64()),
    ]
)


def run(
    spec: StudySpec,
    detector: Detector,
    images: Sequence[Path | str],
    out: Path | str,
    *,
    refs: Sequence[ImageRef] | None = None,
    truth: Any = None,
    facts: Mapping[str, Any] | None = None,
    files: Mapping[str, bytes] | None = None,
    batch_size: int = 1,
    shard_images: int = 32,
    replay: bool = True,
    verify: float = 0.0,
    max_bytes: int | None = None,
    precision: Precision = "full",
    on_bad_image: OnBadImage = "fail",
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
    detector : Detector
    images : sequence of Path or str
    out : Path or str
        The study's folder: not there, empty, or holding this study.
    refs : sequence of ImageRef, optional
        How the annotation file names and numbers the images; their file names and 0, 1, ... if left out.
    truth : object, optional
        As the detector's `prepare_with_truth` takes it: for scores by gradients and optimal constants.
    facts : mapping, optional
        What else must stay the same if the study goes on, as plain data: checksums of the checkpoint, say.
    files : mapping of str to bytes, optional
        Further files to keep in the folder.
    batch_size : int
        Images of a batch. Some detectors pad the images of a batch to one size, which shows in the detections.
    shard_images : int
        Images of a file of detections, rounded up to whole batches.
    replay : bool
        Run variants of a torch model by prefix replay, which is exact.
    verify : float
        Share of the pairs of variant and batch that are run in full too, to compare, in [0, 1].
    max_bytes : int, optional
        Bound of the memory for prefix replay's records.
    precision : {"full", "bf16", "fp16"}
        Compute in half precision where `torch.autocast` does. Numbers become others, so a study keeps to one.
    on_bad_image : {"fail", "skip"}
        What to do about an image that cannot be read; a skipped one is recorded as such.
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
        If an argument is out of range, or the folder cannot be used.
    StudyChangedError
        If the folder holds a study that differs; all differences are named.
    StudyLockedError
        If another run is at work there.
    ReplayError
        If a verified pass differs.
    DissectError
        As the plan and the detector raise.
    """
    _check(images, batch_size, shard_images, verify, ahead)
    in_precision(detector, precision)  # before anything is written
    paths, out = [Path(image) for image in images], Path(out)
    refs = refs or [ImageRef(path.name, number) for number, path in enumerate(paths)]
    if len(refs) != len(paths):
        raise StudyError(f"`refs` must name each of {len(paths)} images, got {len(refs)}.")
    variants = planned(spec, detector, paths, truth, bar)
    folder = StudyFolder.create(
        out,
        spec,
        {
            **(facts or {}),
            "detector": describe(detector),
            "versions": versions(),
            "precision": precision,
            "on_bad_image": on_bad_image,
        },
        plan_rows(variants, detector),
        refs,
        batch_size=batch_size,
        shard_batches=-(-shard_images // batch_size),
        files=files,
        notes={"image_folder": _common_folder(paths)},
    )
    request = StopRequest() if stop is None else stop
    passes: Passes = PlainPasses(detector, precision)
    if replay and isinstance(detector, TorchDetector):
        passes = ReplayedPasses(detector, verify, spec.seed, max_bytes, precision)
    with folder.locked(), stop_on_interrupt(request, say):
        folder.tidy()
        references = ReferenceActivations(spec, detector, variants, paths, truth, folder.path, bar)
        left = [number for number, done in enumerate(folder.done()) if not done]
        if isinstance(passes, ReplayedPasses):
            passes.on_first = lambda seconds, share: say(_estimate(seconds, share, len(left), len(variants)))
            passes.wants_effects = not (folder.path / _layout.EFFECTS).exists()
        begun, seconds = time.perf_counter(), dict[str, float]()
        clock = Stopwatch(seconds)
        folder.log("started" if len(left) == len(folder.batches) else "resumed", batches=len(left))
        total = len(folder.batches) * len(variants)
        counter = itertools.count(total - len(left) * len(variants) + 1)
        with (bar if left else no_bar)(len(left) * len(variants), "pass", spec.name) as shown:

            def advance(variant: str) -> None:
                shown.update(1)
                if watch is not None:
                    watch(PassDone(min(next(counter), total), total, variant))  # halves run again

            work = BatchWork(
                detector,
                passes,
                variants,
                references,
                paths,
                on_bad_image,
                folder.log,
                advance,
            )
            ahead_of = loaded_ahead(detector, paths, [folder.batches[i] for i in left], on_bad_image, ahead)
            for number, loaded in zip(left, ahead_of, strict=True):
                clock.stop("waiting for images")
                rows = work.rows(loaded)
                clock.start()
                _keep_effects(folder, passes)  # first, so that they are always those of the first batch
                folder.write_batch(number, rows)
                clock.stop("writing")
                if request.asked:
                    break
        folder.log(
            "finished" if all(folder.done()) else "stopped",
            seconds=round(time.perf_counter() - begun, 3),
            stages={k: round(v, 3) for k, v in {**seconds, **getattr(passes, "seconds", {})}.items()},
            verified=getattr(passes, "verified", 0),
        )
    return Study.open(out)


def _common_folder(paths: Sequence[Path]) -> str:
    """Where the images lie, for reports that show some of them."""
    return os.path.commonpath([path.resolve().parent for path in paths])


def _estimate(seconds: float, share: float, n_batches: int, n_variants: int) -> str:
    """What a run will take, for people."""
    total = seconds * n_batches
    text = (
        f"{total:.0f} s"
        if total < 120
        else f"{total / 60:.0f} min"
        if total < 7200
        else f"{total / 3600:.1f} h"
    )
    replayed = f"; prefix replay leaves out {share:.0%} of the operations" if share else ""
    batches = "one batch" if n_batches == 1 else f"{n_batches:,} batches"
    return f"about {text} for {n_variants:,} variants over {batches}{replayed}"


def _keep_effects(folder: StudyFolder, passes: Passes) -> None:
    """Write what variants change in the outputs of what they ablate, once."""
    effects = passes.effects if isinstance(passes, ReplayedPasses) else {}
    path = folder.path / _layout.EFFECTS
    if effects and not path.exists():
        rows = [effects[name] for name in sorted(effects)]
        columns = {field.name: [getattr(row, field.name) for row in rows] for field in _EFFECTS}
        _layout.write_table(path, pa.table(columns, schema=_EFFECTS))


def _check(images: Sequence[Any], batch_size: int, shard_images: int, verify: float, ahead: int) -> None:
    if not images:
        raise StudyError("`images` must name at least one, got none.")
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("shard_images", shard_images, 1),
        ("ahead", ahead, 0),
    ):
        if value < least:
            raise StudyError(f"`{name}` must be {least} or more, got {value}.")
    if not 0 <= verify <= 1:
        raise StudyError(f"`verify` must be a share in [0, 1], got {verify}.")
