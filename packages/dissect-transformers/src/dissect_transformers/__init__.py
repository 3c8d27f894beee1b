"""Object detectors of Hugging Face Transformers for Deep Dissect: open, look into, ablate and run them.

Importing this package needs no Transformers; `open_transformers` says what to install when it is missing. Each name is
imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dissect_core.lazy import names_when_used

if TYPE_CHECKING:
    from ._runtime import require_transformers
    from .detector import TransformersDetector, open_transformers
    from .errors import (
        AnnotationError,
        DissectTransformersError,
        MissingPackageError,
        ModelError,
        ModelNotFoundError,
        PictureError,
        ProcessorError,
        RemoteCodeError,
        TransformersDeviceError,
        WeightsError,
    )

__all__ = [
    "AnnotationError",
    "DissectTransformersError",
    "MissingPackageError",
    "ModelError",
    "ModelNotFoundError",
    "PictureError",
    "ProcessorError",
    "RemoteCodeError",
    "TransformersDetector",
    "TransformersDeviceError",
    "WeightsError",
    "open_transformers",
    "require_transformers",
]

__getattr__, __dir__ = names_when_used(
    __name__,
    {
        "_runtime": "require_transformers",
        "detector": "TransformersDetector open_transformers",
        "errors": (
            "DissectTransformersError MissingPackageError ModelError ModelNotFoundError PictureError ProcessorError "
            "RemoteCodeError TransformersDeviceError AnnotationError WeightsError"
        ),
    },
)
