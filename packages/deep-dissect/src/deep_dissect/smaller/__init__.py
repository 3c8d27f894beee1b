"""Smaller detectors: what a study found to be redundant is taken out for good, as much as can go.

Units are chosen on one half of the images, and the loss is measured on the other: on the half on which they were chosen
because they cost little, it would look too small.
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
