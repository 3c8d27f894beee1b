"""Measurements of an ablation: operations it saves, and the relative change of outputs."""

from ._effects import EffectProbe, VariantEffect
from ._flops import FlopMeter, flops_saved, operations
from ._output_change import NoOpWarning, output_change

__all__ = [
    "EffectProbe",
    "FlopMeter",
    "NoOpWarning",
    "VariantEffect",
    "flops_saved",
    "operations",
    "output_change",
]
