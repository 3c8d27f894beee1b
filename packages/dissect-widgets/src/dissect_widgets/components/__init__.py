"""The component browser: a model's parts as a tree to look through, search and select from."""
