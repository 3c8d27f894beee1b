from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from dissect_eval import MissingExtraError, SettingError
from dissect_eval.plots import Curve, dose_response, dose_response_grid, figure_bytes, per_class_bars

DOSES = [0, 0.1, 0.5]


def named(axes, label):
    (line,) = [line for line in axes.get_lines() if line.get_label() == label]
    return line


def test_dose_response_shows_the_data(tmp_path):
    points = np.array([[0.4, 0.42], [0.3, np.nan], [0.0, 0.1]])
    figure = dose_response(
        {
            "encoder": Curve(DOSES, [0.42, 0.3, np.nan], low=[0.4, 0.2, 0.0], high=[0.44, 0.4, 0.1]),
            "decoder": Curve(DOSES, [0.42, 0.4, 0.3], points=points),
        },
        metric_label="AP",
        baseline=0.42,
        title="DETR",
    )
    (axes,) = figure.axes
    assert named(axes, "encoder").get_xdata().tolist() == DOSES
    assert named(axes, "decoder").get_ydata().tolist() == [0.42, 0.4, 0.3]
    assert np.isnan(named(axes, "encoder").get_ydata()[2])
    baseline = named(axes, "baseline (no ablation)")
    assert set(baseline.get_ydata()) == {0.42}
    assert baseline.get_linestyle() == "--"
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == 0
    assert band[:, 1].max() == 0.44
    (dots,) = [line for line in axes.get_lines() if line.get_linestyle() == "None"]
    np.testing.assert_array_equal(dots.get_ydata(), points.ravel())
    np.testing.assert_array_equal(dots.get_xdata(), np.repeat(DOSES, 2))
    assert (axes.get_title(), axes.get_ylabel()) == ("DETR", "AP")
    assert "ose" in axes.get_xlabel()
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "encoder",
        "decoder",
        "baseline (no ablation)",
    ]
    figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000


def test_curves_differ_in_more_than_colour():
    curves = {f"component {i}": Curve(DOSES, [0.4, 0.3, 0.1 * i]) for i in range(14)}
    (axes,) = dose_response(curves, metric_label="AP").axes
    lines = [named(axes, label) for label in curves]
    seven = lines[:7]
    assert len({to_hex(line.get_color()) for line in seven}) == 7
    assert len({line.get_marker() for line in seven}) == 7
    assert len({(line.get_marker(), str(line._dash_pattern)) for line in lines}) == 14


def test_grid_keeps_styles_and_axes_common():
    curve = Curve(DOSES, [0.4, 0.3, 0.1])
    panels = {
        "DETR": {"encoder": curve, "decoder": curve},
        "DINO": {"decoder": curve},
        "A": {"x": curve},
        "B": {"x": curve},
    }
    levels = {"baselines": {"DINO": 0.5}, "chance": {"DINO": 0.1}}
    figure = dose_response_grid(panels, metric_label="AP", title="All", **levels)
    assert [axes.get_title() for axes in figure.axes] == ["DETR", "DINO", "A", "B"]
    first, second = figure.axes[:2]
    for attribute in ("get_color", "get_marker"):
        assert getattr(named(first, "decoder"), attribute)() == getattr(named(second, "decoder"), attribute)()
    assert first.get_ylim() == second.get_ylim()
    assert named(second, "baseline (no ablation)").get_ydata()[0] == 0.5
    assert named(second, "chance (random boxes)").get_ydata()[0] == 0.1
    assert len(first.get_lines()) == 2
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert texts == ["encoder", "decoder", "x", "baseline (no ablation)", "chance (random boxes)"]
    assert figure.get_suptitle() == "All"


def test_per_class_bars():
    values = {"baseline": {"cat": 0.5, "dog": 0.4, "cow": float("nan")}, "ablated": {"dog": 0.1, "cat": 0.2}}
    figure = per_class_bars(values, metric_label="AP", title="DETR")
    (axes,) = figure.axes
    first, second = axes.containers
    assert [bar.get_width() for bar in first] == [0.5, 0.4, 0]
    assert [bar.get_width() for bar in second] == [0.2, 0.1, 0]
    assert [t.get_text() for t in axes.texts] == ["n/a", "n/a"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["cat", "dog", "cow"]
    assert first[0].get_hatch() != second[0].get_hatch()
    assert axes.get_xlabel() == "AP"


def test_a_given_figure_is_reused():
    figure = Figure()
    for _ in range(2):
        assert dose_response({"x": Curve(DOSES, DOSES)}, metric_label="AP", figure=figure) is figure
    assert len(figure.axes) == 1
    with pytest.raises(SettingError, match="`figure` must be a matplotlib Figure, got str"):
        per_class_bars({"x": {"cat": 1}}, metric_label="AP", figure="x")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (
            ([0, 10], [1, 2]),
            r"`doses` must be rising shares in \[0, 1\], got \[0.0, 10.0\]. Divide percentages",
        ),
        (([0.5, 0.5], [1, 2]), r"`doses` must be rising"),
        (([], []), r"`doses` must be rising"),
        (([float("nan")], [1]), r"`doses` must be rising"),
        ((DOSES, [1]), r"`values` must have one value per dose, 3, got \(1,\)"),
        ((DOSES, DOSES, DOSES), r"`low` and `high` must be given together"),
        ((DOSES, DOSES, DOSES, [1]), r"`high` must have one value per dose"),
        (
            (DOSES, DOSES, None, None, DOSES),
            r"`points` must have shape \(doses, repeats\), \(3, R\), got \(3,\)",
        ),
    ],
)
def test_bad_curves(arguments, match):
    with pytest.raises(SettingError, match=match):
        Curve(*arguments)


def test_bad_panels():
    with pytest.raises(SettingError, match="at least one curve"):
        dose_response({}, metric_label="AP")
    with pytest.raises(SettingError, match="at least one series"):
        per_class_bars({}, metric_label="AP")
    with pytest.raises(SettingError, match=r"`baselines` must name panels, got \['y'\]"):
        dose_response_grid({"x": {"c": Curve(DOSES, DOSES)}}, metric_label="AP", baselines={"y": 1})


def test_missing_matplotlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r'pip install "dissect-eval\[plot\]"'):
        dose_response({"x": Curve(DOSES, DOSES)}, metric_label="AP")


def test_pyplot_stays_unloaded():
    code = (
        "import sys; from dissect_eval.plots import Curve, dose_response;"
        "assert 'matplotlib' not in sys.modules;"
        "dose_response({'x': Curve([0, 1], [1, 0])}, metric_label='AP').savefig('/dev/null', format='png');"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_interval_without_a_neighbour_is_a_bar_and_an_undefined_one_nothing():
    nan = float("nan")
    curves = {"a": Curve([0, 0.2, 0.4], [0.8, 0.5, 0.3], [nan, 0.4, nan], [nan, 0.6, nan])}
    (bars,) = dose_response(curves, metric_label="AP").axes[0].collections
    assert [segment.tolist() for segment in bars.get_segments()] == [[[0.2, 0.4], [0.2, 0.6]]]
    none = {"a": Curve([0, 0.2], [0.8, 0.5], [nan, nan], [nan, nan])}
    assert not dose_response(none, metric_label="AP").axes[0].collections


def test_a_figure_is_written_in_known_formats_only():
    figure = dose_response({"a": Curve([0, 0.2], [0.8, 0.5])}, metric_label="AP")
    assert figure_bytes(figure, "png", dpi=30)[:4] == b"\x89PNG"
    with pytest.raises(SettingError, match="`kind` must be one of png, svg, pdf, jpeg, got 'gif'"):
        figure_bytes(figure, "gif")
