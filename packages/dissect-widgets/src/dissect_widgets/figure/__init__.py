"""Figures as HTML, and the pictures of the panels as matplotlib figures (`dissect_widgets.figure.plots`)."""

from ._html import (
    figure_html as figure_html,
    named_figure_html as named_figure_html,
    number_text as number_text,
    table_html as table_html,
)
from ._svg import (
    Picture as Picture,
    page_colours as page_colours,
    picture_html as picture_html,
    picture_of as picture_of,
    shares_of as shares_of,
    svg_of as svg_of,
)
