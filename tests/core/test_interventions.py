from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pydantic import TypeAdapter, ValidationError

from dissect_core import (
    Constant,
    Intervention,
    InterventionError,
    MaskError,
    Mean,
    Noise,
    Quantize,
    Scale,
    Shuffle,
    Zero,
    intervene,
    row_mask,
    variant_rng,
)
from dissect_core.edits import replacement_values

finite = st.floats(-1e6, 1e6, width=32)
pairs = array_shapes(max_dims=3, max_side=5).flatmap(
    lambda shape: st.tuples(arrays(np.float32, shape, elements=finite), arrays(np.bool_, shape))
)
small = st.floats(-8, 8, width=32)
interventions = st.one_of(
    st.sampled_from([Zero(), Mean(), Mean(over="row"), Shuffle(), Noise(), Noise(snr_db=10)]),
    st.builds(Constant, value=finite),
    st.builds(Scale, factor=small),
    st.builds(Quantize, bits=st.integers(2, 16)),
)


@given(pairs, interventions)
def test_only_masked_values_change(pair: tuple[Any, Any], intervention: Any) -> None:
    array, mask = pair
    before = array.copy()
    after = intervene(array, mask, intervention, rng=variant_rng(0, "a"))
    assert np.array_equal(array, before)
    assert after.dtype == array.dtype
    assert np.array_equal(after[~mask], array[~mask])
    assert np.array_equal(after[mask], replacement_values(array, mask, intervention, rng=variant_rng(0, "a")))


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


@pytest.mark.parametrize(
    "intervention",
    [
        Zero(),
        Mean(over="row"),
        Constant(value=-0.5),
        Shuffle(),
        Noise(snr_db=3),
        Scale(factor=2),
        Quantize(bits=4),
    ],
)
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
        {"kind": "quantize", "bits": 1},
        {"kind": "mean", "over": "diagonal"},
        {},
    ],
)
def test_bad_specs_are_refused(spec: dict[str, Any]) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Intervention)
    with pytest.raises(ValidationError):
        adapter.validate_python(spec)


matrices = st.tuples(arrays(np.float64, (4, 5), elements=finite), arrays(np.bool_, (4, 5)))


@given(matrices)
def test_means_of_rows_and_columns(pair: tuple[Any, Any]) -> None:
    array, mask = pair
    rows, columns = (intervene(array, mask, Mean(over=over)) for over in ("row", "column"))  # type: ignore[arg-type]
    for i, j in zip(*np.nonzero(mask), strict=True):
        assert rows[i, j] == pytest.approx(sum(array[i]) / 5, abs=1e-9)
        assert columns[i, j] == pytest.approx(sum(array[:, j]) / 4, abs=1e-9)


def test_columns_need_two_dimensions() -> None:
    with pytest.raises(InterventionError, match=r"mean over each column needs .* 2 or more dimensions"):
        intervene(np.ones(3), np.ones(3, dtype=bool), Mean(over="column"))


@given(matrices, st.text(max_size=5))
def test_shuffle_keeps_the_values(pair: tuple[Any, Any], variant: str) -> None:
    array, mask = pair
    after = intervene(array, mask, Shuffle(), rng=variant_rng(0, variant))
    assert sorted(after[mask]) == sorted(array[mask])


def test_shuffle_reaches_every_order_alike() -> None:
    array, mask = np.arange(3.0), np.ones(3, dtype=bool)
    orders = [tuple(intervene(array, mask, Shuffle(), rng=variant_rng(0, str(i)))) for i in range(1200)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert min(counts) > 150  # 200 expected, standard deviation 13


def test_noise_has_the_statistics_of_the_component() -> None:
    array = np.random.default_rng(0).normal(3, 2, 100_000)
    mask = np.ones(array.shape, dtype=bool)
    noise = intervene(array, mask, Noise(), rng=variant_rng(0, "a"))
    assert (noise.mean(), noise.std()) == pytest.approx((3, 2), abs=0.03)
    assert abs(np.corrcoef(array, noise)[0, 1]) < 0.02
    assert abs(((noise - 3) ** 4).mean() / 2**4 - 3) < 0.15, "kurtosis of a Gaussian"


@pytest.mark.parametrize("snr_db", [-10, 0, 20])
def test_added_noise_has_the_ratio_asked_for(snr_db: float) -> None:
    array = np.random.default_rng(0).normal(1, 2, 100_000)
    mask = np.ones(array.shape, dtype=bool)
    added = intervene(array, mask, Noise(snr_db=snr_db), rng=variant_rng(0, "a")) - array
    assert 10 * np.log10((array**2).mean() / added.var()) == pytest.approx(snr_db, abs=0.1)


@given(matrices, st.integers(2, 16))
def test_quantized_values_lie_on_the_grid(pair: tuple[Any, Any], bits: int) -> None:
    array, _ = pair
    after = intervene(array, np.ones(array.shape, dtype=bool), Quantize(bits=bits))
    step = np.abs(array).max() / (2 ** (bits - 1) - 1)
    assert len(np.unique(after)) <= 2**bits - 1
    assert (np.abs(after - array) <= step / 2 * (1 + 1e-9)).all()
    if step > 0:
        assert after / step == pytest.approx(np.round(after / step), abs=1e-6)


def test_random_interventions_need_a_stream() -> None:
    for intervention in (Shuffle(), Noise()):
        with pytest.raises(InterventionError, match=r"is random: pass `rng`"):
            intervene(np.ones(2), np.array([True, False]), intervention)


GOLDEN_ORDER = [0.0, 1.0, 4.0, 2.0, 3.0, 5.0]
GOLDEN_NOISE = [
    1.5031345198311938,
    -0.8432752189275301,
    3.954383016507954,
    0.6601193813598691,
    5.349448890752971,
    2.9684938854226415,
]


def test_random_interventions_are_the_same_for_ever() -> None:
    """Golden values: the same stream gives the same replacement on every machine and version of NumPy."""
    array, mask = np.arange(6.0), np.ones(6, dtype=bool)
    shuffled = intervene(array, mask, Shuffle(), rng=variant_rng(7, "golden"))
    noise = intervene(array, mask, Noise(), rng=variant_rng(7, "golden"))
    assert shuffled.tolist() == GOLDEN_ORDER
    assert noise.tolist() == pytest.approx(GOLDEN_NOISE, rel=1e-12)
