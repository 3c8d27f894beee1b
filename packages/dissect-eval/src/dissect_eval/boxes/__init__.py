"""Boxes: their formats, and how much two of them overlap."""
