import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dissect_core import (
    MaskError,
    UnitError,
    column_mask,
    dose,
    element_mask,
    row_mask,
    segment_mask,
    unit_count,
    unit_mask,
)
from dissect_core.edits import check_mask

shapes = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)


@given(shapes, st.data())
def test_element_mask_counts_in_c_order(shape: tuple[int, ...], data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(0, math.prod(shape) - 1), unique=True))
    mask = element_mask(shape, indices)
    assert mask.shape == shape
    assert np.flatnonzero(mask).tolist() == sorted(indices)


@given(shapes, st.data())
def test_row_mask_is_indexing_the_first_axis(shape: tuple[int, ...], data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(0, shape[0] - 1), unique=True))
    expected = np.zeros(shape, dtype=bool)
    expected[indices] = True
    assert np.array_equal(row_mask(shape, indices), expected)


@given(shapes.filter(lambda shape: len(shape) > 1), st.data())
def test_column_mask_is_indexing_the_second_axis(shape: tuple[int, ...], data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(0, shape[1] - 1), unique=True))
    expected = np.zeros(shape, dtype=bool)
    expected[:, indices] = True
    assert np.array_equal(column_mask(shape, indices), expected)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.data())
def test_segment_mask_is_deep_dissects_formula(rows: int, n: int, width: int, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, rows * n - 1), unique=True))
    expected = np.zeros((rows, n * width), dtype=bool)
    for s in chosen:
        expected[s // n, width * (s % n) : width * (s % n) + width] = True
    assert np.array_equal(segment_mask((rows, n * width), chosen, segments_per_row=n), expected)


def test_segments_of_detr_are_32_columns_wide() -> None:
    mask = segment_mask((768, 256), [8 * 3 + 5], segments_per_row=8)
    assert np.argwhere(mask).tolist() == [[3, column] for column in range(160, 192)]


def test_component_mask() -> None:
    assert unit_mask((2, 3), "component", [0]).all()
    assert not unit_mask((2, 3), "component", []).any()


@given(shapes, st.sampled_from(["component", "element", "row"]))
def test_all_units_make_the_whole_component(shape: tuple[int, ...], unit: Any) -> None:
    everything = unit_mask(shape, unit, range(unit_count(shape, unit)))
    assert everything.all()
    assert dose(everything) == 1


@pytest.mark.parametrize(
    ("shape", "unit", "n"),
    [
        ((), "element", 1),
        ((), "component", 1),
        ((5,), "row", 5),
        ((2, 3, 4), "column", 3),
        ((2, 3, 4), "element", 24),
        ((0, 4), "element", 0),
        ((0, 4), "component", 0),
    ],
)
def test_unit_count(shape: tuple[int, ...], unit: Any, n: int) -> None:
    assert unit_count(shape, unit) == n
    mask = unit_mask(shape, unit, range(n))
    assert mask.shape == shape
    assert mask.all()


@pytest.mark.parametrize(
    ("shape", "unit", "kwargs", "message"),
    [
        ((), "row", {}, r"1 or more dimensions to have rows, got \(\). Use the unit 'element'"),
        ((4,), "column", {}, r"2 or more dimensions to have columns, got \(4,\). Use the unit 'row'"),
        ((4,), "segment", {"segments_per_row": 2}, "2 dimensions to have segments"),
        ((4, 6), "segment", {}, "`segments_per_row` must be given"),
        (
            (4, 6),
            "segment",
            {"segments_per_row": 4},
            r"divide the 6 columns .*got 4. Use one of \[1, 2, 3, 6\]",
        ),
        ((4, 6), "segment", {"segments_per_row": 0}, "divide the 6 columns"),
        ((4, 6), "row", {"segments_per_row": 2}, "must be left out for the unit 'row'"),
        ((4, 6), "head", {}, "`unit` must be one of component, element, row, column, segment, got 'head'"),
    ],
)
def test_units_that_a_shape_does_not_have(shape: Any, unit: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(UnitError, match=message):
        unit_count(shape, unit, **kwargs)
    with pytest.raises(UnitError, match=message):
        unit_mask(shape, unit, [], **kwargs)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, 4], r"within 0 to 3 \(the shape \(4, 6\) has 4 rows\), got 4"),
        ([-1], "within 0 to 3 .* got -1"),
        ([1, 2, 1], "must be distinct, got 1 more than once"),
        ([0.5], "one row of integers, got shape .* of float64"),
        ([[0, 1]], r"one row of integers, got shape \(1, 2\)"),
        ([True, False], "of bool. For a bool array pass `np.flatnonzero"),
        (3, "one row of integers"),
    ],
)
def test_bad_indices(indices: Any, message: str) -> None:
    with pytest.raises(UnitError, match=message):
        row_mask((4, 6), indices)


def test_no_index_fits_a_component_without_values() -> None:
    with pytest.raises(UnitError, match="must be empty"):
        row_mask((0, 4), [0])


def test_masks_are_writable_and_own_their_memory() -> None:
    mask = row_mask((2, 3), [0])
    mask[1, 1] = True
    assert mask.sum() == 4


def test_dose() -> None:
    assert dose(row_mask((4, 6), [1, 3])) == 0.5
    assert dose(np.zeros((0, 3), dtype=bool)) == 0


def test_check_mask() -> None:
    mask = row_mask((2, 3), [0])
    assert check_mask("w", mask, (2, 3)) is mask
    with pytest.raises(MaskError, match=r"'w' must have the component's shape \(3, 2\), got \(2, 3\)"):
        check_mask("w", mask, (3, 2))
    with pytest.raises(MaskError, match="'w' must be of bool, got int64"):
        check_mask("w", mask.astype(np.int64), (2, 3))
