"""The part of the panels that runs in the browser: pictures with marks, tables, and the look of all panels."""

from ._figure import Figure as Figure, Mark as Mark
from ._grid import Cell as Cell, Column as Column, Grid as Grid, GridRow as GridRow
from ._look import LOOK as LOOK, look_html as look_html
from ._slider import Slider as Slider
