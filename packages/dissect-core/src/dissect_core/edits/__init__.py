"""What an ablation does to values: masks, interventions on weights and activations, random draws, and what changed."""
