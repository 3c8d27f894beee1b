"""Checkpoints of MMDetection: read safely, fitted to a model, and with their class names."""
