from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dissect_core import DoseError, sample_units, variant_rng
from dissect_core.edits import fraction_to_count

fractions = st.floats(0, 1)


@given(st.integers(0, 10**6), fractions)
def test_floor_is_deep_dissects_rule(n: int, fraction: float) -> None:
    assert fraction_to_count(n, fraction) == int(n * fraction)
    assert 0 <= fraction_to_count(n, fraction) <= n


@given(st.integers(0, 10**6), fractions)
def test_nearest_is_within_half_a_unit(n: int, fraction: float) -> None:
    assert abs(fraction_to_count(n, fraction, rounding="nearest") - n * fraction) <= 0.5


@given(st.integers(0, 300), fractions, st.integers(0, 2**70))
def test_sample_has_the_stated_number_of_distinct_ascending_units(n: int, fraction: float, seed: int) -> None:
    units = sample_units(n, variant_rng(seed, "x"), fraction=fraction)
    assert len(units) == int(n * fraction)
    assert units.dtype == np.int64
    assert (np.diff(units) > 0).all()
    assert len(units) == 0 or (units[0] >= 0 and units[-1] < n)


@given(st.integers(1, 200), st.data())
def test_samples_nest_as_the_dose_grows(n: int, data: st.DataObject) -> None:
    few, many = sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))
    small = sample_units(n, variant_rng(1, "x"), count=few)
    large = sample_units(n, variant_rng(1, "x"), count=many)
    assert set(small) <= set(large)


def test_everything_and_nothing() -> None:
    assert sample_units(7, variant_rng(0, "x"), fraction=1.0).tolist() == list(range(7))
    assert sample_units(7, variant_rng(0, "x"), fraction=0.0).tolist() == []
    assert sample_units(0, variant_rng(0, "x"), fraction=0.5).tolist() == []


def test_every_unit_is_as_likely_as_any_other() -> None:
    n, k, repeats = 20, 5, 4000
    counts = np.zeros(n)
    rng = variant_rng(0, "uniform")
    for _ in range(repeats):
        counts[sample_units(n, rng, count=k)] += 1
    expected = repeats * k / n
    chi2 = ((counts - expected) ** 2 / (expected * (1 - k / n))).sum() * (n - 1) / n
    assert chi2 < 43.8  # 0.1 % point of chi-squared with 19 degrees of freedom


def test_equal_draws_are_resolved_by_position() -> None:
    class Same(np.random.PCG64):
        def random_raw(self, size: Any = None, output: bool = True) -> Any:
            return np.full(size, 5, dtype=np.uint64)

    assert sample_units(6, np.random.Generator(Same(0)), count=3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("fraction", "message"),
    [
        (5, r"within \[0, 1\], got 5. For 5 % pass 0.05"),
        (-0.1, r"within \[0, 1\], got -0.1\.$"),
        (float("nan"), "got nan"),
        (float("inf"), "got inf"),
    ],
)
def test_a_share_is_no_percentage(fraction: float, message: str) -> None:
    with pytest.raises(DoseError, match=message):
        fraction_to_count(100, fraction)
    with pytest.raises(DoseError, match=message):
        sample_units(100, variant_rng(0, "x"), fraction=fraction)


@pytest.mark.parametrize("count", [-1, 11, 2.0, True, "3"])
def test_bad_counts(count: Any) -> None:
    with pytest.raises(DoseError, match="`count` must be an integer from 0 to 10, the number of units"):
        sample_units(10, variant_rng(0, "x"), count=count)


def test_a_share_or_a_count_and_not_both() -> None:
    with pytest.raises(DoseError, match="either `fraction` or `count`"):
        sample_units(10, variant_rng(0, "x"))
    with pytest.raises(DoseError, match="either `fraction` or `count`"):
        sample_units(10, variant_rng(0, "x"), fraction=0.1, count=1)


def test_bad_rounding_and_number_of_units() -> None:
    with pytest.raises(DoseError, match="`rounding` must be 'floor' or 'nearest', got 'up'"):
        fraction_to_count(10, 0.5, rounding="up")  # type: ignore[arg-type]
    with pytest.raises(DoseError, match="`n_units` must be 0 or more"):
        fraction_to_count(-1, 0.5)
