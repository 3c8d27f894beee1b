"""Settings of COCO's evaluation against pycocotools with the same ``COCOeval.params``."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dissect_eval import SettingError, bootstrap, coco_ap, evaluate_variants, precision_recall_curve
from dissect_eval.coco import coco_settings
from dissect_eval.coco._ap_numpy import precision_arrays
from reference import HITS, THREE, box, cocoeval, hit, load, split

GRID = 4


def problem(rng):
    """Records of truth and detections: crowds, ties, sizes of all kinds, classes with gaps in their ids."""
    images, categories = range(1, 5), sorted(rng.choice(90, 3, replace=False).tolist())
    truth, found = [], []
    levels = int(rng.choice([2, 5, 1000]))
    for image in images:
        for _ in range(rng.integers(6)):
            bbox = [*(GRID * rng.integers(0, 40, 2)).tolist(), *(GRID * rng.integers(1, 40, 2)).tolist()]
            category = int(rng.choice(categories))
            truth.append(box(len(truth) + 1, bbox, category, image, iscrowd=int(rng.random() < 0.15)))
            for _ in range(rng.integers(5)):
                near = np.maximum(np.array(bbox) + GRID * rng.integers(-2, 3, 4), 1).tolist()
                other = category if rng.random() < 0.7 else int(rng.choice(categories))
                found.append(hit(near, float(rng.integers(levels)) / levels, other, image))
    found.append(hit([0, 0, 8, 8], 0.5, categories[0], 1))
    return split(truth, images, categories), [found[i] for i in rng.permutation(len(found))]


def drawn(rng):
    """Settings as this package and as pycocotools takes them."""
    settings, params = {}, {}
    if rng.random() < 0.8:
        given = rng.uniform(0.02, 1, rng.integers(1, 5))
        given = np.unique(np.round(given, 2)) if rng.random() < 0.5 else given
        settings["iou_thresholds"] = params["iouThrs"] = rng.permutation(given)
    if rng.random() < 0.8:
        cuts = rng.choice([1, 2, 3, 5, 10, 100, 300], rng.integers(1, 4), replace=False).tolist()
        settings["max_detections"], params["maxDets"] = cuts, sorted(cuts)
    if rng.random() < 0.8:
        bounds = [
            sorted((GRID * GRID * rng.integers(0, 1600, 2)).tolist()) for _ in range(rng.integers(1, 4))
        ]
        named = {name: tuple(pair) for name, pair in zip("abc", bounds, strict=False)}
        if rng.random() < 0.3:
            named["all"] = (0, 20_000)
        settings["area_ranges"] = named
        whole = list(named.get("all", (0, 1e10)))
        params["areaRng"] = [whole, *(list(named[name]) for name in named if name != "all")]
        params["areaRngLbl"] = ["all", *(name for name in named if name != "all")]
    if rng.random() < 0.5:
        settings["class_agnostic"], params["useCats"] = True, 0
    return settings, params


def number_of(run, name, thresholds=slice(None), area=0, cut=-1):
    values = (
        run.eval["recall"][:, :, area, cut]
        if name == "AR"
        else run.eval["precision"][thresholds, :, :, area, cut]
    )
    return values[values > -1].mean() if (values > -1).any() else math.nan


@pytest.mark.parametrize("block", range(20))
def test_equal_to_pycocotools_for_random_settings(block):
    """Ten settings in a block, 200 in all."""
    for i in range(10):
        rng = np.random.default_rng([block, i])
        content, rows = problem(rng)
        settings, params = drawn(rng)
        run = cocoeval(content, rows, **(params or {"useCats": 1}))
        truth, found = load(content, rows)
        checked = coco_settings(**settings)
        precision, recall = precision_arrays(truth, found, "input", checked)
        np.testing.assert_array_equal(precision, run.eval["precision"], strict=True)
        np.testing.assert_array_equal(recall, run.eval["recall"], strict=True)

        result = coco_ap(truth, found, tie_break="input", **settings)
        ours = {name: getattr(result, name, result.others.get(name)) for name in checked.numbers}
        expected = {"AP": number_of(run, "AP")}
        for name, number in checked.numbers.items():
            cut = checked.max_detections.index(number.cut)
            expected[name] = number_of(
                run, "AR" if number.is_recall else "AP", number.thresholds, number.area, cut
            )
        assert ours == pytest.approx(expected, rel=0, abs=1e-12, nan_ok=True)
        assert ours == {
            name: pytest.approx(value, rel=0, abs=1e-12, nan_ok=True)
            for name, value in _by_reference(truth, found, settings).items()
        }
        _same_curves(truth, found, settings, checked, run)
        (resampled, *_) = bootstrap(
            truth, found, metrics=list(ours), n_replicates=0, tie_break="input", **settings
        )
        assert resampled.baseline == pytest.approx(ours[resampled.metric], rel=0, abs=1e-12, nan_ok=True)


def _by_reference(truth, found, settings):
    result = coco_ap(truth, found, tie_break="input", backend="pycocotools", **settings)
    return {name: getattr(result, name, result.others.get(name)) for name in result.settings.numbers}


def _same_curves(truth, found, settings, checked, run):
    """Curves of the first threshold and category, with the scores, in the last range of area."""
    own = {key: value for key, value in settings.items() if key in ("max_detections", "class_agnostic")}
    category = None if checked.class_agnostic else next(iter(truth.category_names))
    curve = precision_recall_curve(
        truth,
        found,
        iou_thresholds=checked.iou_thresholds[0],
        area=checked.area_ranges[-1][1],
        category_id=category,
        tie_break="input",
        **{"max_detections": checked.max_detections} | own,
    )
    for ours, key in ((curve.precision, "precision"), (curve.scores, "scores")):
        np.testing.assert_array_equal(np.nan_to_num(ours, nan=-1), run.eval[key][0, :, 0, -1, -1])
    whole = precision_recall_curve(
        truth,
        found,
        tie_break="input",
        area_ranges={"all": checked.area_ranges[0][1]},
        iou_thresholds=checked.iou_thresholds,
        **{"max_detections": checked.max_detections} | own,
    )
    assert whole.ap == pytest.approx(number_of(run, "AP"), abs=1e-12, nan_ok=True)


def test_a_resample_equals_the_split_with_images_repeated():
    """Bootstrap of 300 detections at IoU .3: every replicate is that of a split that holds the drawn images."""
    rng = np.random.default_rng(5)
    content, rows = problem(rng)
    settings = {"iou_thresholds": [0.3, 0.6], "max_detections": [2, 300], "area_ranges": {"tiny": (0, 2000)}}
    from dissect_eval.statistics import MetricSettings
    from dissect_eval.statistics._statistics import statistics_of

    truth, found = load(content, rows)
    checked = coco_settings(**settings)
    names = tuple(checked.numbers)
    (statistic,) = statistics_of(truth, found, MetricSettings(names, tie_break="input", coco=checked))
    weights = np.array([2.0, 0.0, 1.0, 3.0])
    values = statistic(weights[:, None])
    copies = {
        image: list(range(100 * image, 100 * image + int(w)))
        for image, w in zip(range(1, 5), weights, strict=True)
    }
    truth_records = [
        {**record, "image_id": new} for record in content["annotations"] for new in copies[record["image_id"]]
    ]
    for i, record in enumerate(truth_records):
        record["id"] = i + 1
    many = {
        **content,
        "annotations": truth_records,
        "images": [{"id": i} for c in copies.values() for i in c],
    }
    many_rows = [{**row, "image_id": new} for row in rows for new in copies[row["image_id"]]]
    result = coco_ap(*load(many, many_rows), tie_break="input", **settings)
    # Precision is left out: copies tie with each other, and a resample takes all copies of a detection in one step.
    for name in ("AR2", "AR300", "AR_tiny"):
        value = getattr(result, name, result.others.get(name))
        assert values[name, None][0] == pytest.approx(value, abs=1e-12, nan_ok=True)


def test_names_of_numbers():
    result = coco_ap(
        *load(THREE, HITS),
        iou_thresholds=[0.3, 0.625],
        max_detections=[10, 300],
        area_ranges={"tiny": (0, 3000)},
    )
    assert list(result.others) == ["AP30", "AP62.5", "AP_tiny", "AR300", "AR_tiny"]
    assert pytest.approx(1) == result.AR10
    assert result.undefined == {
        "AP50": "0.5 is not among `iou_thresholds`",
        "AP75": "0.75 is not among `iou_thresholds`",
        "APs": "'small' is not among `area_ranges`",
        "APm": "'medium' is not among `area_ranges`",
        "APl": "'large' is not among `area_ranges`",
        "AR1": "1 is not among `max_detections`",
        "AR100": "100 is not among `max_detections`",
        "ARs": "'small' is not among `area_ranges`",
        "ARm": "'medium' is not among `area_ranges`",
        "ARl": "'large' is not among `area_ranges`",
    }
    assert result.to_dict()["settings"]["max_detections"] == [10, 300]
    assert list(coco_ap(*load(THREE, HITS)).others) == [
        *(f"AP{t}" for t in (55, 60, 65, 70, 80, 85, 90, 95)),
    ]


def test_undefined_in_a_range_without_truth():
    result = coco_ap(*load(THREE, HITS), area_ranges={"huge": (1e6, float("inf"))})
    assert result.undefined["AP_huge"] == result.undefined["AR_huge"] == "no huge truth"


def test_classes_taken_as_one():
    content = split([box(1, [0, 0, 10, 10], 1), box(2, [50, 0, 10, 10], 2)], categories=(1, 2))
    rows = [hit([0, 0, 10, 10], 0.9, 2), hit([50, 0, 10, 10], 0.8, 1)]
    assert coco_ap(*load(content, rows)).AP == 0
    result = coco_ap(*load(content, rows), class_agnostic=True)
    assert pytest.approx(1) == result.AP
    assert result.per_class == {}
    (ap, f1) = bootstrap(*load(content, rows), metrics=["AP", "f1"], class_agnostic=True, n_replicates=0)
    assert (ap.baseline, f1.baseline) == (pytest.approx(1), 1)


def test_metrics_that_the_settings_define():
    truth, found = load(THREE, HITS)
    table = evaluate_variants(
        truth, {"whole": found}, metrics=["AP30", "AR2"], iou_thresholds=[0.3], max_detections=2
    )
    assert [(row.metric, row.value) for row in table] == [
        ("AP30", pytest.approx(67 / 101)),
        ("AR2", pytest.approx(2 / 3)),
    ]
    names = [
        row.metric
        for row in bootstrap(truth, found, iou_thresholds=[0.3], class_agnostic=True, n_replicates=0)
    ]
    assert names == ["AP", "f1", "matched_giou"]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"iou_thresholds": []}, r"`iou_thresholds` must be one or more numbers in \(0, 1\], got \[\]"),
        ({"iou_thresholds": [0.5, 0]}, r"`iou_thresholds` must be one or more numbers in \(0, 1\]"),
        ({"iou_thresholds": 50}, r"`iou_thresholds` must be .* got 50"),
        ({"iou_thresholds": [math.nan]}, "`iou_thresholds` must be"),
        ({"iou_thresholds": "0.5"}, "`iou_thresholds` must be"),
        ({"iou_thresholds": [[0.5]]}, "`iou_thresholds` must be"),
        ({"iou_thresholds": [0.5, 0.5]}, "`iou_thresholds` must all differ"),
        ({"max_detections": 0}, r"`max_detections` must be one or more whole numbers from 1, got 0"),
        ({"max_detections": [1.5]}, "`max_detections` must be one or more whole numbers"),
        ({"max_detections": [True]}, "`max_detections` must be one or more whole numbers"),
        ({"max_detections": [10, 10]}, "`max_detections` must all differ"),
        ({"max_detections": math.inf}, "`max_detections` must be one or more whole numbers"),
        ({"area_ranges": [[0, 1024]]}, r"`area_ranges` must map names to \(low, high\)"),
        ({"area_ranges": {"tiny": 5}}, r"`area_ranges` must map names to .* got 'tiny': 5"),
        ({"area_ranges": {"tiny": (5, 1)}}, "`area_ranges` must have 0 <= low <= high"),
        ({"area_ranges": {"tiny": (math.nan, 1)}}, "`area_ranges` must have 0 <= low <= high"),
        ({"area_ranges": {1: (0, 1)}}, "`area_ranges` must map names"),
        ({"class_agnostic": "yes"}, "`class_agnostic` must be True or False, got 'yes'"),
    ],
)
@pytest.mark.parametrize("function", [coco_ap, precision_recall_curve, bootstrap])
def test_bad_settings(function, settings, match):
    with pytest.raises(SettingError, match=match):
        function(*load(THREE, HITS), **settings)


@pytest.mark.parametrize(
    ("function", "settings", "match"),
    [
        (
            bootstrap,
            {"metrics": ["AP50"], "iou_thresholds": [0.3]},
            "`metrics` must be defined by .* got 'AP50'",
        ),
        (bootstrap, {"metrics": ["matched_f1"], "class_agnostic": True}, "'matched_f1' needs classes"),
        (bootstrap, {"per_class": True, "class_agnostic": True}, "`per_class` needs classes"),
        (bootstrap, {"metrics": ["AP_tiny"]}, "`metrics` must be some of"),
        (
            precision_recall_curve,
            {"category_id": 1, "class_agnostic": True},
            "`category_id` must be left out",
        ),
        (precision_recall_curve, {"area": "tiny"}, "`area` must be one of 'all', 'small'"),
        (precision_recall_curve, {"area_ranges": {"a": (0, 1), "b": (0, 2)}}, "`area` must name the range"),
    ],
)
def test_settings_that_do_not_fit_together(function, settings, match):
    with pytest.raises(SettingError, match=match):
        function(*load(THREE, HITS), **settings)
