"""Figures as HTML, and the pictures of the panels as matplotlib figures (`dissect_widgets.figure.plots`)."""

from ._html import figure_html, named_figure_html, number_text, table_html

__all__ = ["figure_html", "named_figure_html", "number_text", "table_html"]
