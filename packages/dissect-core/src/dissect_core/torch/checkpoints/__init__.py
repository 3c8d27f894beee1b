"""Checkpoints, read without running what they contain, and written whole or not at all."""
