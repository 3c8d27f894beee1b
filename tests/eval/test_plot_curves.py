from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from dissect_eval import SettingError
from dissect_eval.coco._curve import PrecisionRecall
from dissect_eval.plots import precision_recall

RECALL = np.linspace(0, 1, 101)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_precision_recall_shows_the_data(tmp_path):
    falling = 1 - RECALL**2
    figure = precision_recall(
        {
            "intact": (RECALL, falling),
            "half": (RECALL, np.where(RECALL <= 0.5, 1, 0)),
            "none": (RECALL, RECALL * np.nan),
        },
        title="DETR",
    )
    (axes,) = figure.axes
    intact, half, none = axes.get_lines()
    np.testing.assert_array_equal(intact.get_ydata(), falling)
    np.testing.assert_array_equal(intact.get_xdata(), RECALL)
    assert half.get_ydata().sum() == 51
    assert np.isnan(none.get_ydata()).all()
    assert legend(figure) == [f"intact (AP {falling.mean():.3f})", "half (AP 0.505)", "none (AP n/a)"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("Recall", "Precision", "DETR")
    figure.savefig(tmp_path / "plot.png")


def test_a_curve_of_ours_is_taken_as_it_is():
    figure = precision_recall({"cat": PrecisionRecall(RECALL, 1 - RECALL, 0.5, 0.5, None)})
    np.testing.assert_array_equal(figure.axes[0].get_lines()[0].get_ydata(), 1 - RECALL)
    assert legend(figure) == ["cat (AP 0.500)"]


def test_curves_differ_in_more_than_colour_and_do_not_hide_each_other():
    curves = {f"a long name of component {i}": (RECALL, 1 - RECALL) for i in range(7)}
    figure = precision_recall(curves)
    lines = figure.axes[0].get_lines()
    assert len({to_hex(line.get_color()) for line in lines}) == 7
    assert len({line.get_marker() for line in lines}) == 7
    assert len({line.get_markevery()[0] for line in lines}) == 7


@pytest.mark.parametrize(
    ("curves", "match"),
    [
        ({}, "`curves` must hold at least one curve"),
        (
            {"x": (RECALL**2, RECALL)},
            r"`curves` 'x': recall must go from 0 to 1 in even steps, got shape \(101,\)",
        ),
        ({"x": ([0.5], [0.5])}, "even steps"),
        ({"x": (RECALL, [1])}, r"one value in \[0, 1\] per recall, 101, got shape \(1,\). Write NaN"),
        ({"x": (RECALL, RECALL * 100)}, "values from 0.0 to 100"),
        ({"x": (RECALL, RECALL - 2)}, "one value in"),
    ],
)
def test_bad_curves(curves, match):
    with pytest.raises(SettingError, match=match):
        precision_recall(curves)
