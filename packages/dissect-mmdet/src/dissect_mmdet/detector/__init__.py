"""A live MMDetection model as a detector: opened, run, ablated, with its losses and queries."""
