"""What a study runs over and how, whatever engine runs it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..detectors import Detector, TorchDetector
from ..errors import StudyError
from ..plan import Plan, Variant, reference_images
from ..progress import MakeBar
from ..spec import StudySpec
from ..store import _file_names
from ..store._facts import known_facts, versions
from ..store._folder import StudyFolder
from ..store._images import ImageRef, image_digests
from ..store._record import Record
from ..store._study import Study
from ._describe import describe, plan_rows
from ._inputs import ReferenceActivations, planned
from ._loading import Files
from ._net import is_again, noise_is_measured, repeats_of_baseline
from ._options import RunOptions
from ._passes import Passes, PlainPasses, ReplayedPasses
from ._precision import in_precision


@dataclass(frozen=True)
class Task:
    """What a study runs over, and how.

    Attributes
    ----------
    spec : StudySpec
    paths : sequence of Path
        Files of the images.
    out : Path
        The study's folder.
    options : RunOptions
    sizes : sequence of (float, float), optional
        Width and height of each image as it was annotated.
    """

    spec: StudySpec
    paths: Sequence[Path]
    out: Path
    options: RunOptions = field(default_factory=RunOptions)
    sizes: Sequence[tuple[float, float]] | None = None

    @property
    def files(self) -> Files:
        """Its images, and what to do about bad ones."""
        return Files(self.paths, self.options.on_bad_image, self.sizes)

    def require_files(self, folder: StudyFolder, digests: Sequence[str], done: Sequence[bool]) -> None:
        """See that the images' files are those that the study has used."""
        references = any(
            (folder.path / name).exists() for name in (_file_names.REFERENCE, _file_names.OPTIMAL)
        )
        used = reference_images(self.spec, len(self.paths)) if references else ()
        folder.require_files(digests, done, used)

    def known(self, refs: Sequence[ImageRef], facts: Mapping[str, Any]) -> dict[str, Any]:
        """What must stay the same when a study goes on, as far as it is known without the detector."""
        options = self.options
        return known_facts(
            {**facts, **options.facts}, self.spec, refs, options.batch_size, options.shard_batches
        )

    def passes(self, detector: Detector) -> Passes:
        """How this detector's variants are run."""
        how = self.options
        if how.replay and isinstance(detector, TorchDetector):
            return ReplayedPasses(detector, how.verify, self.spec.seed, how.max_bytes, how.precision)
        return PlainPasses(detector, how.precision)

    def references(
        self, detector: Detector, variants: Sequence[Variant], truth: Any, record: Record, bar: MakeBar
    ) -> ReferenceActivations:
        """Activations that its variants need, kept in a folder."""
        return ReferenceActivations(
            self.spec, detector, variants, self.files, truth, record, bar, self.options.class_map
        )

    def planned(self, detector: Detector, truth: Any, bar: MakeBar) -> Plan:
        """Every variant of its study; see there."""
        found = planned(self.spec, detector, self.files, truth, bar, self.options.class_map)
        begun = self._begun()
        # A study keeps to what was found out when it was begun.
        allow_random = self.options.allow_random if begun is None else any(map(is_again, begun))
        if begun is None or allow_random:
            again = repeats_of_baseline(
                detector, self.files, self.options.precision, allow_random, self.spec.seed
            )
            if again:
                found = found.with_baseline_again(again, noise_is_measured(len(again)))
        return found

    def _begun(self) -> tuple[str, ...] | None:
        """Ids of the variants of the study that is there already; None if there is none that can be read."""
        try:
            return Study.open(self.out).variants
        except StudyError:
            return None


@dataclass(frozen=True)
class Described:
    """What a study's folder is made with, told by who has the detector.

    Attributes
    ----------
    variants : Plan
    rows : sequence of mapping
        The plan as plain data.
    facts : mapping
        The detector's own facts, and the versions it is run with.
    notes : mapping
        What the detector is called, and how it reads images, for people and pictures: no part of what the study is.
    digests : sequence of str
        Checksums of the images' files.
    former : mapping
        Facts of the detector under the names of the first format, where it has such.
    """

    variants: Plan
    rows: Sequence[Mapping[str, Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    digests: Sequence[str] = ()
    former: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task, detector: Detector, variants: Plan, bar: MakeBar) -> "Described":
        """Describe a detector, the plan for it, and the images as they are.

        Raises
        ------
        StudyError
            If the detector cannot compute in the precision that is asked for.
        """
        turns, title = getattr(detector, "turns_by_exif", None), getattr(detector, "title", None)
        notes: dict[str, Any] = {} if turns is None else {"turns_by_exif": bool(turns)}
        return cls(
            variants,
            plan_rows(variants),
            facts_of(task, detector),
            {**notes, "detector": title or type(detector).__name__},
            image_digests(task.paths, bar),
            getattr(detector, "former_facts", {}),
        )


def facts_of(task: Task, detector: Detector) -> dict[str, Any]:
    """What must be the same wherever a study goes on, and on every worker."""
    in_precision(detector, task.options.precision)
    return {"detector": describe(detector), "versions": versions(), **task.options.facts}


def say_what_is_not_on_record(described: Described, say: Callable[[str], object]) -> None:
    """Say that another detector could not be told from this one, where only its class names are known."""
    if set(described.facts["detector"]) == {"class_names"}:
        say(
            "note: the detector is no torch model and has no `facts`: another one with the same classes would go on "
            "with this study. Give it `facts`, such as a checksum of its weights."
        )


def open_folder(
    task: Task,
    described: Described,
    refs: Sequence[ImageRef],
    facts: Mapping[str, Any],
    files: Mapping[str, bytes],
    notes: Mapping[str, Any],
    threads: int | None = None,
) -> StudyFolder:
    """Make the study's folder, or open one of the same study.

    A new one notes with how many threads torch computes: on a CPU the last bits depend on it, so that all who go on
    with the study keep to that.
    """
    return StudyFolder.create(
        task.out,
        task.spec,
        {**facts, **described.facts},
        described.rows,
        refs,
        batch_size=task.options.batch_size,
        shard_batches=task.options.shard_batches,
        digests=described.digests,
        files=files,
        notes={**notes, **described.notes, "threads": threads},
        former=described.former,
        repair=task.options.repair,
    )
