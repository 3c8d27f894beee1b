"""Changes of a model's structure for one pass: layers left out, and predictions read from earlier decoder layers."""
