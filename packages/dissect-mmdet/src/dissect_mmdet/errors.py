"""Everything that dissect_mmdet raises on purpose descends from one error."""

from __future__ import annotations

from dissect_core import BadImageError, DissectError
from dissect_core.text import SAID_AT_MOST as SAID_AT_MOST, said as said


class DissectMMDetError(DissectError):
    """Root of the errors of this package; its message is one line made for a person."""


class MissingDependencyError(DissectMMDetError, ImportError):
    """A package that the requested work needs is not installed; the message says what to install."""


class MissingOperatorError(DissectMMDetError, NotImplementedError):
    """An mmcv operator was called that has no torch version here; the message says which mmcv has it."""


class ConfigError(DissectMMDetError, ValueError):
    """A config file is missing, cannot be read or does not describe a detector."""


class ConfigNotFoundError(ConfigError, FileNotFoundError):
    """A config file is not where it was looked for."""


class CheckpointFitError(DissectMMDetError, ValueError):
    """A checkpoint's weights do not belong to the detector of the config."""


class ImageError(DissectMMDetError, BadImageError, OSError):
    """An image is missing or cannot be decoded."""


class ImageNotFoundError(ImageError, FileNotFoundError):
    """An image is not where it was looked for."""


class PickleRefusedError(DissectMMDetError, ValueError):
    """A pickle asks for something that files of its kind never hold."""


class UnknownKeyError(DissectMMDetError, KeyError, ValueError):
    """A checkpoint holds no component of that name; the message lists those it holds."""

    __str__ = Exception.__str__  # a KeyError shows the repr of its message


class UnknownDemoError(DissectMMDetError, ValueError):
    """No bundled detector has the name; near matches and those that there are, are named."""


class ZooError(DissectMMDetError):
    """The index of MMDetection's zoo is missing or cannot be read, or a setting of it is wrong."""


class UnknownModelError(ZooError, ValueError):
    """MMDetection's zoo has no detector of that name, or none that can be opened; near matches are named."""


class DownloadError(ZooError, OSError):
    """Weights of the zoo cannot be downloaded, are not what the zoo says they are, or cannot be written."""


class AnnotationError(DissectMMDetError, ValueError):
    """An annotation file cannot be read, or it and the images or labels do not belong together."""


class AnnotationsNotFoundError(AnnotationError, FileNotFoundError):
    """An annotation file is not where it was looked for."""


class SamplesNotFoundError(DissectMMDetError, FileNotFoundError):
    """A file of pickled samples is not where it was looked for."""


class FolderNotFoundError(DissectMMDetError, FileNotFoundError):
    """A folder into which files are to be written is not there."""


class DeviceError(DissectMMDetError, ValueError):
    """A device was asked for that torch does not know or this machine does not have."""
