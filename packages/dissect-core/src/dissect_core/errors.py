"""Errors of this package: one root, one class per rule that can be broken.

Every message says which argument or file, which rule, which value was found, and what to do about it.
The classes also derive from the built-in error that a caller would expect (``KeyError``, ``ValueError``,
``ImportError``), so code that knows nothing of this package handles them sensibly.
"""


class DissectError(Exception):
    """Root of all errors that this package raises on purpose.

    Examples
    --------
    >>> from dissect_core import UnitError, row_mask
    >>> try:
    ...     row_mask((4, 2), [4])
    ... except DissectError as error:
    ...     print(error)
    `indices` must be within 0 to 3 (the shape (4, 2) has 4 rows), got 4. ...
    """


class UnknownComponentError(DissectError, KeyError):
    """A component was named, or a pattern given, that the model does not have.

    Examples
    --------
    >>> print(UnknownComponentError("No component 'x'."))
    No component 'x'.
    """

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which would print a sentence in quotes.
        return Exception.__str__(self)


class SelectionError(DissectError, ValueError):
    """A selection matched another number of components than it was pinned to."""


class DoseError(DissectError, ValueError):
    """A share or a count of units lies outside what can be ablated."""


class UnitError(DissectError, ValueError):
    """Units (elements, rows, segments, heads, ...) do not fit the shape they are taken from."""


class MaskError(DissectError, ValueError):
    """A mask is not a bool array of its component's shape."""


class LayoutError(DissectError, ValueError):
    """The parameters of an attention block do not fit together."""


class InterventionError(DissectError, ValueError):
    """A replacement value cannot be computed for, or held by, a component."""


class SpecError(DissectError, ValueError):
    """A study's specification cannot be read, or a field of it breaks a rule."""


class PlanError(DissectError, ValueError):
    """A valid specification does not fit the model, or asks for more variants than it allows."""


class VariantNumberError(PlanError, IndexError):
    """A plan has no variant of this number."""


class SeedError(DissectError, ValueError):
    """A seed is not a non-negative integer."""


class CheckpointError(DissectError):
    """A checkpoint file cannot be read, trusted or written."""


class IrregularFileError(DissectError, OSError):
    """A folder, link, FIFO, socket or device stands where a file belongs; arguments are those of `OSError`."""

    def __str__(self) -> str:
        # OSError would begin with the number of the error.
        return f"{self.filename} cannot be used: {self.strerror}. Put a regular file in its place."


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """A checkpoint file is not where it was looked for."""


class MissingDependencyError(DissectError, ImportError):
    """An optional dependency is needed and not installed."""


class UnknownDetectorError(DissectError, LookupError):
    """No installed package offers a detector of this name."""


class ImageTypeError(DissectError, TypeError):
    """An image is not of a kind that detectors take: a path, an RGB array of uint8, or a Pillow image."""


class UnknownDataError(DissectError, LookupError):
    """No installed package offers data of this name."""


class DetectorUnavailableError(DissectError, RuntimeError):
    """A detector is installed and cannot be opened here: its package is broken, or lacks something it needs."""


class ArgumentError(DissectError, TypeError, ValueError):
    """An argument is of a kind that a function does not take, or none of those among which one can choose."""


class DetectorOptionError(DissectError, TypeError):
    """A detector was given an option that it does not have, or not one that it must have."""


class UntrustedError(DissectError):
    """A study's file or folder asks for something that may run code, which only the user can allow.

    Attributes
    ----------
    asked : str
        What it asks for.
    """

    def __init__(self, message: str, asked: str = "") -> None:
        super().__init__(message)
        self.asked = asked


class ConformanceError(DissectError, AssertionError):
    """A detector breaks the contract that studies rely on."""


class StudyError(DissectError):
    """A study cannot be run, or its folder cannot be read or written."""


class StudyChangedError(StudyError):
    """A study folder belongs to another study: something that must stay the same has changed."""


class StudyLockedError(StudyError):
    """Another run is at work in a study folder."""


class BadImageError(StudyError, ValueError):
    """An image cannot be read by the detector, stops its model, or is not the one that was annotated."""


class ShardsFailedError(StudyError):
    """Shards of a study failed again and again on a cluster's workers; the rest of it is finished."""


class ClusterError(StudyError):
    """A cluster cannot be reached, has no room for a worker, or none of its workers can do the work."""


class RandomDetectorError(StudyError):
    """A detector gives other detections for the same images each time."""


class ReplayError(DissectError, RuntimeError):
    """A replayed pass gave other results than a full one."""
