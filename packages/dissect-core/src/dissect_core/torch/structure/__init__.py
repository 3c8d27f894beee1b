"""Changes of a model's structure for one pass: layers left out, and predictions read from earlier decoder layers."""

from ._bypass import (
    bypassed as bypassed,
    projection_of as projection_of,
    same_values as same_values,
    silent as silent,
)
from ._readout import read_out as read_out
