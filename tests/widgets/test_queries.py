"""The query panel: its numbers are those of a slow count over a stored study, whatever is chosen."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances

pytest.importorskip("pyarrow")

from dissect_core.store import Study
from dissect_eval import StudyDataError, pairwise_giou
from dissect_eval.study import QueryBoxes, StudyDetections, query_boxes, query_changes
from dissect_widgets import QueriesModel, QueryPanel, StudyFolderError, UnknownNameError
from dissect_widgets.queries import _model as queries_model
from toy_detector import HEIGHT, WIDTH, QueryDetector
from toy_split import Split, write_study

CHANNEL = "channels/channel/each/features:2"


@pytest.fixture(scope="module")
def told(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose detections come from six queries."""
    return write_study(split, tmp_path_factory.mktemp("told") / "out", QueryDetector())


@pytest.fixture
def panel(told: Path) -> Iterator[QueryPanel]:
    opened = QueryPanel(told)
    yield opened
    opened.close()


def slowly(folder: Path, variant: str) -> dict[tuple[int, int], tuple[np.ndarray, float]]:
    """The best box and score of each query in each image, found one after the other."""
    best: dict[tuple[int, int], tuple[np.ndarray, float]] = {}
    for image, found in Study.open(folder).found(variant).by_image().items():
        assert found.queries is not None
        for box, score, query in zip(found.boxes, found.scores.tolist(), found.queries.tolist(), strict=True):
            if (image, query) not in best or score > best[image, query][1]:
                best[image, query] = box, score
    return best


def test_boxes_are_the_best_of_each_query_in_each_image(told: Path) -> None:
    found = query_boxes(StudyDetections(Study.open(told)), "baseline")
    wanted = slowly(told, "baseline")
    keys = list(zip(found.images.tolist(), found.queries.tolist(), strict=True))
    assert keys == sorted(wanted)
    for key, box, score, size in zip(keys, found.boxes, found.scores.tolist(), found.sizes, strict=True):
        corners, its_score = wanted[key]
        assert score == its_score
        np.testing.assert_allclose(size, corners[2:] - corners[:2])
        extent = np.array([WIDTH, HEIGHT])
        np.testing.assert_allclose(box[:2] * extent, (corners[:2] + corners[2:]) / 2)
        np.testing.assert_allclose(box[2:] * extent, size)


@pytest.mark.parametrize("threshold", [0.0, 0.6, 1.0])
def test_changes_are_means_over_images_that_both_have(told: Path, threshold: float) -> None:
    variant = Study.open(told).variants[-1]
    found = StudyDetections(Study.open(told))
    changes = query_changes(query_boxes(found, "baseline"), query_boxes(found, variant), threshold)
    before, after = slowly(told, "baseline"), slowly(told, variant)
    both = [key for key in before if key in after and before[key][1] >= threshold]
    assert changes.queries.tolist() == sorted({query for _, query in both})
    for row, query in enumerate(changes.queries.tolist()):
        keys = [key for key in both if key[1] == query]
        assert changes.n_images[row] == len(keys)
        centres = [
            [(box[:2] + box[2:]) / 2 / [WIDTH, HEIGHT] for box in (before[k][0], after[k][0])] for k in keys
        ]
        ways = np.array([b - a for a, b in centres])
        np.testing.assert_allclose(changes.centers[row], np.mean([a for a, _ in centres], axis=0))
        np.testing.assert_allclose(changes.shifts[row], ways.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(changes.distances[row], np.hypot(*ways.T).mean(), atol=1e-12)
        np.testing.assert_allclose(
            changes.score_changes[row], np.mean([after[k][1] - before[k][1] for k in keys]), atol=1e-12
        )
        # Shares of the image stretch both boxes of a pair alike: their GIoU stays.
        giou = [pairwise_giou(before[k][0][None], after[k][0][None])[0, 0] for k in keys]
        np.testing.assert_allclose(changes.giou[row], np.mean(giou), atol=1e-9)


def test_it_opens_and_everything_can_be_chosen(panel: QueryPanel) -> None:
    model = panel.model
    assert model.n_queries == 6
    assert "Queries 1 to 6 of 6" in panel.status.value
    assert panel.figure.alt.startswith("Where the boxes")
    pictures = {}
    for name in ("baseline", "ablated", "displacement"):
        panel.show.value = name
        pictures[name] = panel.figure.svg
        assert len(panel.figure.marks) == 6
    assert len(set(pictures.values())) == 3
    panel.figure.choose(panel.figure.marks[2].id)
    assert (
        panel.table.chosen
        == str(model.query)
        == panel.figure.marks[2].label.split(":")[0].removeprefix("query ")
    )
    panel.table.choose(panel.table.rows[0].id)
    assert model.selection.query == int(panel.table.rows[0].id)
    panel.variant.value = CHANNEL
    assert model.variant == CHANNEL
    assert f"What {CHANNEL} changes" in panel.table.label
    panel.variant.value = "channels/channel/9"
    assert "must be one of 15 names, got" in panel.status.value
    assert model.variant == CHANNEL
    panel.threshold.value = 1.0
    assert "No query reaches this score" in panel._nothing.value
    assert "Queries 0 to 0 of 0 (6 in all)" in panel.status.value


@pytest.mark.parametrize("sort", ["distance", "giou", "score", "number"])
def test_queries_come_in_the_order_asked_for(panel: QueryPanel, sort: str) -> None:
    panel.variant.value = panel.model.study.variants[-1]
    panel.sort.value = sort
    changes = panel.model.changes
    values = {
        "distance": (-changes.distances).tolist(),
        "giou": changes.giou.tolist(),
        "score": changes.score_changes.tolist(),
        "number": changes.queries.tolist(),
    }[sort]
    assert values == sorted(values)
    assert [row.id for row in panel.table.rows] == [str(query) for query in changes.queries]


def test_any_number_of_queries_is_paged(panel: QueryPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries_model, "PAGE", 4)
    monkeypatch.setattr("dissect_widgets.queries._panel.PAGE", 4)
    panel.sort.value = "number"
    assert (panel.previous.disabled, panel.next.disabled) == (True, False)
    assert panel.model.shown().queries.tolist() == [0, 1, 2, 3]
    panel.next.click()
    assert panel.model.shown().queries.tolist() == [4, 5]
    assert "Queries 5 to 6 of 6" in panel.status.value
    assert (panel.previous.disabled, panel.next.disabled) == (False, True)
    panel.next.click()
    panel.sort.value = "giou"
    assert panel.model.page == 0


def test_studies_without_queries_say_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyFolderError, match="keeps no object queries"):
        QueriesModel(folder)
    with pytest.raises(StudyFolderError):
        QueriesModel(tmp_path)


def test_sizes_of_images_must_be_known(told: Path) -> None:
    study = Study.open(told)
    found = StudyDetections(study)
    found.__dict__["image_sizes"] = np.full((10, 2), np.nan)
    with pytest.raises(StudyDataError, match="width and height"):
        query_boxes(found, "baseline")


def test_wrong_values_are_refused(told: Path) -> None:
    model = QueriesModel(told)
    for name, value in (
        ("show", "all"),
        ("sort", "x"),
        ("variant", "none"),
        ("threshold", 2),
    ):
        with pytest.raises(UnknownNameError):
            setattr(model, name, value)


def test_nothing_in_common_gives_no_rows() -> None:
    nothing = QueryBoxes(
        np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0), np.zeros((0, 2))
    )
    assert len(query_changes(nothing, nothing).queries) == 0


def test_opening_and_closing_leaves_nothing_behind(told: Path) -> None:
    model = QueriesModel(told)
    before, panels = len(_instances), []
    for _ in range(50):
        one = QueryPanel(model)
        one.close()
        panels.append(weakref.ref(one))
    del one
    gc.collect()
    assert len(_instances) == before
    assert not [each for each in panels if each() is not None]
