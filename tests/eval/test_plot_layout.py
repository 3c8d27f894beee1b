"""What all plots share: nothing is cut or overlaps, a given figure is reused, pyplot stays unloaded."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from dissect_eval import ConfusionMatrix, Detections, error_types
from dissect_eval.plots import confusion_heatmap, error_type_bars, per_class_bars, precision_recall

RECALL = np.linspace(0, 1, 101)


def matrix_of(n):
    names = tuple(f"a class {i}" for i in range(n))
    return ConfusionMatrix(np.eye(n + 1, dtype=int) * 3, tuple(range(n)), names, 0.5, 0.3, 0, 0, 0)


def curves_of(n, name="a long name of component"):
    return {f"{name} {i}": (RECALL, (1 - RECALL) ** i) for i in range(n)}


@pytest.fixture(scope="module")
def errors(truth_of):
    truth = truth_of({1: [(1, 0, 0, 10, 10)]})
    return error_types(truth, Detections.from_arrays([([[0, 0, 10, 4]], [0.9], [0])], [1], [1]))


def extents(texts):
    return [text.get_window_extent() for text in texts if text.get_text()]


def tick_labels(axis):
    """Labels of the ticks in view: others are not drawn."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


def assert_readable(figure):
    """No text is cut at the edge of the figure, and no two labels of an axis overlap."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        rows = sorted(extents(tick_labels(axes.yaxis)), key=lambda box: box.y0)
        assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(rows))
        columns = sorted(extents(tick_labels(axes.xaxis)), key=lambda box: box.x0)
        assert all(left.x1 <= right.x0 + 1 for left, right in pairwise(columns))
    texts = [text for one in figure.legends for text in one.get_texts()]
    for axes in figure.axes:
        texts += [axes.xaxis.label, axes.yaxis.label, axes.title, *axes.texts]
        texts += [*tick_labels(axes.yaxis), *tick_labels(axes.xaxis)]
    for box in extents(texts):
        assert min(box.x0, box.y0) >= -1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y1 <= figure.bbox.y1 + 1


@pytest.mark.parametrize("n", [1, 4, 9])
def test_curves(n):
    assert_readable(precision_recall(curves_of(n), title="A title"))
    assert_readable(precision_recall(curves_of(n, name="component number")))


@pytest.mark.parametrize("n", [1, 5, 20, 80])
def test_heatmap(n):
    figure = confusion_heatmap(matrix_of(n), title="A title")
    assert_readable(figure)
    assert bool(figure.axes[0].texts) == (n < 16)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_error_bars(errors, n):
    assert_readable(error_type_bars({f"series {i}": errors for i in range(n)}, title="A title"))


def test_class_bars():
    values = {"baseline": {f"a class {i}": i / 80 for i in range(80)}, "ablated": {"a class 0": 0.2}}
    intervals = {"baseline": {"a class 79": (0.9, 1.0)}}
    assert_readable(per_class_bars(values, metric_label="AP", intervals=intervals))


def test_a_given_figure_is_reused(errors):
    figure = Figure()
    matrix = matrix_of(1)
    assert precision_recall({"x": (RECALL, RECALL)}, figure=figure) is figure
    assert confusion_heatmap(matrix, figure=figure) is figure
    assert error_type_bars(errors, figure=figure) is figure
    assert len(figure.axes) == 2


def test_pyplot_stays_unloaded():
    code = (
        "import sys, numpy as np; from dissect_eval import plots as plot, ConfusionMatrix;"
        "assert 'matplotlib' not in sys.modules;"
        "m = ConfusionMatrix(np.eye(2, dtype=int), (1,), ('a',), .5, .3, 0, 0, 0);"
        "plot.confusion_heatmap(m).savefig('/dev/null', format='png');"
        "plot.precision_recall({'a': ([0, 1], [1, 0])}).savefig('/dev/null', format='png');"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
