from __future__ import annotations

import numpy as np
import pytest

from dissect_eval import SettingError
from dissect_eval.plot import value_heatmap


def test_cells_are_the_values_and_what_is_undefined_is_masked():
    values = np.array([[-0.2, 0.1, np.nan], [0.0, 0.05, 0.2]])
    figure = value_heatmap(
        values, ["a", "b"], ["x", "y", "z"], value_label="change", title="t", row_label="r", column_label="c"
    )
    axes, bar = figure.axes
    np.testing.assert_array_equal(np.ma.filled(axes.images[0].get_array(), np.nan), values)
    assert {t.get_position(): t.get_text() for t in axes.texts} == {
        (0, 0): "−0.200",
        (1, 0): "+0.100",
        (0, 1): "0.000",
        (1, 1): "+0.050",
        (2, 1): "+0.200",
    }
    assert axes.images[0].get_clim() == (-0.2, 0.2), "0 is the middle of two hues"
    assert (axes.get_title(), axes.get_ylabel(), axes.get_xlabel()) == ("t", "r", "c")
    assert bar.get_ylabel() == "change"


def test_one_hue_begins_with_the_least_value_and_shows_no_sign():
    axes = value_heatmap([[0.2, 0.4]], ["a"], ["x", "y"], value_label="AP", diverging=False).axes[0]
    assert axes.images[0].get_clim() == (0.2, 0.4)
    assert [t.get_text() for t in axes.texts] == ["0.200", "0.400"]
    assert [t.get_color() for t in axes.texts] == ["black", "white"]


@pytest.mark.parametrize(("value", "ends"), [(0.8, (0.0, 0.8)), (0.0, (0.0, 1.0)), (-2.0, (-2.0, 0.0))])
def test_one_hue_of_one_value_begins_at_zero(value, ends):
    axes = value_heatmap([[value, value]], ["a"], ["x", "y"], value_label="AP", diverging=False).axes[0]
    assert axes.images[0].get_clim() == ends


@pytest.mark.parametrize("values", [[[0.0]], [[np.nan]], [[0.3]]])
def test_a_single_value_or_none_is_drawn(values, tmp_path):
    for diverging in (True, False):
        figure = value_heatmap(values, ["a"], ["x"], value_label="v", diverging=diverging)
        figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_many_cells_have_no_numbers():
    rows, columns = [str(i) for i in range(20)], [f"class {i}" for i in range(20)]
    assert value_heatmap(np.ones((20, 20)), rows, columns, value_label="v").axes[0].texts[:] == []


def test_names_must_fit():
    with pytest.raises(SettingError, match=r"`values` must have shape \(2, 1\).*got \(1, 1\)"):
        value_heatmap([[0.0]], ["a", "b"], ["x"], value_label="v")
    with pytest.raises(SettingError, match="`values` must have shape"):
        value_heatmap(np.zeros((0, 0)), [], [], value_label="v")
