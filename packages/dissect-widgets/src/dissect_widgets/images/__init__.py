"""The image browser: truth, baseline and ablated detections side by side."""

from ._model import ImagesModel
from ._panel import ImageBrowser

__all__ = ["ImageBrowser", "ImagesModel"]
