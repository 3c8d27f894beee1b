from __future__ import annotations

import numpy as np
import pytest

from dissect_eval import ConfusionMatrix, SettingError
from dissect_eval.plots import confusion_heatmap


def labels(axes, axis="y"):
    return [text.get_text() for text in getattr(axes, f"get_{axis}ticklabels")()]


def matrix_of(counts, names=None):
    counts = np.array(counts)
    n = len(counts) - 1
    names = names or tuple(f"class {i}" for i in range(n))
    return ConfusionMatrix(counts, tuple(range(n)), names, 0.5, 0.3, 0, 0, 0)


def test_heatmap_shows_shares_or_counts():
    matrix = matrix_of([[6, 2, 0], [0, 0, 0], [2, 0, 0]], ("cat", "dog"))
    figure = confusion_heatmap(matrix, title="DETR")
    axes, bar = figure.axes
    shown = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(shown, matrix.normalized("truth"))
    assert labels(axes) == labels(axes, "x") == ["cat", "dog", "background"]
    assert {t.get_position(): t.get_text() for t in axes.texts} == {
        (0, 0): "0.75",
        (1, 0): "0.25",
        (0, 2): "1.00",
    }
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("Predicted", "True", "DETR")
    assert bar.get_ylabel() == "Share of the true class"
    for normalize in (None, "predicted"):
        axes = confusion_heatmap(matrix, normalize=normalize).axes[0]
        shown = np.ma.filled(axes.images[0].get_array().astype(float), np.nan)
        np.testing.assert_array_equal(shown, matrix.normalized(normalize))
    assert {t.get_text() for t in confusion_heatmap(matrix, normalize=None).axes[0].texts} == {"6", "2"}


def test_heatmap_text_stands_out():
    (dark, light) = confusion_heatmap(matrix_of([[9, 1], [0, 0]])).axes[0].texts
    assert (dark.get_color(), light.get_color()) == ("white", "black")


def test_heatmap_pools_the_classes_with_least_boxes():
    counts = np.diag([5, 1, 9, 2, 0])
    counts[1, 3], counts[0, 1], counts[3, 4], counts[4, 1] = 1, 1, 1, 1
    axes = confusion_heatmap(matrix_of(counts), normalize=None, max_classes=2).axes[0]
    assert labels(axes) == ["class 0", "class 2", "other (2)", "background"]
    assert axes.images[0].get_array().tolist() == [[5, 0, 1, 0], [0, 9, 0, 0], [0, 0, 4, 1], [0, 0, 1, 0]]
    pooled = confusion_heatmap(matrix_of(counts), max_classes=2).axes[0].images[0].get_array()
    assert pooled[2].tolist() == [0, 0, 0.8, 0.2]


def test_empty_heatmap():
    assert confusion_heatmap(matrix_of([[0, 0], [0, 0]])).axes[0].texts[:] == []
    assert confusion_heatmap(matrix_of([[0, 0], [0, 0]]), normalize=None).axes


def test_bad_heatmap():
    with pytest.raises(SettingError, match="`normalize` must be 'truth', 'predicted' or None, got 'rows'"):
        confusion_heatmap(matrix_of([[1, 0], [0, 0]]), normalize="rows")
    with pytest.raises(SettingError, match="`max_classes` must be at least 1, got 0"):
        confusion_heatmap(matrix_of([[1, 0], [0, 0]]), max_classes=0)
