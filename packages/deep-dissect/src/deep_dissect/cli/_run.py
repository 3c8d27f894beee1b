"""``deep-dissect run``: a study from its file to its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dissect_core import StudyError
from dissect_core.detectors import Detector, DetectorRequest, open_detector
from dissect_core.engine import Listener, RunOptions, run
from dissect_core.plan import plan, scores_needed
from dissect_core.progress import tqdm_bar
from dissect_core.spec import Execution, LocalExecution, RayExecution, load_spec
from dissect_core.storage.locations import location_of
from dissect_core.store import Study
from dissect_core.text import file_name, visible
from dissect_eval import match_classes
from dissect_mmdet.errors import DissectMMDetError, ImageError

from ..report import Settings, Spread, measure, write_report, write_results
from ..studies import study_path
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
from ._images import files_of, images_of
from ._loaded import say_loaded
from ._options import (
    COUNT_AT_MOST,
    AllowMissingOption,
    ClassesOption,
    ClassMapOption,
    CommonClassesOption,
    ConfigOption,
    CustomImportsOption,
    ReplicatesOption,
    TrustOption,
    WeightsPrefixOption,
    class_map_of,
)
from ._results import print_summary
from ._study import AnnotationsOption, DemoOption, DetectorOption, StudyArgument, detector_request

INTERRUPTED = 130


def run_(
    study: StudyArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The study's folder, or s3://bucket/study (default: the study's name in this folder).",
            parser=location_of,
            metavar="FOLDER",
        ),
    ] = None,
    checkpoint: DetectorOption = None,
    config: ConfigOption = None,
    demo: DemoOption = None,
    images: Annotated[
        Path | None, typer.Option("--images", "-i", help="Folder of the images.", show_default=False)
    ] = None,
    annotations: AnnotationsOption = None,
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
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help="cpu, cuda, cuda:0, … (default: as the study says, else cpu; cuda for workers with a GPU).",
        ),
    ] = None,
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
            help="Unreadable, of another size than annotated, or the model stops at it: fail, or skip and record it.",
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
    classes: ClassesOption = None,
    allow_random: Annotated[
        bool,
        typer.Option(
            "--allow-random",
            help="Take a detector that finds something else each time: all in full, its own noise beside every loss.",
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Compute damaged files of the folder again; they are kept as *.damaged."
        ),
    ] = False,
    allow_missing: AllowMissingOption = False,
    weights_prefix: WeightsPrefixOption = "",
    custom_imports: CustomImportsOption = None,
    trust: TrustOption = False,
) -> int:
    """Run a study: every variant over every image, in a folder that a second call goes on with.

    Stop it with Ctrl-C, or kill it: what was finished stays. Detections come first, then the tables summary,
    per_class, errors and repeats (of pairs also interactions), and report.html. With --engine ray, the workers of a
    cluster compute it.
    """
    console = Console(highlight=False, soft_wrap=True)
    spec = load_spec(study_path(study))
    execution = execution_of(spec, engine, address, workers, gpus_per_worker, cpus_per_worker, trust=trust)
    has_gpu = isinstance(execution, RayExecution) and execution.gpus_per_worker
    given = detector_request(
        spec,
        checkpoint,
        config,
        demo,
        trust=trust,
        device=device,
        default_device="cuda" if has_gpu else "cpu",
        allow_missing=allow_missing,
        weights_prefix=weights_prefix,
        classes=classes,
        custom_imports=custom_imports or (),
    )
    detector = open_detector(_here(given, execution))
    class_names = detector.class_names
    target = out or Path(_file_name(spec.name))
    runs: Detector | DetectorRequest = given if isinstance(execution, RayExecution) else detector
    if isinstance(execution, RayExecution) and not scores_needed(spec):
        plan(spec, detector.anatomy)  # what does not fit the detector, before a cluster is asked
    begin = _Telling(getattr(detector, "fit", None))
    del detector  # workers have their own
    pairs = class_map_of(class_map)
    data = images_of(demo, images, annotations, limit, target)
    with data.only_with(target), _hint(), _interrupted(target, console):
        match = match_classes(data.truth, class_names, common_classes=common_classes, class_map=pairs)
        if note := match.note():  # before hours of work
            console.print(f"note: {note}", markup=False)
        done = run(
            spec,
            runs,
            files_of(data, on_bad_image),
            _free(target) if force_new else target,
            RunOptions(
                batch_size=batch_size,
                shard_images=shard_images,
                replay=replay,
                verify=verify,
                precision=precision,  # type: ignore[arg-type]  # it is checked there
                on_bad_image=_bad_image(on_bad_image),
                common_classes=common_classes,
                class_map=pairs,
                allow_random=allow_random,
                repair=repair,
            ),
            truth=data.truth,
            execution=execution,
            listener=Listener(bar=begin.bar),
        )
    begin.tell()
    if not done.is_complete:
        _say_stopped(done, console)
        return INTERRUPTED
    finish(done, data.images, Settings(n_replicates=replicates), console, spread_of(execution, jobs))
    return 0


class _Telling:
    """Says what was loaded once the first pass begins: after all that may refuse the study."""

    def __init__(self, fit: object) -> None:
        self._waiting = [fit]

    def tell(self) -> None:
        """Say it, unless it is said."""
        while self._waiting:
            say_loaded(self._waiting.pop())

    def bar(self, total: int, unit: str, label: str) -> AbstractContextManager[Any]:
        """Make a progress bar."""
        if unit == "pass":
            self.tell()
        return tqdm_bar(total, unit, label)


def finish(study: Study, images: Path, settings: Settings, console: Console, spread: Spread) -> None:
    """Measure a complete study, write its tables, and print the most important numbers."""
    results = measure(study, settings=settings, spread=spread, bar=tqdm_bar)
    files = write_results(results)
    print_summary(console, results)
    page = write_report(results, images=images)
    names = sorted({path.stem for path in files})
    console.print(
        f"tables: {', '.join(names)} (.csv, .parquet) and summary.json in {study.path}", markup=False
    )
    console.print(f"report: {page}", markup=False)


@contextmanager
def _hint() -> Iterator[None]:
    """Say with an image's error how to go on without it."""
    try:
        yield
    except ImageError as error:
        raise ImageError(
            f"{error} To leave such images out, begin the study with --on-bad-image skip."
        ) from error


@contextmanager
def _interrupted(target: Path, console: Console) -> Iterator[None]:
    """Say with a Ctrl-C that ends a run at once what there is of it."""
    try:
        yield
    except KeyboardInterrupt:
        try:
            _say_stopped(Study.open(target), console)
        except StudyError:
            console.print("stopped before the study was begun", markup=False)
        raise


def _say_stopped(study: Study, console: Console) -> None:
    finished, wanted = study.progress()
    console.print(
        f"stopped after {finished} of {wanted} batches; the same command goes on from there: {study.path}",
        markup=False,
    )


def _bad_image(value: str) -> Literal["fail", "skip"]:
    if value not in ("fail", "skip"):
        raise DissectMMDetError(f"--on-bad-image must be fail or skip, got {value!r}.")
    return value  # type: ignore[return-value]  # checked


def _here(given: DetectorRequest, execution: Execution) -> DetectorRequest:
    """The detector for this process: a cluster's workers have GPUs, and who leads them need not."""
    if isinstance(execution, LocalExecution) or given.named.adapter != "mmdet":
        return given
    return replace(given, options={**given.options, "device": "cpu"})


def _free(path: Path) -> Path:
    """The folder itself if nothing is there, else the first of its name with a number that is free."""
    names = [path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000))]
    return next(name for name in names if not name.exists())


def _file_name(name: str) -> str:
    """A study's name as that of a folder.

    >>> _file_name("Four components, at growing doses")
    'four-components-at-growing-doses'
    """
    return file_name(re.sub(r"[^\w]+", "-", visible(name.lower())).strip("-") or "study")
