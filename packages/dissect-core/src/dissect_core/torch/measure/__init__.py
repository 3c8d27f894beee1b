"""Measurements of an ablation: operations it saves, and the relative change of outputs."""

from ._effects import EffectProbe as EffectProbe, VariantEffect as VariantEffect
from ._flops import FlopMeter as FlopMeter, flops_saved as flops_saved, operations as operations
from ._output_change import NoOpWarning as NoOpWarning, output_change as output_change
