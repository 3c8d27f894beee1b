"""What a model is made of, as plain data: components, attention blocks, roles, and groups of units."""
