"""``deep-dissect run``: a study from its file to its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dissect_core import BadImageError, StudyError
from dissect_core.progress import tqdm_bar
from dissect_core.spec import RayExecution
from dissect_core.storage import location_of
from dissect_core.store import Study as StoredStudy
from dissect_core.text import file_name, visible
from dissect_eval.study import Spread

from ..errors import ImageFilesError
from ..pipeline import Listener, RunOptions, run_study, spec_of
from ..study import Study
from ._console import Console
from ._execution import (
    AddressOption,
    CpusOption,
    EngineOption,
    GpusOption,
    JobsOption,
    WorkersOption,
    execution_of,
    spread_of,
)
from ._interruption import StoppedError
from ._opening import Opening, opens_detector
from ._options import (
    COUNT_AT_MOST,
    AnnotationsOption,
    ClassMapOption,
    CocoOption,
    CommonClassesOption,
    ReplicatesOption,
    StudyArgument,
    class_map_of,
)
from ._results import print_summary
from ._study import files_of, images_of


@opens_detector()
def run_(
    study: StudyArgument,
    opening: Opening,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The study's folder, or s3://bucket/study (default: the study's name in this folder).",
            parser=location_of,
            metavar="FOLDER",
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", "-i", help="Folder of the images.", show_default=False)
    ] = None,
    annotations: AnnotationsOption = None,
    coco: CocoOption = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, max=COUNT_AT_MOST, help="Only the first images, by number."),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=COUNT_AT_MOST, help="Images a batch.")
    ] = 1,
    shard_images: Annotated[
        int, typer.Option("--shard-images", min=1, max=COUNT_AT_MOST, help="Images in a file of detections.")
    ] = 32,
    verify: Annotated[
        float,
        typer.Option(
            "--verify", min=0.0, max=1.0, help="Share of the passes to run in full as well, and compare."
        ),
    ] = 0.0,
    replay: Annotated[
        bool,
        typer.Option("--replay/--no-replay", help="Run variants from the first use of what they ablate."),
    ] = True,
    precision: Annotated[
        str, typer.Option("--precision", help="full, or half by autocast.", metavar="full|bf16|fp16")
    ] = "full",
    on_bad_image: Annotated[
        str,
        typer.Option(
            "--on-bad-image",
            help="For an image that is unreadable, of another size than annotated, or on which the model fails: fail, "
            "or skip and record it.",
            metavar="fail|skip",
        ),
    ] = "fail",
    replicates: ReplicatesOption = None,
    engine: EngineOption = None,
    address: AddressOption = None,
    workers: WorkersOption = None,
    gpus_per_worker: GpusOption = None,
    cpus_per_worker: CpusOption = None,
    jobs: JobsOption = None,
    force_new: Annotated[
        bool, typer.Option("--force-new", help="Begin another folder where --out holds another study.")
    ] = False,
    common_classes: CommonClassesOption = False,
    class_map: ClassMapOption = None,
    allow_random: Annotated[
        bool,
        typer.Option(
            "--allow-random",
            help="Accept a detector whose detections differ each time: run every variant in full, and show the noise "
            "beside every loss.",
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Compute damaged files of the folder again; they are kept as *.damaged."
        ),
    ] = False,
) -> int:
    """Run a study: every variant over every image, in a folder that a second call goes on with.

    Stop it with Ctrl-C, or kill it: what was finished stays. Detections come first, then the tables summary,
    per_class, errors and repeats (of pairs also interactions), and report.html. With --engine ray, the workers of a
    cluster compute it.
    """
    console = Console(soft_wrap=True)
    images, annotations = files_of(coco, images, annotations)
    spec = spec_of(study)
    execution = execution_of(
        spec, engine, address, workers, gpus_per_worker, cpus_per_worker, trust=opening.trust
    )
    has_gpu = isinstance(execution, RayExecution) and bool(execution.gpus_per_worker)
    request = opening.request(spec, device="cuda" if has_gpu else "")
    options = RunOptions(
        batch_size=batch_size,
        shard_images=shard_images,
        replay=replay,
        verify=verify,
        precision=precision,  # type: ignore[arg-type]  # RunOptions checks it
        on_bad_image=on_bad_image,  # type: ignore[arg-type]  # and this
        common_classes=common_classes,
        class_map=class_map_of(class_map),
        allow_random=allow_random,
        repair=repair,
    )
    target = out or Path(_file_name(spec.name))
    with _hint(), _interrupted(target):
        data = images_of(opening.demo, images, annotations, limit, check=on_bad_image != "skip")
        done = run_study(
            spec,
            request,
            data,
            _free(target) if force_new else target,
            execution=execution,
            options=options,
            listener=Listener(),
        )
    if not done.is_complete:
        raise StoppedError(_what_is_kept(done))
    finish(done, data.folder, replicates, console, spread_of(execution, jobs))
    return 0


def finish(study: Study, images: Path, replicates: int | None, console: Console, spread: Spread) -> None:
    """Measure a complete study, write its tables, and print the most important numbers."""
    results = study.measure(replicates=replicates, spread=spread, bar=tqdm_bar)
    files = results.write()
    print_summary(console, results.measured)
    page = results.report(images=images)
    names = sorted({path.stem for path in files})
    console.print(f"tables: {', '.join(names)} (.csv, .parquet) and summary.json in {study.path}")
    console.print(f"report: {page}")


@contextmanager
def _hint() -> Iterator[None]:
    """Add to an image's error how to go on without the image."""
    try:
        yield
    except (BadImageError, ImageFilesError) as error:
        raise BadImageError(
            f"{error} To leave such images out, begin the study with --on-bad-image skip."
        ) from error


@contextmanager
def _interrupted(target: Path) -> Iterator[None]:
    """Say what is kept of a run that Ctrl-C ends at once."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        try:
            kept = _what_is_kept(StoredStudy.open(target))
        except StudyError:
            kept = "interrupted before the study was begun"
        raise StoppedError(kept) from stopped


def _what_is_kept(study: StoredStudy) -> str:
    finished, wanted = study.progress()
    return (
        f"interrupted after {finished} of {wanted} batches; the same command goes on from there: {study.path}"
    )


def _free(path: Path) -> Path:
    """Return the folder if nothing is there, else the first free name made of it and a number."""
    names = [path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000))]
    return next(name for name in names if not name.exists())


def _file_name(name: str) -> str:
    """Return a name for a folder, made of a study's name.

    >>> _file_name("Four components, at growing doses")
    'four-components-at-growing-doses'
    """
    return file_name(re.sub(r"[^\w]+", "-", visible(name.lower())).strip("-") or "study")
