"""The bases of the panels' models: state that works without a browser, and may change on any thread."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from traitlets import Float, HasTraits, Int, TraitType, Unicode

from dissect_core import DissectError, near_matches
from dissect_core.store import Study
from dissect_eval import EvalError
from dissect_eval.study import StudyDetections

from ..errors import StudyFolderError, UnknownNameError

THEMES = ("light", "dark")


class OneOf(TraitType[str, str]):
    """Trait: one of some names.

    Parameters
    ----------
    choices : iterable of str, or callable
        The names; or what returns them, given the object that has the trait.
    default : str, optional
        The value at first; not checked.

    Examples
    --------
    >>> class Model(PanelModel):
    ...     theme = OneOf(THEMES, "light")
    >>> model = Model()
    >>> model.theme = "drak"
    Traceback (most recent call last):
    dissect_widgets.errors.UnknownNameError: `theme` must be one of 2 names, got 'drak'; near matches: dark.
    >>> model.theme
    'light'
    """

    def __init__(self, choices: Iterable[str] | Callable[[Any], Iterable[str]], default: str = "") -> None:
        self._choices = choices if callable(choices) else lambda _, fixed=tuple(choices): fixed
        super().__init__(default_value=default)

    def validate(self, obj: Any, value: Any) -> str:
        """Return the value as text.

        Raises
        ------
        UnknownNameError
            If it is none of the names.
        """
        names, text = list(self._choices(obj)), str(value)
        if text in names:
            return text
        names = [name for name in names if name]
        near = near_matches(text, names, n=3)
        some = "" if near else f" such as {', '.join(names[:4])}"
        hint = f"; near matches: {', '.join(near)}" if near else ""
        raise UnknownNameError(f"`{self.name}` must be one of {len(names)} names{some}, got {text!r}{hint}.")


class Share(Float[float, float]):
    """Trait: a number in [0, 1]."""

    def validate(self, obj: Any, value: Any) -> float:
        """Return the number.

        Raises
        ------
        UnknownNameError
            If it lies outside.
        """
        number = float(super().validate(obj, value))
        if not 0 <= number <= 1:
            raise UnknownNameError(f"`{self.name}` must be in [0, 1], got {number}.")
        return number


class PanelModel(HasTraits):
    """State of a panel.

    Attributes
    ----------
    lock : threading.RLock
        Held while several traits change together, or are read together.
    """

    def __init__(self, **traits: Any) -> None:
        self.lock = threading.RLock()
        super().__init__(**traits)


class Selection(HasTraits):
    """What is chosen in a study: one choice, which results, images, queries and table show from their sides.

    Attributes
    ----------
    variant, category : str
        Traits: id of a variant, and name of a class; empty for none.
    image, query : int or None
        Traits: number of an image in the study, and of an object query.

    Examples
    --------
    >>> selection = Selection()
    >>> selection.observe(lambda change: print(change["name"], change["new"]))
    >>> selection.choose(variant="heads/0", category="ring")
    variant heads/0
    category ring
    """

    variant = Unicode()
    category = Unicode()
    image = Int(None, allow_none=True)
    query = Int(None, allow_none=True)

    def choose(self, **what: Any) -> None:
        """Set several of the traits; those who observe them see all of them changed."""
        with self.hold_trait_notifications():
            for name, value in what.items():
                setattr(self, name, value)


def share(
    model: HasTraits, selection: Selection, names: Sequence[str], undo: list[Callable[[], object]]
) -> None:
    """Keep traits of a model and of a selection equal; what the model does not know it passes over.

    Parameters
    ----------
    model : HasTraits
    selection : Selection
    names : sequence of str
        Traits that both have.
    undo : list of callable
        Grows by what ends it.
    """

    def to_model(change: Mapping[str, Any]) -> None:
        with suppress(UnknownNameError):  # a selection may be of another study for a moment
            setattr(model, change["name"], change["new"])

    def to_selection(change: Mapping[str, Any]) -> None:
        setattr(selection, change["name"], change["new"])

    for name in names:
        if (value := getattr(selection, name)) not in ("", None):
            to_model({"name": name, "new": value})
    selection.observe(to_model, list(names))
    model.observe(to_selection, list(names))
    undo.append(lambda: selection.unobserve(to_model, list(names)))
    undo.append(lambda: model.unobserve(to_selection, list(names)))


class WorkerModel(PanelModel):
    """State of a panel that works on a thread, one piece of work at a time.

    Attributes
    ----------
    state : str
        Trait; ``"failed"`` after an error.
    error, details : str
        Traits: type and message of the error that ended the work, and its traceback.
    """

    state = Unicode()
    error = Unicode()
    details = Unicode()

    _worker: threading.Thread | None = None

    def wait(self, timeout: float | None = None) -> str:
        """Block until the work has ended, for notebooks that show nothing from other threads; returns the state."""
        worker = self._worker
        while worker is not None:
            worker.join(timeout)
            # What watches the state may have begun the next piece of work.
            worker = None if worker is self._worker else self._worker
        return str(self.state)

    def _begin(self, name: str, work: Callable[..., object], *arguments: Any) -> None:
        self._worker = threading.Thread(target=work, args=arguments, name=name, daemon=True)
        self._worker.start()

    def _fail(self, error: Exception) -> None:
        with self.lock, self.hold_trait_notifications():
            self.error = f"{type(error).__name__}: {error}"
            self.details = "".join(traceback.format_exception(error))
            self.state = "failed"


class StudyModel(PanelModel):
    """State of a panel that shows a study's detections, those of a variant beside the baseline's.

    Parameters
    ----------
    source : Path, str or Study
        A study's folder, with truth, finished or not.

    Attributes
    ----------
    study : dissect_core.store.Study
    selection : Selection
    variant : str
        Trait: the ablated model beside the baseline.
    threshold : float
        Trait: least score that counts, in [0, 1].

    Raises
    ------
    StudyFolderError
        If the folder holds no study with truth and at least one image that was run.
    """

    variant = OneOf(lambda model: model.study.variants)
    threshold = Share(0.0)

    def __init__(
        self,
        source: Path | str | Study,
        *,
        selection: Selection | None = None,
        shared: Sequence[str] = ("variant", "query"),
    ) -> None:
        try:
            self.study = source if isinstance(source, Study) else Study.open(source)
            self._detections = StudyDetections(self.study)
            self.baseline = self.study.variants[0]
            # Two: the baseline, which is asked for each time and so is never dropped, and the variant at hand.
            self._boxes_of = lru_cache(maxsize=2)(self._read)
            self._prepare()
        except (DissectError, EvalError) as error:
            raise StudyFolderError(str(error)) from error
        super().__init__()
        self.variant = self.study.variants[min(1, len(self.study.variants) - 1)]
        self.selection = selection or Selection()
        self._shared: list[Callable[[], object]] = []
        share(self, self.selection, shared, self._shared)

    def close(self) -> None:
        """Stop following the selection."""
        while self._shared:
            self._shared.pop()()

    def _prepare(self) -> None:
        """Read what is needed whichever variant is shown; errors of the study's become `StudyFolderError`."""
        self._boxes_of(self.baseline)

    def _read(self, variant: str) -> Any:
        """Read what the panel needs of a variant's detections."""
        raise NotImplementedError
