"""The detector panel: what is installed, and opening one."""

from ._model import DetectorModel
from ._panel import DetectorPanel

__all__ = ["DetectorModel", "DetectorPanel"]
