"""The query panel: where each object query's boxes are, and where an ablation moves them."""
