"""The start page: a detector, a question, and studies that are there already."""

from ._panel import StartPanel as StartPanel
from ._studies import FoundStudy as FoundStudy, studies_below as studies_below
