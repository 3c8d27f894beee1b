"""State of the detector panel: which detectors are installed, and the one that was opened. No widgets in here."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from traitlets import Any as AnyTrait, Bool, Dict, Instance, Tuple, Unicode, observe

from dissect_core import UntrustedError
from dissect_core.detectors import Detector, InstalledDetector, available_detectors, open_detector
from dissect_core.spec import DetectorSpec

from ..base import OneOf, WorkerModel
from ..errors import RunStateError
from ._source import label_of, named_detector
from ._speed import Speed, speed_of

UNRECOGNISED, UNRECOGNISED_SAYS = (
    "UnrecognisedAttentionWarning",
    ".* look like attention and are not recognised",
)


class DetectorModel(WorkerModel):
    """A detector to be opened, by entry point: works without a notebook; `DetectorPanel` shows it.

    Parameters
    ----------
    detector : Detector or DetectorSpec, optional
        One that is open already, or what to open.

    Attributes
    ----------
    installed : dict of str to InstalledDetector
        The detectors that installed packages offer, those that cannot be opened with the reason.
    name : str
        Trait: which one to open.
    options : dict
        Trait: what it needs, for mmdet ``config`` and ``checkpoint``.
    trust : bool
        Trait: whether the user lets it run code, as `open_detector` says. Another name, or other options, take it back.
    question : str
        Trait: what only the user can allow, by `trust`; empty if nothing.
    state : {"closed", "opening", "open", "timing", "failed"}
        Trait; while it is timing, nothing else may run the detector.
    detector : Detector or None
        Trait: the one that is open.
    speed : Speed or None
        Trait: how fast it is here, once `time_pass` has found out.
    busy : callable
        Returns whether something runs the detector now, so that it cannot be timed; set by the `Workbench`.
    notes : tuple of str
        Trait: remarks on the open detector, such as on attention that is not recognised.
    error, details : str
        Traits: type and message of what kept it from being opened, and the traceback.

    Examples
    --------
    >>> model = DetectorModel(DetectorSpec(adapter="yolo-in-fortran"))
    >>> model.open()
    >>> model.wait(), model.error.partition(".")[0]
    ('failed', "UnknownDetectorError: No detector is called 'yolo-in-fortran'")
    """

    name = Unicode()
    options = Dict()
    trust = Bool(False)
    question = Unicode()
    state = OneOf(("closed", "opening", "open", "timing", "failed"), "closed")
    detector = AnyTrait(None, allow_none=True)
    notes = Tuple()
    speed = Instance(Speed, allow_none=True)

    def __init__(self, detector: Detector | DetectorSpec | None = None) -> None:
        self.installed: Mapping[str, InstalledDetector] = available_detectors()
        self.busy: Callable[[], bool] = lambda: False
        super().__init__()
        if isinstance(detector, DetectorSpec):
            self.name, self.options = detector.adapter, dict(detector.options)
            return
        usable = [one.name for one in self.installed.values() if one.problem is None]
        self.name = usable[0] if usable else next(iter(self.installed), "")
        if detector is not None:
            self.detector, self.state = detector, "open"

    def look_for(self, text: str) -> None:
        """Choose what a text names: a bundled detector, a checkpoint, a folder, or a name of a zoo; `open` opens it.

        Raises
        ------
        UnknownNameError
            If it names nothing that an installed adapter opens.
        """
        named = named_detector(text, self.installed)
        with self.lock, self.hold_trait_notifications():
            self.name, self.options = named.adapter, dict(named.options)

    def open(self) -> None:
        """Open the detector on a worker thread; returns at once.

        Raises
        ------
        RunStateError
            If one is being opened.
        """
        with self.lock:
            if self.state in ("opening", "timing"):
                raise RunStateError("A detector is being opened already. Wait until it is.")
            with self.hold_trait_notifications():
                self.speed, self.notes = None, ()
                self.state, self.error, self.details, self.detector = "opening", "", "", None
            spec = DetectorSpec(adapter=self.name, options=dict(self.options))
            self._begin("dissect-open", self._work, spec, self.trust)

    def time_pass(self, image: Path | None = None) -> None:
        """Find out on a worker thread how fast the open detector is; returns at once.

        Parameters
        ----------
        image : Path, optional
            An image of those that it will run over; a random picture if left out.

        Raises
        ------
        RunStateError
            If no detector is open, or something runs it.
        """
        with self.lock:
            if self.state != "open" or self.detector is None:
                raise RunStateError("A detector must be open to be timed, and not be timed already.")
            if self.busy():
                raise RunStateError("A run uses the detector. It can be timed once that has ended.")
            self.state = "timing"
            self._begin("dissect-time", self._time, self.detector, image)

    @property
    def named(self) -> str:
        """Return the checkpoint, folder or name that the options name; empty if none."""
        return next((str(self.options[key]) for key in ("checkpoint", "model") if self.options.get(key)), "")

    @property
    def label(self) -> str:
        """Return a short name of the detector for people; empty if none is named."""
        return label_of(self.detector, self.options)

    @property
    def problem(self) -> str | None:
        """Return why the detector of this name cannot be opened here; None if nothing is known."""
        one = self.installed.get(self.name)
        return one.problem if one else None

    @observe("name", "options")
    def _on_other(self, _: Mapping[str, Any]) -> None:
        """Withdraw the permission to run code: it was given to another detector."""
        self.trust, self.question = False, ""

    def _time(self, detector: Detector, image: Path | None) -> None:
        found, error, details = None, "", ""
        try:
            found = speed_of(detector, image)
        except Exception as failure:  # the detector stays open: only its speed is not known
            error = f"A pass could not be timed: {type(failure).__name__}: {failure}"
            details = "".join(traceback.format_exception(failure))
        with self.lock, self.hold_trait_notifications():
            self.speed, self.error, self.details, self.state = found, error, details, "open"

    def _work(self, spec: DetectorSpec, trust: bool) -> None:
        try:
            opened, notes = _opened(spec, trust)
        except UntrustedError as error:
            with self.lock, self.hold_trait_notifications():
                self.question, self.state = error.asked, "closed"
        except Exception as error:  # whatever a plugin raises is shown
            self._fail(error)
        else:
            with self.lock, self.hold_trait_notifications():
                self.notes = notes
                self.detector, self.state = opened, "open"


def _opened(spec: DetectorSpec, trust: bool) -> tuple[Detector, tuple[str, ...]]:
    """Open a detector, and return with it what is warned of its attention; other warnings are passed on."""
    notes: list[str] = []
    with warnings.catch_warnings():
        show = warnings.showwarning

        def hear(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            # By its name: the class would import torch.
            if category.__name__ == UNRECOGNISED:
                notes.append(str(message))
            else:
                show(message, category, *where, **more)

        warnings.showwarning = hear
        warnings.filterwarnings("always", UNRECOGNISED_SAYS)
        opened = open_detector(spec, trust=trust)
        _ = opened.anatomy  # made now, so that what it warns of is heard
    return opened, tuple(dict.fromkeys(notes))
