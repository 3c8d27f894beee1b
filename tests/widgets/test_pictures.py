"""Pictures beside those that were looked at: colours, layout and texts stay as they are, within a tolerance.

After a change that is meant, `DISSECT_DRAW=1 pytest tests/widgets/test_pictures.py` draws them anew: look at them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images

from dissect_core.store import Study
from dissect_eval import Detections, GroundTruth, confusion_matrix, error_types, precision_recall_curve
from dissect_eval.plots import (
    UnitMap,
    confusion_heatmap,
    error_type_bars,
    per_class_bars,
    precision_recall,
    unit_map_figure,
    value_heatmap,
)
from dissect_widgets import ImagesModel, QueriesModel, ResultsModel
from dissect_widgets.components import weight_histograms
from dissect_widgets.figure import page_colours
from dissect_widgets.figure.plots import Theme, themed
from toy_detector import QueryDetector
from toy_split import Split, write_study

EXPECTED = Path(__file__).parent / "pictures"
TOLERANCE = 3.0
"""Root mean square of the pixels' differences, of 255; another size or font is far beyond it."""


@pytest.fixture(scope="module")
def with_queries(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(split, tmp_path_factory.mktemp("queries") / "out", QueryDetector())


def results(view: str, metric: str = "AP50", **traits: Any) -> Callable[[Path], Figure]:
    def draw(folder: Path) -> Figure:
        model = ResultsModel(folder)
        model.metric, model.view = metric, view
        for name, value in traits.items():
            setattr(model, name, value)
        return on_white(model.pictures()[0].named.figure)

    return draw


def on_white(figure: Figure) -> Figure:
    """A figure for whatever page, on a light one."""
    figure.set_facecolor("white")
    return figure


def images(**traits: Any) -> Callable[[Path], Figure]:
    def draw(folder: Path) -> Figure:
        model = ImagesModel(folder, images=Study.open(folder).image_folder)
        model.look_at(model.study.variants[-1])
        for name, value in traits.items():
            setattr(model, name, value)
        return model.figure()

    return draw


def queries(**traits: Any) -> Callable[[Path], Figure]:
    def draw(folder: Path) -> Figure:
        model = QueriesModel(folder)
        model.variant = model.study.variants[-1]
        for name, value in traits.items():
            setattr(model, name, value)
        named = model.figure()
        assert named is not None
        return on_white(named.figure)

    return draw


def made_up() -> tuple[GroundTruth, Detections]:
    rng = np.random.default_rng(3)
    truth, found = [], []
    for _ in range(40):
        low = rng.uniform(0, 80, (4, 2))
        boxes, labels = np.hstack([low, low + rng.uniform(10, 30, (4, 2))]), rng.integers(3, size=4)
        truth.append((boxes, labels))
        moved = boxes + rng.normal(0, 3, (4, 4))
        found.append((moved, rng.uniform(0.2, 1, 4), np.where(rng.random(4) < 0.2, 0, labels)))
    return (
        GroundTruth.from_arrays(
            truth, range(40), ("cup", "plate", "spoon"), image_sizes=np.full((40, 2), 110)
        ),
        Detections.from_arrays(found, range(40), range(3)),
    )


def heads(theme: Theme) -> Callable[[Path], Figure]:
    def draw(_: Path) -> Figure:
        values = np.array([[-0.21, 0.02, np.nan, -0.05], [0.0, -0.4, -0.1, 0.01]])
        with themed(theme):
            return value_heatmap(
                values, ["layer 0", "layer 1"], [f"head {i}" for i in range(4)], value_label="change of AP50"
            )

    return draw


def units() -> Figure:
    rng = np.random.default_rng(1)
    maps = []
    for title, n in (
        ("Encoder self-attention", 4),
        ("Decoder self-attention", 4),
        ("Decoder cross-attention", 8),
    ):
        values = rng.normal(-0.02, 0.03, (3, n))
        values[1, 2] = np.nan
        maps.append(
            UnitMap(title, "head", ["0", "1", "2"], [str(i) for i in range(n)], values, abs(values) < 0.03)
        )
    with page_colours():
        return unit_map_figure(maps, metric_label="AP50")


PICTURES: dict[str, Callable[[Path], Figure]] = {
    "doses": results("doses"),
    "classes": results("classes"),
    "classes-baseline": results("classes", show="baseline"),
    "errors": results("errors"),
    "worst": results("worst", "f1"),
    "images": images(),
    "images-crop": images(crop="boxes", opacity=0.5, image=3),
    "queries": queries(),
    "queries-ablated": queries(show="ablated"),
    "displacement": queries(show="displacement"),
    "units": lambda _: on_white(units()),
    "heads": heads("light"),
    "heads-dark": heads("dark"),
    "precision-recall": lambda _: precision_recall({"made up": precision_recall_curve(*made_up())}),
    "confusion": lambda _: confusion_heatmap(confusion_matrix(*made_up())),
    "error-types": lambda _: error_type_bars({"made up": error_types(*made_up())}),
    "per-class": lambda _: per_class_bars(
        {"baseline": {"cup": 0.9, "plate": 0.7}, "ablated": {"cup": 0.4, "plate": 0.65}}, metric_label="AP50"
    ),
    "weights": lambda _: (
        weight_histograms(
            {"a.weight": np.random.default_rng(0).normal(size=(20, 30)), "b.bias": np.linspace(-1, 2, 50)}
        ).figure
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_as_it_was_looked_at(name: str, with_queries: Path, tmp_path: Path) -> None:
    drawn = tmp_path / f"{name}.png"
    PICTURES[name](with_queries).savefig(drawn, dpi=60, metadata={"Software": None})
    if os.environ.get("DISSECT_DRAW"):
        EXPECTED.mkdir(exist_ok=True)
        (EXPECTED / drawn.name).write_bytes(drawn.read_bytes())
    different = compare_images(str(EXPECTED / drawn.name), str(drawn), TOLERANCE)
    assert different is None, different


def test_a_changed_picture_would_be_seen(with_queries: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "doses.png"
    results("doses", "f1")(with_queries).savefig(drawn, dpi=60)
    assert compare_images(str(EXPECTED / drawn.name), str(drawn), TOLERANCE) is not None


def test_no_picture_is_kept_that_nothing_draws() -> None:
    assert {path.stem for path in EXPECTED.glob("*.png")} == set(PICTURES)
