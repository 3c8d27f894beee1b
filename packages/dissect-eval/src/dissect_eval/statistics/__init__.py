"""Intervals, p-values and tables over resampled images, for one or many variants."""
