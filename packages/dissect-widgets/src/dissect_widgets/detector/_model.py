"""State of the detector panel: which detectors are installed, and the one that was opened. No widgets in here."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from traitlets import Any as AnyTrait, Bool, Dict, Instance, Unicode, observe

from dissect_core import UntrustedError
from dissect_core.detectors import Detector, InstalledDetector, available_detectors, open_detector
from dissect_core.spec import DetectorSpec

from ..base import OneOf, WorkerModel
from ..errors import RunStateError
from ._speed import speed_of


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
    speed = Instance(tuple, allow_none=True)

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
                self.speed = None
                self.state, self.error, self.details, self.detector = "opening", "", "", None
            spec = DetectorSpec(adapter=self.name, options=dict(self.options))
            self._begin("dissect-open", self._work, spec, self.trust)

    def time_pass(self) -> None:
        """Find out on a worker thread how fast the open detector is; returns at once.

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
            self._begin("dissect-time", self._time, self.detector)

    @property
    def problem(self) -> str | None:
        """Return why the detector of this name cannot be opened here; None if nothing is known."""
        one = self.installed.get(self.name)
        return one.problem if one else None

    @observe("name", "options")
    def _on_other(self, _: Mapping[str, Any]) -> None:
        """Withdraw the permission to run code: it was given to another detector."""
        self.trust, self.question = False, ""

    def _time(self, detector: Detector) -> None:
        found, error, details = None, "", ""
        try:
            found = speed_of(detector)
        except Exception as failure:  # the detector stays open: only its speed is not known
            error = f"A pass could not be timed: {type(failure).__name__}: {failure}"
            details = "".join(traceback.format_exception(failure))
        with self.lock, self.hold_trait_notifications():
            self.speed, self.error, self.details, self.state = found, error, details, "open"

    def _work(self, spec: DetectorSpec, trust: bool) -> None:
        try:
            opened = open_detector(spec, trust=trust)
        except UntrustedError as error:
            with self.lock, self.hold_trait_notifications():
                self.question, self.state = error.asked, "closed"
        except Exception as error:  # whatever a plugin raises is shown
            self._fail(error)
        else:
            with self.lock, self.hold_trait_notifications():
                self.detector, self.state = opened, "open"
