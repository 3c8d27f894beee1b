"""The anatomy of a live model: its components, attention blocks, layers and their roles, recognised by structure."""
