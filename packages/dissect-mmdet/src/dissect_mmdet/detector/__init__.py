"""A live MMDetection model: opened, run over images as its config says, ablated, and its training loss."""

from typing import TYPE_CHECKING

from dissect_core.lazy import names_when_used

if TYPE_CHECKING:
    from ._detector import ImageDetections as ImageDetections, MMDetDetector as MMDetDetector
    from ._facts import detector_facts as detector_facts
    from ._images import image_paths as image_paths, read_image as read_image
    from ._models import (
        available_device as available_device,
        build_model as build_model,
        use_registries as use_registries,
    )
    from ._open import (
        fitted_model as fitted_model,
        open_mmdet as open_mmdet,
        resolve_config as resolve_config,
    )
    from ._pipeline import TestPipeline as TestPipeline, require_pixels as require_pixels


# The rule of roles lies here, too, and is asked about models of any kind: it needs none of these.
__getattr__, __dir__ = names_when_used(
    __name__,
    {
        "_detector": "ImageDetections MMDetDetector",
        "_facts": "detector_facts",
        "_images": "image_paths read_image",
        "_models": "available_device build_model use_registries",
        "_open": "fitted_model open_mmdet resolve_config",
        "_pipeline": "TestPipeline require_pixels",
    },
)
