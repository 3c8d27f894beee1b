"""What all panels share: the bases of panels and of their models, controls, looks, and safe texts."""

from ._controls import (
    Looks as Looks,
    choice_box as choice_box,
    close_all as close_all,
    holds as holds,
    labelled as labelled,
    line as line,
    segments as segments,
    share_box as share_box,
    variant_box as variant_box,
)
from ._model import (
    THEMES as THEMES,
    OneOf as OneOf,
    PanelModel as PanelModel,
    Selection as Selection,
    Share as Share,
    StudyModel as StudyModel,
    WorkerModel as WorkerModel,
    share as share,
)
from ._panel import ModelPanel as ModelPanel, Panel as Panel
from ._question import TrustQuestion as TrustQuestion
from ._text import (
    counted as counted,
    html_text as html_text,
    problem_html as problem_html,
    status_html as status_html,
)
