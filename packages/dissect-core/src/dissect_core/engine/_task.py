"""What every engine is given: what a study runs over and how, and who listens to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..detectors import Detector, model_of
from ..errors import PlanError, StudyError
from ..plan import Plan, Variant, reference_images
from ..progress import Bar, MakeBar, PassDone
from ..spec import StudySpec
from ..store import _file_names
from ..store._folder import StudyFolder
from ..store._holder import Holder
from ..store._record import Record
from ..store._study import Study
from ._inputs import ReferenceActivations, planned
from ._loading import Files
from ._net import is_again, noise_is_measured, repeats_of_baseline
from ._options import Listener, RunOptions
from ._passes import Passes, PlainPasses, ReplayedPasses
from ._stop import StopRequest


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
    plan : Plan, optional
        The plan that the caller has seen: the study must give the same variants.
    """

    spec: StudySpec
    paths: Sequence[Path]
    out: Path
    options: RunOptions = field(default_factory=RunOptions)
    sizes: Sequence[tuple[float, float]] | None = None
    plan: Plan | None = None

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

    def passes(self, detector: Detector) -> Passes:
        """Return how the variants of a detector are run."""
        how = self.options
        if how.replay and model_of(detector) is not None:
            return ReplayedPasses(
                detector, how.precision, verify=how.verify, seed=self.spec.seed, max_bytes=how.max_bytes
            )
        return PlainPasses(detector, how.precision)

    def references(
        self, detector: Detector, variants: Sequence[Variant], truth: Any, record: Record, bar: MakeBar
    ) -> ReferenceActivations:
        """Return the activations that its variants need, kept in a folder."""
        return ReferenceActivations(
            self.spec, detector, variants, self.files, truth, record, bar, self.options.class_map
        )

    def planned(self, detector: Detector, truth: Any, bar: MakeBar) -> Plan:
        """Return every variant of the study; of a detector that gives other detections each time, with repeats.

        Raises
        ------
        PlanError
            If the variants are others than those of the caller's plan.
        DissectError
            As `plan_study` raises.
        """
        found = planned(self.spec, detector, self.files, truth, bar, self.options.class_map)
        if self.plan is not None:
            _require_same_plan(self.plan, found)
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
        """Return the ids of the variants of the study that is there already; None if none can be read."""
        try:
            return Study.open(self.out).variants
        except StudyError:
            return None


def _require_same_plan(given: Plan, found: Plan) -> None:
    """See that a plan is the one that its study gives on this detector and these images.

    Raises
    ------
    PlanError
        If it is not; the first variant that differs is named.
    """
    given = Plan(given.spec, [variant for variant in given if variant.kind != "again"])
    if given == found:
        return
    pairs = zip_longest(given, found)
    first = next(
        a or b for a, b in pairs if Plan(given.spec, [a] if a else []) != Plan(given.spec, [b] if b else [])
    )
    what = (
        f"{len(given)} variants instead of {len(found)}"
        if len(given) != len(found)
        else f"other variants, the first is {first.id!r}"
    )
    raise PlanError(
        f"`spec` must be a plan for this detector and these images, but the plan has {what}. Make it of this detector, "
        "or give its `spec`: the run makes its own plan."
    )


@dataclass(frozen=True)
class Caller:
    """The front end of a run, handed to whichever engine computes it.

    Attributes
    ----------
    listener : Listener
        Is told how the run goes on.
    request : StopRequest
        Asks the run to stop.
    holder : Holder
        Holds the study's folder, and tells others from there.
    """

    listener: Listener
    request: StopRequest
    holder: Holder

    def tell(self, shown: Bar, passes: int, now: PassDone, **news: object) -> None:
        """Tell of some passes more; or of fewer than none, where a part of a shard is to be run again."""
        shown.update(passes)
        self.holder.news.update(passes=now.done, total=now.total, **news)
        if self.listener.watch is not None and passes > 0:
            self.listener.watch(now)
