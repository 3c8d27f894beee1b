"""A study's tables as data frames, with pandas and without."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
from scipy.stats import t

pytest.importorskip("pyarrow")
import pyarrow as pa

from dissect_eval import SettingError
from dissect_eval.study import StudyTables, dose_rows, frame


def variant(name: str, value: float, ablation: str = "heads", **more: Any) -> dict[str, Any]:
    plain = {"id": name, "ablation": ablation, "kind": "ablation", "unit": "head", "intervention": "zero"}
    return {**plain, "dose": 0.5, "repeat": 0, "removed": [{"path": "a", "units": [1]}], "AP": value, **more}


def tables() -> StudyTables:
    rows = [
        variant("baseline", 0.8, "baseline", kind="baseline", dose=0.0),
        *(variant(f"heads/a/head/{i}", 0.1 * i, repeat=i) for i in range(4)),
        variant("heads/b/head/0", math.nan),
    ]
    classes = pa.table({"variant": ["baseline"], "category": ["cat"], "metric": ["AP"], "value": [None]})
    about = {"settings": {"metrics": ["AP"], "confidence": 0.9}, "selections": {"heads": "fraction"}}
    return StudyTables(about, rows, classes, [], [{"ablation": "heads", "mean": 0.15}])


def test_doses_are_means_over_the_variants_of_a_target() -> None:
    whole, a, b = tables().doses
    assert (whole["target"], whole["dose"], whole["n"], whole["mean"]) == ("baseline", 0.0, 1, 0.8)
    assert (a["target"], a["ablation"], a["block"], a["random_draws"]) == ("heads: a", "heads", "a", True)
    assert (a["dose"], a["n"], a["mean"]) == (0.5, 4, pytest.approx(0.15))
    reach = t.ppf(0.95, 3) * a["standard_deviation"] / 2
    assert (a["low"], a["high"]) == pytest.approx((0.15 - reach, 0.15 + reach))
    assert b["target"] == "heads: b"
    assert b["n"] == 0
    assert math.isnan(b["mean"])
    assert dose_rows([], ["AP"], {}) == []


def test_frames_are_of_pandas_where_it_is() -> None:
    pandas = pytest.importorskip("pandas")
    given = tables()
    summary = given.frame("summary")
    assert isinstance(summary, pandas.DataFrame)
    assert summary["id"].tolist() == [row["id"] for row in given.summary]
    assert summary["AP"].isna().tolist() == [False] * 5 + [True]
    classes = given.frame("per_class")
    assert classes["value"].isna().tolist() == [True]
    assert given.frame("doses").groupby("target")["mean"].first()["heads: a"] == pytest.approx(0.15)
    nothing = given.frame("interactions")
    assert len(nothing) == 0
    assert list(nothing.columns) == ["variant", "first", "second"]


def test_frames_are_of_arrow_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    given = tables()
    summary = given.frame("summary")
    assert isinstance(summary, pa.Table)
    assert summary["AP"].to_pylist()[-2:] == [pytest.approx(0.3), None]
    assert given.frame("per_class") is given.per_class
    assert given.frame("interactions").column_names == ["variant", "first", "second"]
    assert frame([{"a": 1}, {"b": 2.0}]).to_pydict() == {"a": [1, None], "b": [None, 2.0]}


def test_a_frame_of_an_unknown_name_is_refused() -> None:
    with pytest.raises(SettingError, match=r"`name` must be one of summary, per_class, .*, got 'nothing'"):
        tables().frame("nothing")
