from __future__ import annotations

import json
import math

import numpy as np
import pytest

from dissect_eval import Detections, SettingError, error_types

TYPES = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")


def found_of(rows):
    """Detections from `{image: [(category, x, y, w, h, score)]}` rows, or image 1's rows."""
    rows = rows if isinstance(rows, dict) else {1: rows}
    arrays = [
        ([[x, y, x + w, y + h] for _, x, y, w, h, _ in items], [i[5] for i in items], [i[0] for i in items])
        for items in rows.values()
    ]
    return Detections.from_arrays(
        [(b, s, np.array(c, dtype=int)) for b, s, c in arrays], list(rows), range(10)
    )


def nonzero(values):
    return {key: pytest.approx(value, abs=1e-9) for key, value in values.items() if abs(value) > 1e-9}


A, B, FAR = (0, 0, 10, 10), (40, 0, 10, 10), (80, 80, 10, 10)
SHIFTED = (0, 0, 10, 4)  # IoU .4 with A


@pytest.mark.parametrize(
    ("rows", "count", "ap", "delta"),
    [
        # One cat at A, one dog at B; AP is the mean of two categories.
        pytest.param(
            [(2, *B, 0.9), (2, *A, 0.8)],
            {"Cls": 1},
            0.5,
            {"Cls": 0.5},
            id="Cls",
        ),
        pytest.param([(2, *B, 0.9), (1, *SHIFTED, 0.8)], {"Loc": 1}, 0.5, {"Loc": 0.5}, id="Loc"),
        pytest.param(
            [(2, *B, 0.8), (1, *A, 0.8), (2, *SHIFTED, 0.9)],
            {"Both": 1},
            0.75,
            {"Both": 0.25, "FalsePos": 0.25},
            id="Both",
        ),
        pytest.param(
            [(2, *B, 0.8), (1, *A, 0.8), (1, 0, 0, 10, 9, 0.7)], {"Dupe": 1}, 1, {}, id="Dupe below all hits"
        ),
        pytest.param(
            [(2, *B, 0.8), (1, *A, 0.8), (1, *FAR, 0.9)],
            {"Bkg": 1},
            0.75,
            {"Bkg": 0.25, "FalsePos": 0.25},
            id="Bkg",
        ),
        pytest.param(
            [(2, *B, 0.8), (1, *FAR, 0.9)],
            {"Bkg": 1, "Miss": 1},
            0.5,
            # Without its false positive the cat category has no detections, but still its truth.
            {},
            id="Miss of a whole category that has false positives",
        ),
    ],
)
def test_one_error_of_each_type(truth_of, rows, count, ap, delta):
    result = error_types(truth_of({1: [(1, *A), (2, *B)]}), found_of(rows))
    assert result.counts == dict.fromkeys(TYPES, 0) | count
    assert result.ap == pytest.approx(ap)
    delta = {key: pytest.approx(value, abs=1e-9) for key, value in delta.items()}
    for key in (*TYPES, "FalsePos"):
        assert result.delta_ap[key] == delta.get(key, pytest.approx(0, abs=1e-9)), key


def test_miss_shrinks_the_truth(truth_of):
    truth = truth_of({1: [(1, *A), (1, *B)]}, categories={1: "cat"})
    result = error_types(truth, found_of([(1, *A, 0.9)]))
    assert result.counts["Miss"] == 1
    assert result.ap == pytest.approx(51 / 101)  # recall reaches .5
    assert nonzero(result.delta_ap) == {"Miss": 50 / 101, "FalseNeg": 50 / 101}


def test_false_negatives_hold_more_than_misses(truth_of):
    truth = truth_of({1: [(1, *A), (1, *B)]}, categories={1: "cat"})
    result = error_types(truth, found_of([(1, *B, 0.9), (1, *SHIFTED, 0.8)]))
    assert (result.counts["Miss"], result.n_false_negatives) == (0, 1)  # the Loc error would have found it
    assert nonzero(result.delta_ap) == {"Loc": 50 / 101, "FalseNeg": 50 / 101}


def test_duplicate_between_hits(truth_of):
    truth = truth_of({1: [(1, *A), (1, *B)]}, categories={1: "cat"})
    result = error_types(truth, found_of([(1, *A, 0.9), (1, *A, 0.8), (1, *B, 0.7)]))
    assert result.counts["Dupe"] == 1
    assert nonzero(result.delta_ap) == {"Dupe": 50 / 101 / 3, "FalsePos": 50 / 101 / 3}


def test_of_two_errors_on_one_truth_the_better_score_is_fixed(truth_of):
    truth = truth_of({1: [(1, *A), (2, *B)]})
    loc_first = [(2, *B, 0.9), (1, *SHIFTED, 0.8), (2, *A, 0.7)]
    result = error_types(truth, found_of(loc_first))
    assert (result.counts["Loc"], result.counts["Cls"], result.counts["Miss"]) == (1, 1, 0)
    assert result.delta_ap["Loc"] == pytest.approx(0.5)
    assert result.delta_ap["Cls"] == pytest.approx(0, abs=1e-9)  # removed, as the Loc error has the truth
    cls_first = [(2, *B, 0.9), (1, *SHIFTED, 0.7), (2, *A, 0.8)]
    result = error_types(truth, found_of(cls_first))
    assert result.delta_ap["Loc"] == pytest.approx(0, abs=1e-9)
    assert result.delta_ap["Cls"] == pytest.approx(0.5)


def test_errors_on_truth_that_is_found_are_removed(truth_of):
    truth = truth_of({1: [(1, *A), (2, *B)]})
    result = error_types(truth, found_of([(1, *SHIFTED, 0.95), (2, *A, 0.95), (1, *A, 0.9), (2, *B, 0.9)]))
    assert (result.counts["Loc"], result.counts["Cls"]) == (1, 1)
    assert result.ap == pytest.approx(0.5)
    assert result.delta_ap["Loc"] == pytest.approx(0.25)
    assert result.delta_ap["Cls"] == pytest.approx(0.25)
    assert result.per_class[2].delta_ap["Cls"] == pytest.approx(0.5)
    assert result.per_class[2].counts["Cls"] == 1  # under the category that the detection gives


def test_loc_comes_before_cls_and_dupe_before_both(truth_of):
    truth = truth_of({1: [(1, *A), (2, 0, 0, 10, 4)]})
    assert error_types(truth, found_of([(1, 0, 0, 10, 4, 0.9)])).counts["Loc"] == 1
    duplicate = found_of([(1, *A, 0.9), (2, 0, 0, 10, 4, 0.9), (1, *A, 0.8)])
    assert error_types(truth, duplicate).counts["Dupe"] == 1


@pytest.mark.parametrize(
    ("box", "error"), [((0, 0, 10, 1), "Loc"), ((0, 0, 5, 1), "Bkg"), ((0, 0, 10, 5), None)]
)
def test_iou_at_a_threshold(truth_of, box, error):
    result = error_types(truth_of({1: [(1, *A)]}), found_of([(1, *box, 0.9)]))
    assert {k for k, v in result.counts.items() if v and k != "Miss"} == ({error} if error else set())
    assert result.n_true_positives == (error is None)


@pytest.mark.parametrize("flag", ["iscrowd", "ignore"])
def test_regions_excuse_and_take_no_error(truth_of, flag):
    truth = truth_of({1: [(1, *A), (1, 20, 20, 60, 60, {flag: 1})]})
    rows = [(1, *A, 0.5), (1, 30, 30, 5, 5, 0.9), (1, 30, 30, 60, 60, 0.9), (2, 20, 20, 60, 60, 0.9)]
    result = error_types(truth, found_of(rows))
    assert (result.n_excused, result.n_regions, result.n_truth, result.n_detections) == (2, 1, 1, 2)
    assert result.counts == dict.fromkeys(TYPES, 0) | {"Bkg": 1}  # the dog: no region of its category
    assert result.ap == pytest.approx(1)


def test_detections_beyond_a_hundred_of_an_image_and_category(truth_of):
    truth = truth_of({1: [(1, *A)]})
    rows = [(1, *FAR, 0.9)] * 105 + [(1, *A, 0.1), (2, *FAR, 0.05)]
    result = error_types(truth, found_of(rows))
    assert (result.n_cut, result.counts["Bkg"], result.counts["Miss"]) == (6, 101, 1)


def test_undefined_has_reasons(truth_of):
    empty = error_types(truth_of({1: []}), found_of([(1, *A, 0.9)]))
    assert empty.counts["Bkg"] == 1
    assert math.isnan(empty.ap)
    assert empty.undefined["ap"] == empty.undefined["delta_ap.Bkg"] == "no truth to be found"
    dead = error_types(truth_of({1: [(1, *A)]}), Detections.from_arrays([], [], []))
    assert (dead.ap, dead.counts["Miss"]) == (0, 1)
    assert all(math.isnan(change) for change in dead.delta_ap.values())
    assert dead.undefined["delta_ap.Miss"].startswith("no detection is a hit")
    assert dead.to_dict()["delta_ap"]["Miss"] is None
    mad = error_types(truth_of({1: [(1, *A)]}), found_of([(1, *FAR, 0.9)]))
    assert (mad.counts["Miss"], mad.counts["Bkg"]) == (1, 1)
    assert all(math.isnan(change) for change in mad.delta_ap.values()), "a miss costs all, not 0"
    poor = error_types(truth_of({1: [(1, *A)]}), found_of([(1, 0, 0, 10, 4, 0.9)]))
    assert poor.delta_ap["Loc"] == pytest.approx(1)
    assert [kind for kind, change in poor.delta_ap.items() if not math.isnan(change)] == ["Loc"]
    half = error_types(truth_of({1: [(1, *A), (2, *FAR)]}), found_of([(1, *A, 0.9), (2, 40, 0, 5, 5, 0.9)]))
    assert half.delta_ap["Bkg"] == pytest.approx(0), "the detector finds a cat"
    assert math.isnan(half.per_class[2].delta_ap["Miss"]), "and no dog"
    for result in (empty, dead, mad, poor, half):
        for prefix, one in [("", result), *((f"per_class.{k}.", v) for k, v in result.per_class.items())]:
            assert math.isnan(one.ap) == (f"{prefix}ap" in result.undefined)
            for error, value in one.delta_ap.items():
                assert math.isnan(value) == (f"{prefix}delta_ap.{error}" in result.undefined)
    json.dumps(dead.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("settings_", "match"),
    [
        ({"foreground": 0}, r"`foreground` must be in \(0, 1\], got 0. The usual"),
        ({"foreground": float("nan")}, "`foreground` must be"),
        ({"background": 0.6}, r"`background` must be in \(0, `foreground`\], \(0, 0.5\], got 0.6"),
        ({"background": 0}, "`background` must be"),
        ({"tie_break": "random"}, "`tie_break` must be 'canonical' or 'input', got 'random'"),
    ],
)
def test_bad_settings(truth_of, settings_, match):
    with pytest.raises(SettingError, match=match):
        error_types(truth_of({1: []}), found_of([]), **settings_)
