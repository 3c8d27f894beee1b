"""Remove parts of a model for good: smaller models with the outputs of the ablated ones, and their files."""

from ._saved import (
    describe_simplified as describe_simplified,
    load_simplified as load_simplified,
    save_simplified as save_simplified,
)
from ._simplify import Simplified as Simplified, simplify as simplify
from ._slim import SlimAttention as SlimAttention
from ._stand_ins import StandIn as StandIn
