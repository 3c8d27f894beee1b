"""The image browser: truth, baseline and ablated detections side by side."""

from ._model import ImagesModel as ImagesModel
from ._panel import ImageBrowser as ImageBrowser
from ._sheet import ImageSheet as ImageSheet
