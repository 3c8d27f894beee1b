from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pydantic import TypeAdapter, ValidationError

from dissect_core import (
    Constant,
    Intervention,
    InterventionError,
    MaskError,
    Mean,
    Zero,
    intervene,
    replacement_values,
    row_mask,
)

finite = st.floats(-1e6, 1e6, width=32)
pairs = array_shapes(max_dims=3, max_side=5).flatmap(
    lambda shape: st.tuples(arrays(np.float32, shape, elements=finite), arrays(np.bool_, shape))
)
interventions = st.one_of(st.just(Zero()), st.just(Mean()), st.builds(Constant, value=finite))


@given(pairs, interventions)
def test_only_masked_values_change(pair: tuple[Any, Any], intervention: Any) -> None:
    array, mask = pair
    before = array.copy()
    after = intervene(array, mask, intervention)
    assert np.array_equal(array, before)
    assert after.dtype == array.dtype
    assert np.array_equal(after[~mask], array[~mask])
    assert np.array_equal(after[mask], replacement_values(array, mask, intervention))


@given(pairs)
def test_what_is_put_in(pair: tuple[Any, Any]) -> None:
    array, mask = pair
    assert (intervene(array, mask, Zero())[mask] == 0).all()
    assert (intervene(array, mask, Constant(value=0.25))[mask] == 0.25).all()
    mean = np.float32(array.astype(np.float64).mean())
    assert (intervene(array, mask, Mean())[mask] == mean).all()


def test_the_mean_is_taken_in_double_precision() -> None:
    array = np.full(100_000, 60_000, dtype=np.float16)
    assert intervene(array, np.ones(array.shape, dtype=bool), Mean())[0] == np.float16(60_000)


def test_a_scalar_component() -> None:
    assert intervene(np.asarray(3.0), np.asarray(True), Zero()) == 0


def test_integers_take_whole_numbers_only() -> None:
    array, mask = np.array([1, 2, 4]), np.array([True, False, False])
    assert intervene(array, mask, Zero()).tolist() == [0, 2, 4]
    assert intervene(array, mask, Constant(value=7)).dtype == array.dtype
    with pytest.raises(InterventionError, match=r"'mean' puts in 2.33333, which values of int64 cannot hold"):
        intervene(array, mask, Mean())


def test_values_beyond_the_range_are_refused() -> None:
    array = np.ones(2, dtype=np.float16)
    with pytest.raises(InterventionError, match=r"puts in 1e\+06, which values of float16 cannot hold"):
        intervene(array, np.array([True, False]), Constant(value=1e6))
    intervene(array, np.array([False, False]), Constant(value=1e6))


def test_a_component_that_is_broken_has_no_mean() -> None:
    with pytest.raises(InterventionError, match="'mean' puts in nan"):
        intervene(np.array([1.0, np.nan]), np.array([True, False]), Mean())


def test_the_mask_must_fit() -> None:
    with pytest.raises(MaskError):
        intervene(np.ones((2, 3)), row_mask((3, 2), [0]), Zero())


@pytest.mark.parametrize("intervention", [Zero(), Mean(), Constant(value=-0.5)])
def test_specs_survive_json_and_are_frozen_and_hashable(intervention: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Intervention)
    assert adapter.validate_json(adapter.dump_json(intervention)) == intervention
    assert len({intervention, intervention.model_copy()}) == 1
    with pytest.raises(ValidationError, match="frozen"):
        intervention.kind = "other"


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "zeroo"},
        {"kind": "zero", "value": 1},
        {"kind": "constant"},
        {"kind": "constant", "value": "inf"},
        {},
    ],
)
def test_bad_specs_are_refused(spec: dict[str, Any]) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Intervention)
    with pytest.raises(ValidationError):
        adapter.validate_python(spec)
