"""State of the form of a run: images, truth and folder, checked while they are filled in. No widgets in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from traitlets import Bool, Int, Tuple, Unicode, observe

from deep_dissect import CocoSplit
from dissect_core import UntrustedError
from dissect_core.detectors.trust import agreed_execution
from dissect_core.engine import PassDone, StopRequest
from dissect_core.spec import StudySpec
from dissect_eval.study import REPLICATES

from ..base import PanelModel
from ..detector import DetectorModel
from ..errors import RunInputError
from ._runner import RunOutcome, StudyRunner


class RunInputsModel(PanelModel):
    """Inputs of a run, to be filled in; as a callable, a runner for `RunModel`. `RunInputsForm` shows it.

    Parameters
    ----------
    detector : DetectorModel
        Holds the detector that is run.
    images, annotations, out : str, optional
        Folder of the images, their truth, and the study's folder.

    Attributes
    ----------
    images, annotations, out : str
        Traits: the parameters of these names.
    limit, batch_size, replicates : int
        Traits: how many images are run, from the first (0 for all), images a batch, and resamples for intervals.
    trust : bool
        Trait: whether the user lets the study join the cluster that it names; a new question sets it to False.
    question : str
        Trait: what the study needs that only the user can allow, by `trust`; empty if nothing.
    problems : tuple of (str, str)
        Trait: for each field that is missing or wrong its name, and what is wrong with it.

    Examples
    --------
    >>> inputs = RunInputsModel(DetectorModel(), images="no/such/folder")
    >>> dict(inputs.problems)["images"]
    'There is no folder no/such/folder.'
    """

    images = Unicode()
    annotations = Unicode()
    out = Unicode()
    limit = Int(0)
    batch_size = Int(1)
    replicates = Int(REPLICATES)
    trust = Bool(False)
    question = Unicode()
    problems = Tuple()

    def __init__(self, detector: DetectorModel, **fields: Any) -> None:
        super().__init__(**{name: str(value) for name, value in fields.items()})
        self.detector = detector
        self.detector.observe(self._check, ["detector", "state"])
        self._check()

    def __call__(
        self,
        spec: StudySpec,
        watch: Callable[[PassDone], object],
        stop: StopRequest,
        say: Callable[[str], object],
    ) -> RunOutcome:
        """Run a study on these inputs; see `Runner`."""
        if self.problems:
            raise RunInputError(
                f"The inputs of the run are incomplete: {' '.join(text for _, text in self.problems)}"
            )
        self._ask(spec)
        say("reading the truth")
        images, annotations = (Path(given).expanduser() for given in (self.images, self.annotations))
        run = StudyRunner(
            CocoSplit(annotations, images, self.limit or None),
            self.out,
            self.detector.detector,
            # None lets p-values take as many resamples as their correction needs; a number is exact.
            replicates=None if self.replicates == REPLICATES else self.replicates,
            batch_size=self.batch_size,
            trust=self.trust,
        )
        return run(spec, watch, stop, say)

    def _ask(self, spec: StudySpec) -> None:
        """Set the question that the study asks; an answer for one cluster does not count for another."""
        try:
            agreed_execution(spec.execution)
        except UntrustedError as error:
            if error.asked != self.question:
                self.trust, self.question = False, error.asked
        else:
            self.trust, self.question = False, ""

    def close(self) -> None:
        """Stop observing the detector."""
        self.detector.unobserve(self._check, ["detector", "state"])

    @observe("images", "annotations", "out", "limit", "batch_size", "replicates")
    def _check(self, _: Mapping[str, Any] | None = None) -> None:
        if not hasattr(self, "detector"):
            return
        found: list[tuple[str, str]] = []
        if self.detector.detector is None:
            found.append(("detector", "No detector is open."))
        elif self.detector.state == "timing":
            found.append(("detector", "A pass of the detector is being timed; this takes a moment."))
        for name, is_there in (("images", Path.is_dir), ("annotations", Path.is_file)):
            given, noun = getattr(self, name), "folder" if name == "images" else "file"
            if not given:
                found.append((name, f"Give the {'folder of the images' if name == 'images' else 'truth'}."))
            elif not is_there(Path(given).expanduser()):
                found.append((name, f"There is no {noun} {given}."))
        if not self.out:
            found.append(("out", "Give a folder for the study."))
        elif Path(self.out).is_file():
            found.append(("out", f"{self.out} is a file."))
        found += [
            (name, f"Must be {least} or more, got {getattr(self, name)}.")
            for name, least in (("limit", 0), ("batch_size", 1), ("replicates", 0))
            if getattr(self, name) < least
        ]
        self.problems = tuple(found)
