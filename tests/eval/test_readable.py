"""Results as people read them: printed, in a notebook, as tables with names; equal after pickling."""

from __future__ import annotations

import contextlib
import io
import pickle
import re

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dissect_eval import (
    Detections,
    GroundTruth,
    coco_ap,
    confusion_matrix,
    detection_metrics,
    error_types,
    evaluate,
)

NAMES = {3: "cat", 7: "dog <b>"}


def pair() -> tuple[GroundTruth, Detections]:
    truths = [([[0, 0, 50, 50], [60, 60, 200, 200]], [3, 7]), ([[10, 10, 40, 45]], [3])]
    truth = GroundTruth.from_arrays(truths, [1, 2], NAMES, image_sizes=[(300, 300)] * 2)
    found = [
        ([[0, 0, 50, 48], [62, 60, 200, 190], [0, 0, 5, 5]], [0.9, 0.8, 0.1], [0, 1, 1]),
        ([[10, 10, 40, 40]], [0.7], [1]),
    ]
    return truth, Detections.from_arrays(found, [1, 2], [3, 7])


def pycocotools_lines(truth: GroundTruth, found: Detections) -> list[str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        known = COCO()
        known.dataset = truth.to_coco()
        known.createIndex()
        run = COCOeval(known, known.loadRes(found.to_results()), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return [line for line in out.getvalue().splitlines() if "Average" in line]


def test_the_twelve_lines_are_those_that_everybody_knows() -> None:
    truth, found = pair()
    ours = [line for line in str(coco_ap(truth, found, tie_break="input")).splitlines() if "Average" in line]
    theirs = pycocotools_lines(truth, found)
    assert len(ours) == len(theirs) == 12
    for one, other in zip(ours, theirs, strict=True):
        assert re.sub(r"\s+", " ", one.rpartition("=")[0]) == re.sub(r"\s+", " ", other.rpartition("=")[0])
        mine = one.rpartition("=")[2].split()[0]
        assert mine == ("–" if "-1.000" in other else other.rpartition("=")[2].strip())


def test_what_is_left_out_and_why_something_is_undefined_is_printed() -> None:
    truth, _ = pair()
    many = Detections.from_arrays(
        [([[0, 0, 50, 50]] * 120, [0.5] * 120, [0] * 120), ([], [], [])], [1, 2], [3, 7]
    )
    text = str(coco_ap(truth, many))
    assert "left out: 20 detections beyond the best 100 of their image and class" in text
    assert re.search(r"undefined: APl?.*\(no ", str(coco_ap(truth.subset(categories=["cat"]), many)))


def test_other_settings_print_their_own_lines() -> None:
    truth, found = pair()
    text = str(coco_ap(truth, found, iou_thresholds=[0.3], max_detections=7, area_ranges={"tiny": (0, 99)}))
    assert "IoU=0.30      | area=  tiny | maxDets=  7 ]" in text
    assert "AR7" in text


@pytest.mark.parametrize("score", [coco_ap, detection_metrics, error_types, confusion_matrix, evaluate])
def test_every_result_is_printed_shown_and_pickled(score: object) -> None:
    truth, found = pair()
    result = score(truth, found)  # type: ignore[operator]
    assert str(result).count("\n") >= 1
    shown = result._repr_html_()
    assert "dog <b>" not in shown, "names are escaped"
    again = pickle.loads(pickle.dumps(result))
    assert str(again) == str(result)
    assert repr(again) == repr(result)


def test_tables_have_names() -> None:
    pandas = pytest.importorskip("pandas")
    truth, found = pair()
    ap = coco_ap(truth, found).to_pandas()
    assert list(ap.columns) == ["category_id", "category", "AP"]
    assert ap["category"].tolist() == ["cat", "dog <b>"]
    everything = evaluate(truth, found, chance_repeats=0)
    table = everything.to_pandas().set_index("category")
    assert table.loc["cat", "AP"] == everything.ap.per_class["cat"]
    assert table.loc["dog <b>", "n_false_positives"] == everything.detection.per_class[7].n_false_positives
    matrix = confusion_matrix(truth, found).to_pandas().set_index("truth")
    assert matrix.loc["cat", "dog <b>"] == 1
    assert isinstance(error_types(truth, found).to_pandas(), pandas.DataFrame)


def test_a_summary_names_what_looks_like_a_mistake_first() -> None:
    truth, found = pair()
    wrong = Detections.from_arrays([([[0, 0, 900, 900]] * 3, [0.5] * 3, [0] * 3)] * 2, [1, 2], [3, 7])
    with pytest.warns(UserWarning, match="stick out"):
        text = str(evaluate(truth, wrong, chance_repeats=0))
    assert text.startswith("WARNING: ")
    assert str(evaluate(truth, found)).splitlines()[0].startswith(" Average Precision")
