"""Calibration and LRP errors against cases by hand, SciPy's histograms, loops, netcal, and data sets resampled."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binned_statistic_dd

from dissect_eval import DetectionError, Detections, GroundTruth, SettingError, TruthError, bootstrap
from dissect_eval.calibration import d_ece, laece, olrp, scored_hits
from dissect_eval.statistics import MetricSettings
from dissect_eval.statistics._statistics import statistics_of
from reference import HITS, THREE, box, hit, load, split

NAMES = ("d_ece", "laece", "olrp")


def problem(seed, n_images=6, levels=12):
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(1, n_images + 1):
        for _ in range(rng.integers(5)):
            bbox, category = [*rng.uniform(0, 400, 2), *rng.uniform(20, 80, 2)], int(rng.integers(1, 4))
            truth.append(box(len(truth) + 1, bbox, category, image, iscrowd=int(rng.random() < 0.15)))
            for _ in range(rng.integers(4)):
                near = (np.array(bbox) + rng.normal(0, 6, 4)).tolist()
                found.append(
                    hit(near, float(rng.integers(levels + 1)) / levels, int(rng.integers(1, 5)), image)
                )
    return split(truth, range(1, n_images + 1), range(1, 5)), found


def by_hand():
    """Two classes; scores .95, .85, .55 and .35; two hits with IoU 1 and .8."""
    truth = GroundTruth.from_arrays(
        [([[0, 0, 10, 10], [20, 0, 30, 10]], [1, 2]), ([[0, 0, 10, 10]], [1])],
        [1, 2],
        {1: "cat", 2: "dog"},
        image_sizes=[(100, 100)] * 2,
    )
    first = [[0, 0, 10, 10], [20, 0, 30, 8], [60, 60, 70, 70]], [0.95, 0.85, 0.55], [0, 1, 0]
    second = [[60, 0, 70, 10]], [0.35], [0]
    return truth, Detections.from_arrays([first, second], [1, 2], [1, 2])


def test_d_ece_by_hand():
    result = d_ece(*by_hand(), n_bins=10)
    # One detection in each of four bins: |1 - .95| + |1 - .85| + |0 - .55| + |0 - .35|, over four.
    assert result.value == pytest.approx((0.05 + 0.15 + 0.55 + 0.35) / 4)
    assert result.per_class["cat"] == pytest.approx((0.05 + 0.55 + 0.35) / 3)
    assert result.per_class["dog"] == pytest.approx(0.15)
    assert [one.n_detections for one in result.bins] == [0, 0, 0, 1, 0, 1, 0, 0, 1, 1]
    last = result.bins[-1]
    assert (last.low, last.high, last.score, last.reached) == pytest.approx((0.9, 1.0, 0.95, 1.0))
    assert math.isnan(result.bins[0].score)


def test_laece_by_hand():
    result = laece(*by_hand(), n_bins=2)
    # Cat: two detections of .95 and .55 in the upper bin, one of them hits with IoU 1; one of .35 in the lower.
    cat = 2 / 3 * abs(0.5 * 1 - 0.75) + 1 / 3 * 0.35
    dog = abs(0.8 - 0.85)
    assert result.per_class.by_name == {"cat": pytest.approx(cat), "dog": pytest.approx(dog)}
    assert result.value == pytest.approx((cat + dog) / 2)


def test_olrp_by_hand():
    result = olrp(*by_hand())
    # Cat: at .95 one hit with IoU 1 and one miss; a lower threshold adds false positives alone.
    assert result.per_class["cat"].olrp == pytest.approx(1 / 2)
    assert result.per_class["cat"].score_threshold == 0.95
    assert result.per_class["cat"].false_negative == 0.5
    assert result.per_class["dog"].olrp == pytest.approx((1 - 0.8) / 0.5)
    assert result.per_class["dog"].localisation == pytest.approx(0.2)
    assert result.olrp == pytest.approx((0.5 + 0.4) / 2)
    assert result.false_negative == pytest.approx(0.25)


def hits_of(content, rows, iou=0.5, score=-np.inf, most=None):
    truth, found = load(content, rows)
    return scored_hits(truth, found.aligned_to(truth), iou, score, most)


@pytest.mark.parametrize("seed", range(20))
def test_d_ece_equals_the_histogram(seed):
    """Küppers et al.: bins of score, position and size, by SciPy's histogram, as netcal does it."""
    content, rows = problem(seed)
    truth, found = load(content, rows)
    hits = hits_of(content, rows, 0.5, 0.1)
    boxes = found.boxes[hits.rows] / [640, 480, 640, 480]
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    for features, values in (((), []), (("cx", "cy", "w", "h"), [centre, size]), (("h",), [size[:, 1:]])):
        sample = np.column_stack([hits.scores, *values])
        edges = [np.linspace(0, 1, 6)] * sample.shape[1]
        columns = [
            np.nan_to_num(binned_statistic_dd(sample, column, "mean", bins=edges)[0])
            for column in (hits.hit, hits.scores)
        ]
        number = np.histogramdd(sample, edges)[0]
        expected = (np.abs(columns[0] - columns[1]) * number).sum() / number.sum()
        result = d_ece(truth, found, score_threshold=0.1, n_bins=5, box_features=features)
        assert result.value == pytest.approx(expected, abs=1e-12)
        assert result.n_detections == len(hits.scores)


@pytest.mark.parametrize("seed", range(5))
def test_d_ece_equals_netcal(seed):
    metrics = pytest.importorskip("netcal.metrics", reason="netcal is not installed")
    content, rows = problem(seed, 40)
    hits = hits_of(content, rows, 0.5, 0.3)
    theirs = metrics.ECE(bins=20, detection=True).measure(hits.scores[:, None], hits.hit.astype(int))
    assert d_ece(*load(content, rows)).value == pytest.approx(float(theirs), abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_laece_equals_loops(seed):
    content, rows = problem(seed)
    hits = hits_of(content, rows, 0.3, 0.05)
    errors = []
    for k in range(4):
        of_class, error = hits.category == k, 0.0
        for j in range(25):
            inside = of_class & (hits.scores >= j / 25) & ((hits.scores < (j + 1) / 25) | (j == 24))
            if inside.any():
                precision = hits.hit[inside].mean()
                iou = hits.iou[inside & hits.hit].mean() if precision else 0.0
                error += inside.sum() / of_class.sum() * abs(hits.scores[inside].mean() - precision * iou)
        errors.append(error if of_class.any() else math.nan)
    result = laece(*load(content, rows), iou_threshold=0.3, score_threshold=0.05)
    assert list(result.per_class.values()) == pytest.approx(errors, abs=1e-12, nan_ok=True)
    assert result.value == pytest.approx(np.nanmean(errors), abs=1e-12)


@pytest.mark.parametrize("seed", range(30))
def test_olrp_equals_all_thresholds(seed):
    """The least over every score as a threshold, and over none, each matched by itself."""
    content, rows = problem(seed, levels=[3, 1000][seed % 2])
    truth, found = load(content, rows)
    most = [1, 2, 100][seed % 3]
    result = olrp(truth, found, iou_threshold=0.4, max_detections=most)
    errors = []
    for k, key in enumerate(truth.category_names):
        n_truth = ((truth.category_ids == key) & ~truth.is_region).sum()
        least = 1.0
        for threshold in np.unique(found.scores):
            hits = hits_of(content, rows, 0.4, threshold, most)
            own = hits.category == k
            tp = (own & hits.hit).sum()
            total = ((1 - hits.iou[own & hits.hit]) / 0.6).sum() + own.sum() - tp + n_truth - tp
            if n_truth:
                least = min(least, total / (own.sum() + n_truth - tp))
        errors.append(least if n_truth else math.nan)
    assert [one.olrp for one in result.per_class.values()] == pytest.approx(errors, abs=1e-12, nan_ok=True)
    assert result.olrp == pytest.approx(np.nanmean(errors), abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_weights_equal_the_resampled_data_set(seed):
    content, rows = problem(seed)
    truth, found = load(content, rows)
    (statistic,) = statistics_of(truth, found, MetricSettings(NAMES, per_class=True))
    weights = np.random.default_rng(seed).integers(0, 3, (truth.n_images, 4)).astype(float)
    values = statistic(weights)
    for r in range(weights.shape[1]):
        copies = {i: [100 * i + c for c in range(int(weights[i - 1, r]))] for i in truth.image_ids.tolist()}
        boxes = [{**a, "image_id": new} for a in content["annotations"] for new in copies[a["image_id"]]]
        for i, record in enumerate(boxes):
            record["id"] = i + 1
        many = split(boxes, [i for c in copies.values() for i in c], range(1, 5))
        pair = load(many, [{**row, "image_id": new} for row in rows for new in copies[row["image_id"]]])
        for name, function in (("d_ece", d_ece), ("laece", laece), ("olrp", olrp)):
            result = function(*pair, check=False)
            value = result.olrp if name == "olrp" else result.value
            assert values[name, None][r] == pytest.approx(value, abs=1e-12, nan_ok=True)
            for key, one in result.per_class.items():
                expected = one.olrp if name == "olrp" else one
                assert values[name, key][r] == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_intervals():
    content, rows = problem(1, 60)
    truth, found = load(content, rows)
    expected = [function(truth, found, check=False) for function in (d_ece, laece, olrp)]
    expected = [expected[0].value, expected[1].value, expected[2].olrp]
    rows_of = bootstrap(truth, found, metrics=NAMES, n_replicates=200, check=False)
    for row, value in zip(rows_of, expected, strict=True):
        assert row.baseline == pytest.approx(value, abs=1e-12)
        assert row.low < row.high
    (change,) = bootstrap(truth, found, found.above(0.5), metrics="olrp", n_replicates=50, check=False)
    assert change.estimate == pytest.approx(
        olrp(truth, found.above(0.5), check=False).olrp - expected[2], abs=1e-12
    )


def test_undefined():
    truth = GroundTruth.from_coco(split([box(1, [0, 0, 9, 9])], categories=(1, 2)))
    nothing = Detections.from_results([], truth)
    result = olrp(truth, nothing)
    assert result.olrp == 1
    assert result.undefined == {
        "per_class.2": "no truth to be found",
        "localisation": "no class has a hit",
        "false_positive": "no class has a hit",
    }
    for function in (d_ece, laece):
        error = function(truth, nothing)
        assert math.isnan(error.value)
        assert error.undefined["value"] == "no detection at or above the score threshold"
        assert error.to_dict()["value"] is None


@pytest.mark.parametrize(
    ("function", "settings", "error", "match"),
    [
        (d_ece, {"iou_threshold": 0}, SettingError, r"`iou_threshold` must be in \(0, 1\]"),
        (laece, {"n_bins": 0}, SettingError, "`n_bins` must be a whole number from 1"),
        (d_ece, {"n_bins": 2.5}, SettingError, "`n_bins` must be a whole number"),
        (d_ece, {"box_features": ["x"]}, SettingError, "`box_features` must be some of 'cx', 'cy', 'w', 'h'"),
        (d_ece, {"box_features": ["w", "h", "cx", "cy"]}, SettingError, "`n_bins` must give at most"),
        (d_ece, {"score_threshold": math.nan}, SettingError, "`score_threshold` must be finite"),
        (olrp, {"iou_threshold": 1}, SettingError, r"`iou_threshold` must be in \(0, 1\)"),
        (olrp, {"max_detections": 0}, SettingError, "`max_detections` must be"),
        (bootstrap, {"metrics": "olrp", "iou_threshold": 1}, SettingError, "for 'olrp'"),
    ],
)
def test_bad_settings(function, settings, error, match):
    with pytest.raises(error, match=match):
        function(*load(THREE, HITS), **settings)


def test_scores_that_are_no_shares():
    truth, found = load(THREE, [{**row, "score": 10 * row["score"]} for row in HITS])
    for function in (d_ece, laece):
        with pytest.raises(
            DetectionError, match=r"`scores` must be in \[0, 1\] for a calibration error, got 9"
        ):
            function(truth, found, check=False)
    with pytest.raises(DetectionError, match="`scores` must be in"):
        bootstrap(truth, found, metrics=["laece"], check=False)
    assert olrp(truth, found, check=False).olrp == 0


def test_positions_need_the_size_of_the_image():
    truth = GroundTruth.from_arrays([([[0, 0, 9, 9]], [1])], [7], {1: "cat"})
    found = Detections.from_arrays([([[0, 0, 9, 9]], [0.9], [0])], [7], [1])
    with pytest.raises(TruthError, match="image 7: `box_features` need its `width` and `height`"):
        d_ece(truth, found, n_bins=5, box_features=["cx"])
