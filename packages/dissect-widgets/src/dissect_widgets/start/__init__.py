"""The start page: a detector, a question, and studies that are there already."""

from ._detectors import FoundDetector as FoundDetector, detectors_below as detectors_below
from ._panel import StartPanel as StartPanel
from ._recent import recent_studies as recent_studies, remember_study as remember_study
from ._studies import FoundStudy as FoundStudy, studies_below as studies_below
