"""Removing parts of a model for good: a smaller model with the same outputs, and its files."""

from ._saved import describe_simplified, load_simplified, save_simplified
from ._simplify import Simplified, simplify
from ._slim import SlimAttention
from ._stand_ins import StandIn

__all__ = [
    "Simplified",
    "SlimAttention",
    "StandIn",
    "describe_simplified",
    "load_simplified",
    "save_simplified",
    "simplify",
]
