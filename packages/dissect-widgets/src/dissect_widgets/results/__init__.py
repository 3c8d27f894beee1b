"""The results explorer: a study's pictures and tables."""
