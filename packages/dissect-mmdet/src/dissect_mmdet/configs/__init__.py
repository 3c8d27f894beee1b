"""MMDetection configs: read without running code, and checked before a model is built of them."""
