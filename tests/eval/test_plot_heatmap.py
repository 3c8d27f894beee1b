from __future__ import annotations

import numpy as np
import pytest

from dissect_eval import SettingError
from dissect_eval.plots import value_heatmap


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


def test_maps_with_the_same_limits_have_the_same_colours():
    maps = [
        value_heatmap([[v, 0.01]], ["a"], ["x", "y"], value_label="AP", limits=(-0.5, 0.2), scale="sqrt")
        for v in (-0.4, -0.02)
    ]
    images = [one.axes[0].images[0] for one in maps]
    assert images[0].get_clim() == images[1].get_clim() == (-0.5, 0.5), "0 stays the middle"
    assert images[0].to_rgba(-0.02) == images[1].to_rgba(-0.02) != images[1].to_rgba(0.0)
    shares = np.asarray(images[0].norm([-0.5, -0.125, 0.0, 0.02, 0.5]))
    np.testing.assert_allclose(shares, [0, 0.25, 0.5, 0.6, 1], atol=1e-12)
    assert [text.get_text() for text in maps[0].axes[1].get_yticklabels()][::4] == ["−0.5", "0", "0.5"]


def test_hatched_and_undefined_cells_are_in_the_legend():
    figure = value_heatmap(
        [[0.1, np.nan, 0.2]],
        ["a"],
        ["x", "y", "z"],
        value_label="AP",
        unsure=[[True, True, False]],
        unsure_label="may be 0",
        undefined_label="not measured",
    )
    (cells,) = figure.axes[0].collections
    assert cells.get_hatch()
    assert [path.vertices.mean(axis=0).round().tolist() for path in cells.get_paths()] == [[0, 0]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["may be 0", "not measured"]
    assert not value_heatmap([[0.1]], ["a"], ["x"], value_label="AP").legends


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"limits": (0.2, 0.2)}, r"`limits` must be \(low, high\) with low < high, got \(0.2, 0.2\)"),
        ({"scale": "log"}, "`scale` must be 'linear' or 'sqrt', got 'log'"),
        ({"unsure": [True]}, r"`unsure` must have the shape of `values`, \(1, 1\), got \(1,\)"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, match):
    with pytest.raises(SettingError, match=match):
        value_heatmap([[0.1]], ["a"], ["x"], value_label="AP", **settings)
