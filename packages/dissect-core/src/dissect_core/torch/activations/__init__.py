"""Interventions on activations: sites, reference statistics, gradient scores and fitted constants."""
