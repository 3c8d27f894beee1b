"""Ablation of a live model, by masks or by a variant of any kind: on weights, on activations, or of its structure."""

from ._ablated import StructureReport, VariantReport, ablated, applied, reference_sites

__all__ = ["StructureReport", "VariantReport", "ablated", "applied", "reference_sites"]
