"""The two pictures: what is drawn, and that nothing is left behind."""

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

import deep_dissect as dd
from dissect_core import UnitError


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Figures, as they are at the moment of being shown."""
    mpl.use("Agg")
    figures: list[Any] = []
    real = plt.show

    def show() -> None:
        figures.append(plt.gcf())
        real()

    monkeypatch.setattr(plt, "show", show)
    yield figures
    assert plt.get_fignums() == []


def panels(figure: Any) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_visible()]


def test_query_distribution(shown: list[Any]) -> None:
    torch.manual_seed(0)
    preds = torch.rand(6, 100, 4)
    preds[0, 3] = torch.tensor([0.2, 0.4, 0.9, 0.3])
    preds[1, 3] = torch.tensor([0.2, 0.4, 0.3, 0.9])
    preds[2, 3] = torch.tensor([0.2, 0.4, 0.1, 0.2])
    colours = dd.visualize_query_distribution(preds, zero_rows=[3, 17])
    assert [len(query) for query in colours] == [6] * 20
    assert colours[3][:3] == ["red", "blue", "green"]
    (figure,) = shown
    assert len(panels(figure)) == 20
    for number, axes in enumerate(panels(figure)):
        (points,) = axes.collections
        np.testing.assert_allclose(points.get_offsets(), preds[:, number, :2], atol=1e-6)
        np.testing.assert_array_equal(points.get_facecolors(), [to_rgba(c) for c in colours[number]])
        assert axes.get_title() == f"Query {number}"
        assert (axes.title.get_color() == "red") == (number in {3, 17})
        assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (1, 0))


def test_vector_field(shown: list[Any]) -> None:
    torch.manual_seed(0)
    before, after = torch.randn(4, 30, 4), torch.randn(4, 30, 4)
    colours = dd.visualize_query_distribution(before.sigmoid())
    assert dd.visualize_vector_field_distributions_query_ids(before, after, colours) is None  # type: ignore[func-returns-value]
    assert len(shown) == 2
    for number, axes in enumerate(panels(shown[1])):
        (arrows,) = axes.collections
        np.testing.assert_allclose(arrows.get_offsets(), before.sigmoid()[:, number, :2], atol=1e-6)
        moved = (after.sigmoid() - before.sigmoid())[:, number]
        np.testing.assert_allclose(arrows.U, moved[:, 0], atol=1e-6)
        np.testing.assert_allclose(arrows.V, moved[:, 1], atol=1e-6)
        np.testing.assert_array_equal(arrows.get_facecolors(), [to_rgba(c) for c in colours[number]])


def test_fewer_than_20_queries(shown: list[Any]) -> None:
    assert len(dd.visualize_query_distribution(np.full((2, 7, 4), 0.5))) == 7
    assert len(panels(shown[0])) == 7


def test_wrong_shapes(shown: list[Any]) -> None:
    good = torch.zeros(2, 20, 4)
    with pytest.raises(UnitError, match=r"`preds` must have shape \(images, queries, 4\), got \(20, 4\)"):
        dd.visualize_query_distribution(good[0])
    colours = dd.visualize_query_distribution(good)
    for after, given in ((good[:1], colours), (good, colours[:5])):
        with pytest.raises(UnitError, match="of the same images and queries"):
            dd.visualize_vector_field_distributions_query_ids(good, after, given)
    with pytest.raises(ValueError, match="no colour"):
        dd.visualize_vector_field_distributions_query_ids(good, good, [["no colour"] * 2] * 20)
