"""State of the detector panel: which detectors are installed, and the one that was opened. No widgets in here."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Mapping
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Enum, HasTraits, Unicode, observe

from dissect_core import UntrustedError
from dissect_core.detectors import Detector, InstalledDetector, available_detectors, open_detector
from dissect_core.spec import DetectorSpec

from ..errors import RunStateError


class DetectorModel(HasTraits):
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
        Trait: what it asks for that only the user can allow, with `trust`; empty if nothing.
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
    state = Enum(("closed", "opening", "open", "failed"), "closed")
    detector = AnyTrait(None, allow_none=True)
    error = Unicode()
    details = Unicode()

    def __init__(self, detector: Detector | DetectorSpec | None = None) -> None:
        self.lock = threading.RLock()
        self.installed: Mapping[str, InstalledDetector] = available_detectors()
        self._worker: threading.Thread | None = None
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
            self._worker = threading.Thread(
                target=self._work, args=(spec, self.trust), name="dissect-open", daemon=True
            )
            self._worker.start()

    def wait(self, timeout: float | None = None) -> str:
        """Block until the detector is open, or is known not to open; gives the state."""
        worker = self._worker
        if worker is not None:
            worker.join(timeout)
        return str(self.state)

    @property
    def problem(self) -> str | None:
        """Why the detector of this name cannot be opened here; None if nothing is known."""
        one = self.installed.get(self.name)
        return one.problem if one else None

    @observe("name", "options")
    def _on_other(self, _: Mapping[str, Any]) -> None:
        """What was allowed to one detector is not allowed to the next."""
        self.trust, self.question = False, ""

    def _work(self, spec: DetectorSpec, trust: bool) -> None:
        try:
            opened = open_detector(spec, trust=trust)
        except UntrustedError as error:
            with self.lock, self.hold_trait_notifications():
                self.question, self.state = error.asked, "closed"
        except Exception as error:  # whatever a plugin raises is shown
            with self.lock, self.hold_trait_notifications():
                self.error, self.details = f"{type(error).__name__}: {error}", traceback.format_exc()
                self.state = "failed"
        else:
            with self.lock, self.hold_trait_notifications():
                self.detector, self.state = opened, "open"
