"""A live detector of Transformers: opened, run over images as its processor says, ablated, and its training loss."""

from typing import TYPE_CHECKING

from dissect_core.lazy import names_when_used

if TYPE_CHECKING:
    from ._detector import Batch as Batch, TransformersDetector as TransformersDetector
    from ._open import open_transformers as open_transformers

__getattr__, __dir__ = names_when_used(
    __name__, {"_detector": "Batch TransformersDetector", "_open": "open_transformers"}
)
