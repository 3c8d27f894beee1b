"""Errors of dissect_widgets; all of them inherit from `DissectWidgetsError`."""

from traitlets import TraitError

from dissect_core import DissectError, MissingDependencyError, SpecError, StudyError, UnknownComponentError


class DissectWidgetsError(DissectError):
    """Root of the errors of this package; its message is made for a person.

    Examples
    --------
    >>> from dissect_widgets import BrowserModel
    >>> try:
    ...     BrowserModel([]).expand("encoder")
    ... except DissectWidgetsError as error:
    ...     print(error)
    No block matches 'encoder'. There is no block at all.
    """


class TreeError(DissectWidgetsError, ValueError):
    """Components cannot be arranged as a tree: a name is empty or there twice."""


class UnknownNameError(DissectWidgetsError, UnknownComponentError, TraitError):
    """A name given to a panel does not exist: of a component, a block, a variant, a metric.

    It is a `TraitError` too, so that a refused value leaves the trait as it was.
    """


class StudyFolderError(DissectWidgetsError, StudyError):
    """A study's folder cannot be shown, or something cannot be written beside it."""


class DraftError(DissectWidgetsError, SpecError):
    """A draft of a study cannot be read or saved."""


class RunStateError(DissectWidgetsError, RuntimeError):
    """A run cannot be started or followed now."""


class RunInputError(DissectWidgetsError, ValueError):
    """The inputs of a run (images, truth, folder, detector) are incomplete."""


class MissingAppError(DissectWidgetsError, MissingDependencyError):
    """Voila, which serves the app, is not installed."""
