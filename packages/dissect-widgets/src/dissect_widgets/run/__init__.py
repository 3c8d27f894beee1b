"""The run panel: starts a study, shows its progress, stops it."""
