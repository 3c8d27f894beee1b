"""Prefix replay: many variants of a model for little more than the work that each really changes."""

from ._pass import BatchPass
from ._record import ReplayWarning
from ._replay import PrefixReplay
from ._replayed_effects import EffectPass, replayed_effects
from ._session import ReplayCounts
from ._trace import Call, Trace

__all__ = [
    "BatchPass",
    "Call",
    "EffectPass",
    "PrefixReplay",
    "ReplayCounts",
    "ReplayWarning",
    "Trace",
    "replayed_effects",
]
