"""Ground truth and detections: read, checked, converted, split."""
