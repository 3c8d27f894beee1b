"""What all panels share: the bases of panels and of their models, controls, looks, and safe texts."""

from ._controls import Looks, choice_box, close_all, labelled, line, share_box, variant_box
from ._model import THEMES, OneOf, PanelModel, Share, StudyModel, WorkerModel
from ._panel import ModelPanel, Panel
from ._question import TrustQuestion
from ._text import counted, html_text, problem_html, status_html

__all__ = [
    "THEMES",
    "Looks",
    "ModelPanel",
    "OneOf",
    "Panel",
    "PanelModel",
    "Share",
    "StudyModel",
    "TrustQuestion",
    "WorkerModel",
    "choice_box",
    "close_all",
    "counted",
    "html_text",
    "labelled",
    "line",
    "problem_html",
    "share_box",
    "status_html",
    "variant_box",
]
