"""State of the detector panel: which detectors are installed, and the one that was opened. No widgets in here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traitlets import Any as AnyTrait, Bool, Dict, Unicode, observe

from dissect_core import UntrustedError
from dissect_core.detectors import Detector, InstalledDetector, available_detectors, open_detector
from dissect_core.spec import DetectorSpec

from ..base import OneOf, WorkerModel
from ..errors import RunStateError


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
    state : {"closed", "opening", "open", "failed"}
        Trait.
    detector : Detector or None
        Trait: the one that is open.
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
    state = OneOf(("closed", "opening", "open", "failed"), "closed")
    detector = AnyTrait(None, allow_none=True)

    def __init__(self, detector: Detector | DetectorSpec | None = None) -> None:
        self.installed: Mapping[str, InstalledDetector] = available_detectors()
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
            if self.state == "opening":
                raise RunStateError("A detector is being opened already. Wait until it is.")
            with self.hold_trait_notifications():
                self.state, self.error, self.details, self.detector = "opening", "", "", None
            spec = DetectorSpec(adapter=self.name, options=dict(self.options))
            self._begin("dissect-open", self._work, spec, self.trust)

    @property
    def problem(self) -> str | None:
        """Return why the detector of this name cannot be opened here; None if nothing is known."""
        one = self.installed.get(self.name)
        return one.problem if one else None

    @observe("name", "options")
    def _on_other(self, _: Mapping[str, Any]) -> None:
        """Withdraw the permission to run code: it was given to another detector."""
        self.trust, self.question = False, ""

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
