"""What programs ask of an adapter beyond an open detector: reading its files without a model, and writing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from ..anatomy import Anatomy
from ..errors import DetectorUnavailableError
from ._installed import entry_of
from ._opening import open_detector
from .trust import DetectorRequest

if TYPE_CHECKING:
    from ._protocol import Detector

__all__ = ["TOOLS", "AdapterTools", "DetectorContents", "WritableCheckpoint", "adapter_tools"]

TOOLS = "dissect.tools"
"""Entry point group in which a package offers a subclass of `AdapterTools`, under the name of its detector."""


@dataclass(frozen=True)
class DetectorContents:
    """What a detector is made of, as far as its files tell.

    Attributes
    ----------
    anatomy : Anatomy
        Of weights without a model it holds components only.
    loaded : str
        What was loaded, and how much of it fitted, as one line; empty if there is nothing to say.
    warning : str
        With what every number of the detector must be read: weights that were missing, say.
    missing : mapping
        The same as plain data.
    note : str
        What else people should know.
    """

    anatomy: Anatomy
    loaded: str = ""
    warning: str = ""
    missing: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


class WritableCheckpoint(Protocol):
    """A checkpoint of which copies with other weights can be written."""

    @property
    def path(self) -> Path:
        """The file or folder that it was read from."""
        ...

    @property
    def anatomy(self) -> Anatomy:
        """What there is to ablate, by the model's names; without a model, components alone."""
        ...

    @property
    def weights(self) -> Mapping[str, Any]:
        """Weights by the model's names, as torch tensors."""
        ...

    @property
    def told(self) -> str:
        """Which weights of the file these are, as one line; empty where there is only one choice."""
        ...

    @property
    def loaded(self) -> str:
        """What was loaded into a model, and how much of it fitted, as one line; empty without a model."""
        ...

    @property
    def origin(self) -> Mapping[str, Any]:
        """What each copy records of where it comes from, as plain data."""
        ...

    def write(self, weights: Mapping[str, Any], record: Mapping[str, Any], target: Path) -> None:
        """Write a copy with these weights and a record of what was done, whole or not at all."""
        ...


class AdapterTools:
    """What programs ask of an adapter beyond an open detector.

    A package offers a subclass as an entry point of the group ``dissect.tools``, under the name of its detector. All
    methods work without one, by what every detector offers, or say that this adapter cannot do it.

    Parameters
    ----------
    adapter : str
        Name of the detector, for messages.

    Examples
    --------
    >>> AdapterTools("mine").train("tiny", Path("out"))
    Traceback (most recent call last):
    dissect_core.errors.DetectorUnavailableError: The adapter 'mine' cannot train bundled detectors: ...
    """

    checkpoint_suffix = ".pth"
    """Ending of the checkpoints that are written."""

    def __init__(self, adapter: str) -> None:
        self.adapter = adapter

    def contents(self, request: DetectorRequest) -> DetectorContents:
        """Return what a detector is made of.

        Parameters
        ----------
        request : DetectorRequest
            How it is opened. An adapter may do with less than that: with weights alone, say.
        """
        detector: Detector = open_detector(request)
        anatomy = detector.anatomy
        return DetectorContents(anatomy, note=" ".join(anatomy.notes))

    def checkpoint(
        self, request: DetectorRequest, *, detector: Detector | None = None, with_model: bool = False
    ) -> WritableCheckpoint:
        """Read a checkpoint of which copies with other weights are to be written.

        Parameters
        ----------
        request : DetectorRequest
            How its detector is opened.
        detector : Detector, optional
            The detector, where it is open already.
        with_model : bool
            Build the model, which tells of attention heads and of how the weights fit. Otherwise the names in the file
            are taken as they are.

        Raises
        ------
        DetectorUnavailableError
            If this adapter writes none.
        """
        self._cannot("write checkpoints")

    def load_checkpoint(self, path: Path | str, *, trust: bool = False) -> dict[str, Any]:
        """Return the content of a checkpoint, without letting it run code unless `trust`.

        Raises
        ------
        DetectorUnavailableError
            If this adapter reads none.
        """
        self._cannot("read checkpoints")

    def read_predictions(self, path: Path | str) -> list[Any]:
        """Return the samples of a file of predictions, without letting it run code.

        Raises
        ------
        DetectorUnavailableError
            If this adapter reads none.
        """
        self._cannot("read files of predictions")

    def train(
        self,
        name: str,
        out: Path,
        *,
        data: Path | None = None,
        device: str = "cpu",
        iterations: int | None = None,
        resume: bool = False,
        progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
    ) -> Path:
        """Train a bundled detector from nothing, and return the file of its weights.

        Parameters
        ----------
        name : str
            As in ``"demo:detr"``, without the first part.
        out : Path
            Folder for logs and checkpoints.
        data : Path, optional
            Folder for the images that are drawn.
        device : str
        iterations : int, optional
            Length of the schedule.
        resume : bool
            Go on from the last checkpoint in `out`.
        progress : callable
            Is given the images' numbers, and gives them back one by one.

        Raises
        ------
        DetectorUnavailableError
            If this adapter trains none.
        """
        self._cannot("train bundled detectors")

    def _cannot(self, what: str) -> NoReturn:
        raise DetectorUnavailableError(
            f"The adapter {self.adapter!r} cannot {what}: its package offers no tools for that. "
            "Choose another --adapter, or ask its maker."
        )


def adapter_tools(adapter: str) -> AdapterTools:
    """Return the tools of an adapter; those that work for all detectors where its package offers none.

    Parameters
    ----------
    adapter : str
        Name of the detector, as `open_detector` takes it.

    Raises
    ------
    DetectorUnavailableError
        If its package cannot be imported, two packages offer the name, or what it offers is no `AdapterTools`.

    Examples
    --------
    >>> adapter_tools("yolo-in-fortran").adapter
    'yolo-in-fortran'
    """
    made = entry_of(TOOLS, adapter, f"The tools of the detector {adapter!r}")
    if made is None:
        return AdapterTools(adapter)
    tools = made(adapter)
    if not isinstance(tools, AdapterTools):
        raise DetectorUnavailableError(
            f"The tools of the detector {adapter!r} must be a subclass of `dissect_core.detectors.AdapterTools`, got "
            f"{type(tools).__name__}. Report it to the makers of its package."
        )
    return tools
