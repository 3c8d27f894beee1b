from __future__ import annotations

import numpy as np
import pytest

from dissect_eval import SettingError
from dissect_eval.plots import per_class_bars


def test_intervals_are_drawn_as_error_bars():
    values = {"baseline": {"cat": 0.5, "dog": 0.4}, "ablated": {"cat": 0.2, "dog": float("nan")}}
    intervals = {"baseline": {"cat": (0.4, 0.7)}, "ablated": {"cat": (0.3, 0.35), "dog": (float("nan"), 1)}}
    figure = per_class_bars(values, metric_label="AP", intervals=intervals)
    (axes,) = figure.axes
    drawn = {
        tuple(np.round(segment, 9)[:, 0]): segment[0, 1]
        for collection in axes.collections
        for segment in collection.get_segments()
        if len(segment)  # one with a NaN end is empty
    }
    bars = {bar.get_width(): bar.get_y() + bar.get_height() / 2 for bar in axes.patches}
    assert drawn == {(0.4, 0.7): pytest.approx(bars[0.5]), (0.3, 0.35): pytest.approx(bars[0.2])}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["baseline", "ablated"]
    plain = per_class_bars(values, metric_label="AP").axes[0]
    assert not plain.collections
    assert len(plain.patches) == len(axes.patches)


@pytest.mark.parametrize(
    ("intervals", "match"),
    [
        (
            {"other": {"cat": (0, 1)}},
            r"`intervals` must be of series and classes in `values`, got \['other', 'cat'\]",
        ),
        ({"baseline": {"cow": (0, 1)}}, r"got \['baseline', 'cow'\]. Series are \['baseline'\]"),
        (
            {"baseline": {"cat": (0.6, 0.4)}},
            r"must be \(low, high\), got \(0.6, 0.4\) for 'baseline', 'cat'. Swap",
        ),
    ],
)
def test_bad_intervals(intervals, match):
    with pytest.raises(SettingError, match=match):
        per_class_bars({"baseline": {"cat": 0.5}}, metric_label="AP", intervals=intervals)
