"""Matching of detections to truth, and the counts, scores and chance levels that follow."""
