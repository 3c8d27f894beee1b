"""The detector panel: what is installed, and opening one."""

from ._model import DetectorModel, fit_text
from ._panel import DetectorPanel

__all__ = ["DetectorModel", "DetectorPanel", "fit_text"]
