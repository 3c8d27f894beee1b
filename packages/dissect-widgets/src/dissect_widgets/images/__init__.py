"""The image browser: truth, baseline and ablated detections side by side."""
