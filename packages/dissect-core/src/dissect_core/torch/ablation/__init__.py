"""Ablation of a live model, by masks or by a variant of any kind: on weights, on activations, or of its structure.

A room by itself: it stands on the three rooms that ablate one of these each, and measuring, replay and smaller models
stand on it.
"""

from ._ablated import (
    StructureReport as StructureReport,
    VariantReport as VariantReport,
    ablated as ablated,
    applied as applied,
    reference_sites as reference_sites,
)
