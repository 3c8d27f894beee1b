"""The bootstrap against resampled data sets made in full, scipy's own bootstrap, and a simulation of coverage."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dissect_eval import (
    METRICS,
    Detections,
    GroundTruth,
    SettingError,
    bootstrap,
    coco_ap,
    detection_metrics,
    evaluate_variants,
    matched_metrics,
)
from dissect_eval.coco._ap_numpy import RECALLS
from dissect_eval.statistics._intervals import (
    half_bias,
    half_weights,
    image_weights,
    interval,
    p_values,
    percentile_intervals,
    t_intervals,
)
from dissect_eval.statistics._metrics import MetricSettings
from dissect_eval.statistics._statistics import statistics_of
from dissect_eval.statistics._statistics_ap import _recalls_up_to
from populations import drawn_in_full, synthetic


def problem(seed: int, n_images: int = 12, n_categories: int = 3) -> tuple[GroundTruth, Detections]:
    """Random truth with crowds and detections with hits, confusions and false positives; no tied scores."""
    rng = np.random.default_rng(seed)
    images: list[dict[str, Any]] = [{"id": i, "width": 200, "height": 200} for i in range(n_images)]
    annotations: list[dict[str, Any]] = []
    per_image = []
    for image in range(n_images):
        boxes, labels = [], []
        for _ in range(int(rng.integers(0, 7))):
            x, y, w, h = *rng.uniform(0, 100, 2), *rng.uniform(8, 100, 2)
            label = int(rng.integers(n_categories))
            record = {
                "id": len(annotations),
                "image_id": image,
                "category_id": label + 1,
                "bbox": [x, y, w, h],
            }
            annotations.append({**record, "area": w * h, "iscrowd": int(rng.random() < 0.15)})
            for _ in range(int(rng.integers(0, 4))):
                x0, y0 = np.array([x, y]) + rng.normal(0, 3, 2)
                boxes.append([x0, y0, x0 + w, y0 + h])
                labels.append(label if rng.random() < 0.8 else int(rng.integers(n_categories)))
        for _ in range(int(rng.integers(0, 4))):
            x, y = rng.uniform(0, 150, 2)
            boxes.append([x, y, x + 30, y + 30])
            labels.append(int(rng.integers(n_categories)))
        per_image.append((boxes, rng.random(len(boxes)), labels))
    categories = [{"id": k + 1, "name": f"class {k}"} for k in range(n_categories)]
    truth = GroundTruth.from_coco({"images": images, "categories": categories, "annotations": annotations})
    return truth, Detections.from_arrays(per_image, range(n_images), range(1, n_categories + 1))


def all_metrics(truth: GroundTruth, found: Detections) -> dict[str, float]:
    ap = coco_ap(truth, found, backend="pycocotools")
    detection, matched = detection_metrics(truth, found), matched_metrics(truth, found)
    return {name: getattr(ap, name) for name in METRICS if name.startswith("A")} | {
        "f1": detection.micro.f1,
        "precision": detection.micro.precision,
        "recall": detection.micro.recall,
        "giou": detection.mean_giou,
        "matched_giou": matched.mean_giou,
        "matched_f1": matched.f1_weighted,
    }


@pytest.mark.parametrize("seed", range(4))
def test_weights_equal_the_resampled_data_set(seed: int) -> None:
    truth, found = problem(seed)
    statistics = statistics_of(truth, found, MetricSettings(METRICS))
    (weights,) = image_weights(truth.n_images, 6, seed)
    values = {key[0]: v for statistic in statistics for key, v in statistic(weights).items()}
    for r in range(weights.shape[1]):
        expected = all_metrics(*drawn_in_full(truth, found, weights[:, r]))
        got = {name: values[name][r] for name in METRICS}
        assert got == pytest.approx(expected, abs=1e-12, nan_ok=True), weights[:, r]


def test_per_class_values_equal_the_resampled_data_set() -> None:
    truth, found = problem(5)
    statistics = statistics_of(
        truth, found, MetricSettings(("AP", "f1", "matched_f1", "giou"), per_class=True)
    )
    (weights,) = image_weights(truth.n_images, 3, 5)
    values = {key: v for statistic in statistics for key, v in statistic(weights).items()}
    for r in range(3):
        t, d = drawn_in_full(truth, found, weights[:, r])
        ap = coco_ap(t, d, backend="pycocotools").per_class
        classes, matched = detection_metrics(t, d).per_class, matched_metrics(t, d).f1_per_class
        for category in truth.category_names:
            assert values["AP", category][r] == pytest.approx(ap[category], abs=1e-12, nan_ok=True)
            assert values["f1", category][r] == pytest.approx(classes[category].f1, abs=1e-12, nan_ok=True)
            assert values["giou", category][r] == pytest.approx(
                classes[category].mean_giou, abs=1e-12, nan_ok=True
            )
            if category in matched:
                assert values["matched_f1", category][r] == pytest.approx(matched[category], abs=1e-12)


def test_all_images_once_is_the_metric_itself() -> None:
    truth, found = problem(9, n_images=30)
    results = bootstrap(truth, found, metrics=METRICS, n_replicates=20)
    assert {r.metric: r.estimate for r in results} == pytest.approx(all_metrics(truth, found), abs=1e-12)
    assert [r.metric for r in results] == list(METRICS)


@pytest.mark.parametrize("n_categories", [1, 2, 3, 17])
@pytest.mark.parametrize("seed", range(4))
def test_all_images_once_is_pycocotools_to_the_last_digit(seed: int, n_categories: int) -> None:
    truth, found = problem(seed, n_images=20, n_categories=n_categories)
    names = [name for name in METRICS if name.startswith("A")]
    results = bootstrap(truth, found, metrics=names, per_class=True, n_replicates=2)
    theirs = coco_ap(truth, found, backend="pycocotools")
    ours = {(r.metric, r.category_id): r.estimate for r in results}
    np.testing.assert_array_equal(
        [ours[name, None] for name in names], [getattr(theirs, name) for name in names]
    )
    np.testing.assert_array_equal(
        [ours["AP", category] for category in theirs.per_class], list(theirs.per_class.values())
    )


def test_percentile_intervals_equal_scipy() -> None:
    """The mean GIoU of images with one pair each is a plain mean: scipy.stats.bootstrap knows its interval."""
    rng = np.random.default_rng(3)
    values = rng.beta(5, 2, 60) ** 2
    weights = np.concatenate(list(image_weights(60, 4000, 1)), axis=1)
    got = interval(float(values.mean()), (values @ weights) / 60, 0.9)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, confidence_level=0.9, method="percentile", rng=0
    ).confidence_interval
    assert got == pytest.approx(tuple(expected), abs=0.004)
    assert expected.low < values.mean() < expected.high


@pytest.mark.parametrize("n", [8, 25, 200])
def test_t_intervals_of_a_mean_are_students(n: int) -> None:
    """A mean has no bias, and the t interval knows it: halves and resamples must not change that much."""
    values = np.random.default_rng(n).normal(2, 1, n)
    resamples = np.concatenate(list(image_weights(n, 4000, 0)), axis=1)
    halves = np.concatenate(list(half_weights(n, 0)), axis=1)
    assert (halves.sum(axis=0) == n // 2).all()
    means = (values @ halves)[None] / (n // 2)
    error = ((values @ resamples) / n).std(ddof=1)
    bias = np.array([half_bias(values.mean(keepdims=True), means)])
    low, high = t_intervals(np.array([values.mean()]), np.array([error]), means, bias, n, 0.95)
    reach = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5
    assert abs(bias[0]) < 0.25 * reach
    assert (high[0] - low[0]) / 2 == pytest.approx(reach, rel=0.3)
    assert low[0] <= values.mean() - reach * 0.9 < values.mean() + reach * 0.9 <= high[0]


def test_t_intervals_are_widened_to_the_side_of_the_bias() -> None:
    estimates, errors = np.array([0.5, 0.5, np.nan]), np.array([0.01, 0.01, 0.01])
    halves = np.array([[0.6, 0.6], [0.4, 0.4], [np.nan, np.nan]])
    bias = np.array(
        [half_bias(one[None], of_one[None]) for one, of_one in zip(estimates, halves, strict=True)]
    )
    np.testing.assert_allclose(bias[:2], [0.1, -0.1])
    low, high = t_intervals(estimates, errors, halves, bias, 40, 0.95)
    reach = stats.t.ppf(0.975, 39) * 0.01 * (40 / 39) ** 0.5
    np.testing.assert_allclose(low[:2], [0.3 - reach, 0.5 - reach])
    np.testing.assert_allclose(high[:2], [0.5 + reach, 0.7 + reach])
    assert np.isnan([low[2], high[2], bias[2]]).all()


def test_what_does_not_cover_is_withdrawn() -> None:
    with pytest.raises(SettingError, match="got 'bca', which was withdrawn"):
        bootstrap(*problem_pair(), metrics="f1", method="bca")  # type: ignore[arg-type]


def test_few_images_and_percentiles_are_told_of() -> None:
    truth, found = problem_pair()
    (result,) = bootstrap(truth, found, metrics="f1", n_replicates=20)
    assert result.n_images == truth.n_images == 3
    assert "take 40 or more" in result.note
    (paired,) = bootstrap(truth, found, found, metrics="f1", n_replicates=20)
    assert paired.note == "Paired intervals were tried with 10 images or more, and these are over 3."
    (rough,) = bootstrap(truth, found, metrics="f1", n_replicates=20, method="percentile")
    assert "method='t' covers better" in rough.note
    (none,) = bootstrap(truth, found, metrics="f1", n_replicates=0)
    assert none.note == ""


def test_the_bias_of_ap_is_the_mean_of_each_class_over_the_halves_that_hold_it() -> None:
    """From data sets of half the images made in full, and alike with and without numbers per class."""
    truth, found = problem(3, n_images=9)
    (result,) = bootstrap(truth, found, metrics="AP", n_replicates=10, seed=4)
    whole = coco_ap(truth, found).per_class
    (halves,) = half_weights(truth.n_images, 4)
    parts = [coco_ap(*drawn_in_full(truth, found, half)).per_class for half in halves.T]
    of_each = [np.nanmean([part[c] for part in parts]) - whole[c] for c in whole]
    assert result.bias == pytest.approx(np.mean(of_each), abs=1e-12)
    rows = bootstrap(truth, found, metrics="AP", n_replicates=10, seed=4, per_class=True)
    assert rows[0].to_dict() == result.to_dict()
    assert [row.bias for row in rows[1:]] == pytest.approx(of_each, abs=1e-12)


def test_classes_in_one_image_are_told_of_beside_the_ap_of_one_detector() -> None:
    rare = synthetic(1, 60, 80, 1.0)
    ap, f1 = bootstrap(rare.truth, rare.first, metrics=["AP", "f1"], n_replicates=5)
    assert re.fullmatch(
        r"\d+ of \d+ classes have objects in one image only: AP of other .* 93 % of the time\.", ap.note
    )
    assert f1.note == ""
    assert bootstrap(rare.truth, rare.first, rare.second, metrics="AP", n_replicates=5)[0].note == ""
    common = synthetic(1, 60, 3, 0.0)
    assert bootstrap(common.truth, common.first, metrics="AP", n_replicates=5)[0].note == ""


def test_tables_carry_the_bias_of_value_and_difference() -> None:
    truth, found = problem(3, n_images=9)
    other = replace(found, scores=1 - found.scores)
    table = evaluate_variants(truth, {"a": found, "b": other}, metrics=["AP", "f1"], n_replicates=10)
    for metric in ("AP", "f1"):
        first, second = (bootstrap(truth, one, metrics=metric, n_replicates=10)[0] for one in (found, other))
        (row,) = table.select(variant="b", metric=metric)
        assert row.value_bias == second.bias
        assert row.bias == pytest.approx(second.bias - first.bias, abs=1e-15)


def problem_pair() -> tuple[GroundTruth, Detections]:
    boxes = [([[0, 0, 10, 10]], [1])] * 3
    truth = GroundTruth.from_arrays(boxes, range(3), {1: "cat"})
    return truth, Detections.from_arrays([([[0, 0, 10, 9 - i]], [0.9], [0]) for i in range(3)], range(3), [1])


def test_coverage_of_the_interval() -> None:
    """In 400 simulated studies of a known difference, the paired 95 % interval holds it about 95 % of the time."""
    rng = np.random.default_rng(0)
    n_images, held = 60, 0
    for study in range(400):
        boxes = np.array([0.0, 0, 10, 10])
        # The variant's box is shorter by a random amount of mean 2: the mean GIoU drops by .2.
        cut = rng.gamma(2.0, 1.0, n_images).clip(0, 9.9)
        truth_record = {
            "images": [{"id": i} for i in range(n_images)],
            "categories": [{"id": 1, "name": "cat"}],
            "annotations": [
                {"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 10, 10]} for i in range(n_images)
            ],
        }
        truth = GroundTruth.from_coco(truth_record)
        one = Detections.from_arrays([([boxes], [0.9], [0])] * n_images, range(n_images), [1])
        two = Detections.from_arrays(
            [([boxes - [0, 0, 0, c]], [0.9], [0]) for c in cut], range(n_images), [1]
        )
        (result,) = bootstrap(truth, one, two, metrics=["matched_giou"], n_replicates=400, seed=study)
        held += result.low <= -MEAN_CUT / 10 <= result.high
    # Binomial with p = .95 and 400 studies: standard deviation 4.4, and percentile intervals run a little short.
    assert 362 <= held <= 396, held


MEAN_CUT = float(stats.gamma(2.0).expect(lambda x: np.clip(x, 0, 9.9)))


def test_many_intervals_are_those_of_each() -> None:
    rng = np.random.default_rng(5)
    replicates = rng.normal(0, 1, (6, 101))
    replicates[1, ::3] = np.nan
    replicates[2] = np.nan
    estimates = np.array([0.1, 0.2, 0.3, np.nan, 0.4, 0.5])
    low, high = percentile_intervals(estimates, replicates, 0.9)
    each = [interval(float(e), r, 0.9) for e, r in zip(estimates, replicates, strict=True)]
    np.testing.assert_array_equal(np.stack([low, high], axis=1), np.array(each))
    assert np.isnan(low).tolist() == [False, False, True, True, False, False]
    p = p_values(estimates, replicates)
    assert p[1] == p_values(estimates[1:2], replicates[1:2, ~np.isnan(replicates[1])])[0]
    assert np.isnan(p).tolist() == [False, False, True, True, False, False]


def test_recalls_are_counted_as_a_search_does() -> None:
    found, n_truth = np.meshgrid(np.arange(0, 400), np.arange(1, 400))
    fraction = np.minimum(found / n_truth, 1.0)
    around = np.stack([np.nextafter(fraction, -1).clip(0), fraction, np.nextafter(fraction, 2).clip(0, 1)])
    np.testing.assert_array_equal(_recalls_up_to(around), np.searchsorted(RECALLS, around, side="right"))


def test_p_values_are_uniform_without_a_difference() -> None:
    rng = np.random.default_rng(1)
    p = []
    for study in range(300):
        values = rng.normal(0, 1, 50)
        weights = next(iter(image_weights(50, 250, study)))
        p.append(float(p_values(values.mean(keepdims=True), (values @ weights)[None] / 50)[0]))
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.1


def test_pairing_narrows_the_interval() -> None:
    truth, found = problem(2, n_images=40)
    nearly = replace(found, scores=found.scores * 0.999)
    (same,) = bootstrap(truth, found, nearly, metrics=["AP"], n_replicates=200)
    (alone,) = bootstrap(truth, found, metrics=["AP"], n_replicates=200)
    assert same.low == same.high == same.estimate == 0.0
    assert same.p_value == 1.0
    assert alone.high - alone.low > 0.05


def test_seed_decides(truth_of: Callable[..., GroundTruth]) -> None:
    truth, found = problem(2, n_images=40)
    a, b, c = (bootstrap(truth, found, metrics=["f1"], n_replicates=50, seed=s)[0] for s in (1, 1, 2))
    assert a.to_dict() == b.to_dict()
    assert a.low != c.low


def test_a_block_boundary_does_not_show() -> None:
    blocks = list(image_weights(7, 600, 3))
    assert [b.shape for b in blocks] == [(7, 256), (7, 256), (7, 88)]
    assert all((b.sum(axis=0) == 7).all() for b in blocks)


def test_undefined_stays_undefined(truth_of: Callable[..., GroundTruth]) -> None:
    truth = truth_of({1: [], 2: []})
    none = Detections.from_arrays([], [], [])
    for result in bootstrap(truth, none, none, n_replicates=10):
        assert np.isnan([result.baseline, result.estimate, result.low, result.p_value]).all()
        assert result.n_undefined == 10
    assert bootstrap(truth, none, n_replicates=10)[0].to_dict()["low"] is None


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"metrics": ["ap"]}, "`metrics` must be some of AP, AP50.*got 'ap'"),
        ({"metrics": []}, "got none"),
        ({"confidence": 95}, "`confidence` must be within 0 and 1, got 95"),
        ({"method": "z"}, "`method` must be 't' or 'percentile', got 'z'"),
        ({"n_replicates": -1}, "`n_replicates` must be a whole number from 0 to .*, got -1"),
        ({"iou_threshold": 0}, "`iou_threshold` must be in"),
        ({"score_threshold": float("nan")}, "`score_threshold` must be finite"),
    ],
)
def test_bad_settings(setting: dict[str, Any], match: str) -> None:
    truth, found = problem(0)
    with pytest.raises(SettingError, match=match):
        bootstrap(truth, found, **setting)
