"""Everything that dissect_transformers raises on purpose descends from one error."""

from __future__ import annotations

from dissect_core import BadImageError, DissectError
from dissect_core.text import said as said


class DissectTransformersError(DissectError):
    """Root of the errors of this package; its message is one line made for a person."""


class MissingPackageError(DissectTransformersError, ImportError):
    """A package that the requested work needs is not installed; the message says what to install."""


class ModelError(DissectTransformersError, ValueError):
    """A model's files are missing or damaged, or describe no detector that this adapter can run."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """A model is neither in a folder nor in the cache, and the Hub does not have it or cannot be reached."""


class WeightsError(ModelError):
    """Weights are missing, are of another model, or would need trust to be read."""


class RemoteCodeError(ModelError):
    """A model's files ask to run code of their own, which only the user can allow."""


class ProcessorError(ModelError):
    """A model has no image processor, or one that cannot be used."""


class TransformersDeviceError(DissectTransformersError, ValueError):
    """A device was asked for that torch does not know or this machine does not have."""


class PictureError(DissectTransformersError, BadImageError, OSError):
    """An image cannot be decoded, is of another size than annotated, or stops the model."""


class PictureNotFoundError(PictureError, FileNotFoundError):
    """An image is not where it was looked for."""


class AnnotationError(DissectTransformersError, ValueError):
    """The truth and the images or classes of a detector do not belong together."""
