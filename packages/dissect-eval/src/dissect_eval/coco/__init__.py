"""COCO average precision and recall, bit for bit as pycocotools."""
