from __future__ import annotations

import numpy as np
import pytest

from dissect_eval import Detections, SettingError, error_types
from dissect_eval.plots import error_type_bars


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def labels(axes, axis="y"):
    return [text.get_text() for text in getattr(axes, f"get_{axis}ticklabels")()]


@pytest.fixture(scope="module")
def results(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10), (2, 40, 0, 10, 10)]})
    found = Detections.from_arrays(
        [([[0, 0, 10, 4], [40, 0, 50, 10], [80, 0, 90, 9]], [0.9, 0.8, 0.85], [1, 2, 2])], [1], [0, 1, 2]
    )
    none = Detections.from_arrays([], [], [])
    return {"intact": error_types(truth, found), "dead": error_types(truth, none)}, truth, found


def test_error_bars_show_the_data(results):
    series, *_ = results
    figure = error_type_bars(series, title="DETR")
    main, special = figure.axes
    for axes, names in (
        (main, ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")),
        (special, ("FalsePos", "FalseNeg")),
    ):
        for bars, one in zip(axes.containers, series.values(), strict=True):
            expected = np.nan_to_num([one.delta_ap[name] for name in names])
            np.testing.assert_array_equal([bar.get_width() for bar in bars], expected)
    assert [label.split(":")[0] for label in labels(main)] == ["Cls", "Loc", "Both", "Dupe", "Bkg", "Miss"]
    assert labels(special) == ["All false positives", "All false negatives"]
    assert [t.get_text() for t in main.texts][:6] == ["0.000", "0.500", "0.000", "0.000", "0.250", "0.000"]
    assert main.texts[-1].get_text() == "n/a"
    assert legend(figure) == ["intact", "dead"]
    assert main.containers[0][0].get_hatch() != main.containers[1][0].get_hatch()
    assert main.get_xlim() == special.get_xlim()
    assert special.get_xlabel() == "ΔAP at IoU 0.5 if fixed"
    assert main.get_title() == "DETR"


def test_one_result_needs_no_legend(results):
    figure = error_type_bars(results[0]["intact"])
    assert not figure.legends
    assert len(figure.axes[0].containers) == 1


def test_bad_error_bars(results):
    series, truth, found = results
    with pytest.raises(SettingError, match="`errors` must hold at least one series"):
        error_type_bars({})
    other = error_types(truth, found, foreground=0.75)
    with pytest.raises(
        SettingError, match=r"one foreground and background threshold, got \[\(0.5, 0.1\), \(0.75"
    ):
        error_type_bars({**series, "strict": other})


def test_controls_are_hollow_bars_below_their_series(results):
    series, *_ = results
    figure = error_type_bars(series, controls={"dead": series["intact"]})
    assert legend(figure) == ["intact", "dead", "dead: random control"]
    solid, dead, hollow = figure.axes[0].containers
    assert hollow[0].get_facecolor()[3] == 0
    assert hollow[0].get_edgecolor() == dead[0].get_facecolor(), "in the colour of what it is a control of"
    assert [bar.get_width() for bar in hollow] == [bar.get_width() for bar in solid]
    assert solid[0].get_y() < dead[0].get_y() < hollow[0].get_y()
    with pytest.raises(SettingError, match=r"`controls` must be of series in `errors`, got \['other'\]"):
        error_type_bars(series, controls={"other": series["intact"]})
