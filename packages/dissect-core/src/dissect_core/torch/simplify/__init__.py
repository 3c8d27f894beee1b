"""Removing parts of a model for good: a smaller model with the same outputs."""
