"""Boxes drawn into images: labels cover no object, and a legend says what the outlines mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

pytest.importorskip("pyarrow")
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dissect_eval.study import ImageBoxes, side_by_side
from dissect_eval.study.images._label_places import label_places

PANEL = 288.0, 200.0


def covers(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((np.maximum(a[:2], b[:2]) < np.minimum(a[2:], b[2:])).all())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 8), st.integers(0, 30))
def test_labels_cover_no_object_and_no_label_and_stay_on_the_picture(
    seed: int, n_objects: int, n_boxes: int
) -> None:
    rng = np.random.default_rng(seed)

    def some(n: int) -> np.ndarray:
        low = rng.uniform(0, PANEL, (n, 2))
        return np.hstack([low, np.minimum(low + rng.uniform(1, 200, (n, 2)), PANEL)])

    objects, boxes = some(n_objects), some(n_boxes)
    sizes = np.column_stack([rng.uniform(10, 60, n_boxes), np.full(n_boxes, 11.0)])
    places = label_places(boxes, sizes, objects, PANEL)
    labels = [
        np.array([one.x, one.y, one.x + w, one.y + h])
        for one, (w, h) in zip(places, sizes, strict=True)
        if one is not None
    ]
    for i, label in enumerate(labels):
        assert not any(covers(label, other) for other in objects)
        assert not any(covers(label, other) for other in labels[:i])
        assert 0 <= label[1] <= label[3] <= PANEL[1]
        assert label[0] >= 0
    # A margin holds 15 labels of that height and their gaps.
    assert sum(one is None for one in places) <= max(0, n_boxes - 15)


def boxes(*rows: tuple[float, float, float, float], score: float = 0.9, label: int = 0) -> ImageBoxes:
    return ImageBoxes(
        np.array(rows, dtype=float).reshape(-1, 4), np.full(len(rows), label), np.full(len(rows), score)
    )


def test_what_is_lost_is_told_apart_and_the_legend_has_what_is_drawn() -> None:
    lost, kept, never, wrong = (10, 10, 40, 40), (50, 10, 90, 40), (10, 60, 40, 90), (60, 60, 90, 90)
    pixels = np.zeros((100, 100, 3), dtype=np.uint8)
    shown = [boxes(lost, kept, never), boxes(lost, kept), boxes(kept, wrong)]
    figure = side_by_side(pixels, shown, ["cat"])
    outlines = [[(one.get_linewidth(), one.get_linestyle()) for one in axes.patches] for axes in figure.axes]
    thick, solid, thin = outlines[0]
    assert thick[0] > solid[0] > thin[0]
    assert solid[1] == outlines[2][0][1] == "-"
    assert outlines[2][1][1] == ":"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "true box that is found, detection on a true box of its class",
        "detection on no true box of its class",
        "true box not found (ablated)",
        "true box lost: found (baseline), not found (ablated)",
    ]
    calm = side_by_side(pixels, [boxes(kept), boxes(kept), boxes(kept)], ["cat"])
    assert len(calm.legends[0].get_texts()) == 1


def test_drawn_labels_cover_no_true_box() -> None:
    truth = boxes((0, 0, 100, 60), (20, 65, 60, 95))
    crowd = boxes(*[(5.0 * i, 2.0, 5.0 * i + 30, 58.0) for i in range(12)])
    figure = side_by_side(np.zeros((100, 100, 3), dtype=np.uint8), [truth, crowd, truth], ["a $wordy$ name"])
    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    canvas.draw()
    for axes in figure.axes:
        assert len(axes.texts) in (2, 12)
        for text in axes.texts:
            drawn = text.get_window_extent(renderer)
            for low, high in zip(truth.boxes[:, :2], truth.boxes[:, 2:], strict=True):
                corners = axes.transData.transform([low, high])
                (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
                assert drawn.x1 <= left or drawn.x0 >= right or drawn.y1 <= bottom or drawn.y0 >= top, (
                    text.get_text()
                )
            assert drawn.x1 <= figure.bbox.x1
