"""Pictures of a study's tables: the numbers beside them are the tables', and what is left out is said."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pyarrow")
import pyarrow as pa

from dissect_eval._tide_fix import ERROR_TYPES, SPECIAL_TYPES
from dissect_eval.study import (
    StudyTables,
    class_bars,
    class_map,
    dose_curves,
    error_bars,
    head_maps,
    worst_variants,
)

KINDS = (*ERROR_TYPES, *SPECIAL_TYPES)


def row(name: str, value: float, ablation: str = "heads", **more: Any) -> dict[str, Any]:
    plain = {"id": name, "ablation": ablation, "kind": "ablation", "unit": "head", "intervention": "zero"}
    numbers = {"AP": value, "AP_difference": value - 0.8, "AP_low": value - 0.9, "AP_high": value - 0.7}
    return {**plain, "dose": 0.5, "removed": [], **numbers, **more}


def tables(rows: list[dict[str, Any]], n_classes: int = 3) -> StudyTables:
    whole = row("baseline", 0.8, "baseline", kind="baseline", dose=0.0)
    variants = [whole, *rows]
    classes = [
        {
            "variant": each["id"],
            "category": f"class {i}",
            "metric": "AP",
            "value": each["AP"] - i / 1000,
            "baseline": 0.8,
            "difference": each["AP"] - i / 1000 - 0.8,
        }
        for each in variants
        for i in range(n_classes)
    ]
    errors = [
        {"variant": each["id"], "ap": each["AP"], **{f"d_{kind}": i / 10 for i, kind in enumerate(KINDS)}}
        for each in variants
    ]
    about = {"settings": {"metrics": ["AP"]}}
    return StudyTables(about, variants, pa.Table.from_pylist(classes), errors, [])


def single_heads() -> StudyTables:
    places = [("layer.0", 0), ("layer.0", 1), ("layer.1", 0)]
    return tables(
        [
            row(f"{path}:{unit}", 0.7 - unit / 10, removed=[{"path": path, "units": [unit]}])
            for path, unit in places
        ]
    )


def test_a_map_of_heads_shows_difference_ablated_or_baseline() -> None:
    found = {
        show: next(head_maps(single_heads(), "AP", show=show))
        for show in ("difference", "ablated", "baseline")
    }
    assert found["difference"].data.head == ("block", "unit 0", "unit 1")
    expected = {"difference": (-0.1, -0.2), "ablated": (0.7, 0.6), "baseline": (0.8, 0.8)}
    for show, numbers in expected.items():
        first, second = found[show].data.rows
        assert (first[0], second[0]) == ("layer.0", "layer.1")
        assert first[1:] == pytest.approx(numbers)
        assert second[1] == pytest.approx(numbers[0])
        assert second[2] != second[2], "layer 1 has one head alone in the study"
    assert "Orange is a loss" in found["difference"].caption
    assert "Orange" not in found["ablated"].caption


def test_all_of_cocos_classes_are_in_the_overview_and_what_is_cut_is_said() -> None:
    drawn = next(class_map(tables([row("a", 0.5)], 80), "AP"))
    assert len(drawn.data.head) == 81
    assert "The first" not in drawn.caption
    assert drawn.figure.axes[0].texts[:] == [], "an overview has no numbers"
    rows = [row(f"a{i}", 0.5, dose=i / 100) for i in range(1, 51)]
    cut = next(class_map(tables(rows, 200), "AP"))
    assert "The first 120 of 200 classes and 40 of 50 doses." in cut.caption
    assert (len(cut.data.head), len(cut.data.rows)) == (121, 40)


def test_one_variant_in_detail_begins_with_the_class_that_loses_most() -> None:
    drawn = next(class_bars(tables([row("a", 0.5)], 40), "AP", "a"))
    assert [each[0] for each in drawn.data.rows] == [f"class {i}" for i in range(39, 14, -1)]
    assert drawn.data.rows[0][1:] == pytest.approx((0.8, 0.461, -0.339))
    assert "25 of 40 classes" in drawn.caption
    assert list(class_bars(tables([row("a", 0.5)]), "AP", "unknown")) == []


def test_error_types_and_worst_variants_say_what_they_leave_out() -> None:
    many = tables([row(f"v{i}", 0.5 - i / 100, f"ablation {i}") for i in range(20)])
    drawn = next(error_bars(many, "AP"))
    assert "The first 4 of 20 ablations." in drawn.caption
    assert drawn.data.head == ("type of error", "baseline", *(f"ablation {i}" for i in range(4)))
    assert [each[0] for each in drawn.data.rows] == list(KINDS)
    assert drawn.data.rows[1][1:] == pytest.approx([0.1] * 5)
    worst = next(worst_variants(many, "AP"))
    assert worst.caption == "The 15 of 20 variants that lose most of AP."
    assert worst.data.rows[0][0] == "v19"
    assert worst.data.rows[0][1:] == pytest.approx((-0.49, -0.59, -0.39))


def test_points_of_a_curve_are_means_over_draws() -> None:
    rows = [row(f"{dose}/{i}", 0.8 - dose - i / 10, dose=dose) for dose in (0.2, 0.4) for i in range(2)]
    drawn = next(dose_curves(tables(rows), "AP"))
    assert drawn.data.head == ("ablation", "curve", "dose", "mean", "low", "high", "draws")
    numbers = {each[2]: each for each in drawn.data.rows}
    assert set(numbers) == {0.0, 0.2, 0.4}
    assert numbers[0.2][3] == pytest.approx(0.55)
    assert [numbers[dose][6] for dose in (0.0, 0.2, 0.4)] == [0, 2, 2]
