"""The detector panel: what is installed, and opening one."""

from ._model import DetectorModel as DetectorModel
from ._panel import DetectorPanel as DetectorPanel
from ._source import (
    BUNDLED as BUNDLED,
    CHECKPOINTS as CHECKPOINTS,
    label_of as label_of,
    named_detector as named_detector,
)
from ._speed import Speed as Speed, first_image as first_image, speed_of as speed_of
