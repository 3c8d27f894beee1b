"""Many variants against one truth: the table equals what each gives alone."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from dissect_eval import (
    Detections,
    GroundTruth,
    SettingError,
    VariantTable,
    adjust_p_values,
    bootstrap,
    coco_ap,
    detection_metrics,
    evaluate_variants,
    matched_metrics,
    summarize_repeats,
)


@pytest.fixture(scope="module")
def study(golden: Callable[[str], Path]) -> tuple[GroundTruth, dict[str, Detections]]:
    truth = GroundTruth.from_coco(golden("medical_waste/test_gt.json"))
    whole = Detections.from_results(golden("medical_waste/dt.json"), truth)
    worse = replace(whole, scores=np.round(whole.scores, 1))
    return truth, {"worse": worse, "whole": whole, "half": whole.above(0.5)}


def test_table_equals_each_alone(study: tuple[GroundTruth, dict[str, Detections]]) -> None:
    truth, variants = study
    table = evaluate_variants(truth, variants, baseline="whole", per_class=True)
    assert [row.variant for row in table.select(metric="AP", category_id=None)] == list(variants)
    for name, found in variants.items():
        rows = {(row.metric, row.category_id): row for row in table.select(variant=name)}
        ap = coco_ap(truth, found, backend="pycocotools")
        assert rows["AP", None].value == pytest.approx(ap.AP, abs=1e-12)
        assert rows["f1", None].value == detection_metrics(truth, found).micro.f1
        assert rows["matched_giou", None].value == pytest.approx(
            matched_metrics(truth, found).mean_giou, abs=1e-12
        )
        for category, value in ap.per_class.items():
            assert rows["AP", category].value == pytest.approx(value, abs=1e-12, nan_ok=True)
            assert rows["AP", category].category == truth.category_names[category]
        assert rows["AP", None].n_detections == found.n_boxes
        assert rows["AP", None].difference == rows["AP", None].value - rows["AP", None].baseline
        assert np.isnan(rows["AP", None].low), "no bootstrap was asked for"


def test_intervals_and_corrections(study: tuple[GroundTruth, dict[str, Detections]]) -> None:
    truth, variants = study
    table = evaluate_variants(
        truth, variants, baseline="whole", metrics=["AP", "f1"], n_replicates=200, seed=4
    )
    (expected, _) = bootstrap(
        truth, variants["whole"], variants["half"], metrics=["AP", "f1"], n_replicates=200, seed=4
    )
    (row,) = table.select(variant="half", metric="AP")
    assert (row.low, row.high, row.p_value) == (expected.low, expected.high, expected.p_value)
    p = [row.p_value for row in table.select(metric="AP") if row.variant != "whole"]
    adjusted = [row.p_adjusted for row in table.select(metric="AP") if row.variant != "whole"]
    assert adjusted == adjust_p_values(p).tolist()
    (own,) = table.select(variant="whole", metric="AP")
    assert own.value_low < own.value < own.value_high
    assert own.difference == own.low == own.high == 0
    assert row.value_low < row.value < row.value_high
    assert row.n_undefined == 0
    assert np.isnan(own.p_adjusted)


def test_detections_can_come_one_by_one(study: tuple[GroundTruth, dict[str, Detections]]) -> None:
    truth, variants = study
    calls: list[str] = []

    def load(name: str) -> Callable[[], Detections]:
        def get() -> Detections:
            calls.append(name)
            return variants[name]

        return get

    lazy = evaluate_variants(truth, {name: load(name) for name in variants}, baseline="whole")
    assert lazy.to_dicts() == evaluate_variants(truth, variants, baseline="whole").to_dicts()
    assert calls == ["whole", "worse", "half"], "each once, the baseline first"


def test_ways_out(study: tuple[GroundTruth, dict[str, Detections]], tmp_path: Path) -> None:
    truth, variants = study
    table = evaluate_variants(truth, variants, metrics=["AP"])
    table.to_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == ["worse", "whole", "half"]
    assert float(rows[1]["value"]) == table[1].value
    assert rows[0]["low"] == ""
    assert table.to_dicts()[0]["low"] is None
    assert table.settings["baseline"] == "worse"
    assert len(table[:2]) == 2
    pandas = pytest.importorskip("pandas", reason="to_pandas needs pandas")
    frame = table.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["value"].tolist() == [row.value for row in table]
    assert frame["category_id"].isna().all()


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install pandas.*to_csv"):
        VariantTable((), {}).to_pandas()


def test_bad_arguments(study: tuple[GroundTruth, dict[str, Detections]]) -> None:
    truth, variants = study
    with pytest.raises(SettingError, match="`baseline` must be one of worse, whole, half, got 'none'"):
        evaluate_variants(truth, variants, baseline="none")
    with pytest.raises(SettingError, match="one of no variants"):
        evaluate_variants(truth, {})
    with pytest.raises(SettingError, match="'holm', 'bh' or 'none', got 'x'"):
        evaluate_variants(truth, variants, correction="x")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="takes fields of a row"):
        VariantTable((), {}).select(metrics="AP")


probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(probabilities)
def test_benjamini_hochberg_equals_scipy(values: list[float]) -> None:
    assert adjust_p_values(values, "bh") == pytest.approx(stats.false_discovery_control(values))


@given(probabilities)
def test_holm_from_its_definition(values: list[float]) -> None:
    """Step down: reject from the smallest on, as long as p <= level / (n - i)."""
    adjusted = adjust_p_values(values, "holm")
    for level in (0.01, 0.05, 0.2, 0.5):
        rejected: set[int] = set()
        for i, at in enumerate(sorted(range(len(values)), key=lambda j: values[j])):
            if values[at] * (len(values) - i) > level:
                break
            rejected.add(at)
        assert {i for i, p in enumerate(adjusted) if p <= level} == rejected


def test_untested_p_values_do_not_count() -> None:
    assert adjust_p_values([0.02, np.nan, 0.03]).tolist() == pytest.approx([0.04, np.nan, 0.04], nan_ok=True)
    assert adjust_p_values([]).tolist() == []
    with pytest.raises(SettingError, match=r"must be in \[0, 1\]"):
        adjust_p_values([1.5])


def test_repeats_equal_scipy() -> None:
    values = [0.31, 0.35, 0.28, 0.4]
    got = summarize_repeats([*values, np.nan], confidence=0.9)
    low, high = stats.t(3, np.mean(values), stats.sem(values)).interval(0.9)
    assert (got.low, got.high, got.standard_error, got.n) == pytest.approx((low, high, stats.sem(values), 4))


@pytest.mark.parametrize(("values", "mean"), [([], np.nan), ([0.5], 0.5)])
def test_too_few_repeats(values: list[float], mean: float) -> None:
    got: Any = summarize_repeats(values)
    assert got.mean == pytest.approx(mean, nan_ok=True)
    assert np.isnan([got.standard_error, got.low, got.high]).all()
