"""RF-DETR's image processor without torchvision: Transformers 5.24 has one for torchvision alone.

It gives the same numbers: values are scaled before the image is resized, and that is done bilinearly without smoothing,
by torch in both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DeformableDetrImageProcessorPil
from transformers.image_processing_backends import PilBackend
from transformers.image_utils import PILImageResampling

_MODES = {PILImageResampling.BILINEAR: "bilinear", PILImageResampling.BICUBIC: "bicubic"}


class _TorchResize(PilBackend):  # type: ignore[misc]  # Transformers is not looked into
    """Resizing of arrays as torch does it, in floating point and without smoothing."""

    def resize(self, image: NDArray[Any], size: Any, resample: Any = None, **kwargs: Any) -> NDArray[Any]:
        mode = _MODES.get(PILImageResampling.BILINEAR if resample is None else resample)
        if mode is None:
            raise ValueError(f"`resample` must be bilinear (2) or bicubic (3), got {resample!r}.")
        values = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None]
        made = torch.nn.functional.interpolate(
            values, size=(size.height, size.width), mode=mode, align_corners=False, antialias=False
        )
        return np.asarray(made[0].numpy())


class RfDetrImageProcessorPil(DeformableDetrImageProcessorPil, _TorchResize):  # type: ignore[misc]
    """RF-DETR's image processor: that of Deformable DETR, but for resizing and for how many detections are kept.

    Examples
    --------
    >>> from PIL import Image
    >>> processor = RfDetrImageProcessorPil(size={"height": 56, "width": 56})
    >>> made = processor(images=[Image.new("RGB", (80, 60))], return_tensors="pt")
    >>> tuple(made["pixel_values"].shape)
    (1, 3, 56, 56)
    """

    def _preprocess(
        self, images: list[NDArray[Any]], *args: Any, do_rescale: bool, rescale_factor: float, **kwargs: Any
    ) -> Any:
        if do_rescale:
            images = [image.astype(np.float32) * np.float32(rescale_factor) for image in images]
        return super()._preprocess(images, *args, do_rescale=False, rescale_factor=rescale_factor, **kwargs)

    def post_process_object_detection(
        self, outputs: Any, threshold: float = 0.5, target_sizes: Any = None, top_k: int | None = None
    ) -> Any:
        """Return boxes, scores and labels of each image, as many as there are queries."""
        kept = outputs.logits.shape[1] if top_k is None else top_k
        return super().post_process_object_detection(outputs, threshold, target_sizes, top_k=kept)

    def to_dict(self) -> dict[str, Any]:
        """Return its settings under the name that Transformers has for it."""
        settings: dict[str, Any] = super().to_dict()
        return {**settings, "image_processor_type": "RfDetrImageProcessor"}
