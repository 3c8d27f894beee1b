"""Trials of intervals on populations whose true value is known; `benchmarks/coverage.py` makes the long ones."""

from __future__ import annotations

import pytest

from populations import coverage, synthetic

N_SAMPLES = 80
"""Of as many intervals that hold the true value with .95, fewer than 70 (.875) do in one of 200 trials."""


@pytest.mark.parametrize(("n_classes", "tail"), [(10, 0.7), (1, 0.0)], ids=["ten classes", "one class"])
def test_intervals_of_40_images_hold_the_true_value(n_classes: int, tail: float) -> None:
    population = synthetic(n_classes, 400, n_classes, tail)
    found = coverage(population, ("AP", "AP50", "f1", "matched_giou"), 40, N_SAMPLES, 60)
    low = [one for one in found if one.method == "t" and one.held < 0.87]
    assert not low
    assert all(
        one.held > 0.9 for one in found if (one.of, one.method, one.metric) == ("difference", "t", "AP")
    )


def test_rare_classes_bias_ap_and_the_interval_allows_for_it() -> None:
    """Eighty classes with a long tail: resamples do not show the bias, and quantiles miss the true value."""
    found = {
        (one.of, one.method): one for one in coverage(synthetic(1, 600, 80, 1.0), ("AP",), 40, N_SAMPLES, 60)
    }
    for of in ("first", "second"):
        assert found[of, "percentile"].held < 0.8 < found[of, "t"].held
        assert found[of, "t"].bias > 0.02, "AP of few images is too high"
        assert found[of, "t"].bias_told > 0, "and halves of the images tell so"
    assert found["difference", "t"].held > 0.87
