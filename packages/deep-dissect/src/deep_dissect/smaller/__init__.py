"""Smaller detectors: what a study found to be redundant is taken out for good, as much as can go.

Chosen on one half of the images and measured on the other: what was chosen as it cost little here costs more there.
"""

from ._files import (
    open_simplified as open_simplified,
    require_new_folder as require_new_folder,
    write_slimmed as write_slimmed,
)
from ._simplify import simplify as simplify
from ._slim import (
    Part as Part,
    Slimmed as Slimmed,
    halves as halves,
    removable as removable,
    slim as slim,
)
