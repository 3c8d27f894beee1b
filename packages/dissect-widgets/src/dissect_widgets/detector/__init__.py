"""The detector panel: what is installed, and opening one."""

from ._model import DetectorModel as DetectorModel
from ._panel import DetectorPanel as DetectorPanel
from ._source import BUNDLED as BUNDLED, named_detector as named_detector
from ._speed import Speed as Speed, speed_of as speed_of
