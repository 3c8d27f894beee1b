"""Ablation of a live model's weights, and of a state dict, with exact undo."""
