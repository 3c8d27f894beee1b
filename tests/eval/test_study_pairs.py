"""What pairs cost beyond the sum of their singles: by hand, in simulation, and from a study's folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("pyarrow")

import studies
from dissect_core.spec import load_spec
from dissect_core.store import ImageRef, Study
from dissect_eval import Detections, GroundTruth, coco_ap
from dissect_eval.statistics._beside import Beside
from dissect_eval.statistics._intervals import half_weights, image_weights
from dissect_eval.statistics._metrics import MetricSettings
from dissect_eval.study import Settings, StudyDetections, StudyTables, in_processes, measure, truth_file
from dissect_eval.study.measuring._interactions import Interactions
from toy_split import write_split

PAIRS = {"name": "pairs", "target": {"unit": "channel", "components": "features"}, "select": {"by": "pairs"}}


def truth_of(n: int) -> GroundTruth:
    return GroundTruth.from_coco(
        {
            "images": [{"id": i} for i in range(n)],
            "categories": [{"id": 1, "name": "cat"}],
            "annotations": [
                {"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 10, 10]} for i in range(n)
            ],
        }
    )


def boxes(heights: Any) -> Detections:
    """A box an image: its matched GIoU is its height over ten."""
    return Detections.from_arrays([([[0, 0, 10, h]], [0.9], [0]) for h in heights], range(len(heights)), [1])


def beyond(
    whole: Any, first: Any, second: Any, both: Any, seed: int = 0, n_replicates: int = 400
) -> dict[str, Any]:
    """The row of one pair, from the heights of what four variants detect."""
    settings = Settings(metrics=("matched_giou",), n_replicates=n_replicates, seed=seed)
    truth, statistics = truth_of(len(whole)), MetricSettings(("matched_giou",))
    gathered = Interactions({"both": ("first", "second")}, "whole", settings)
    beside = Beside(truth, boxes(whole), statistics, settings.resampling)
    given = {"first": first, "both": both, "second": second}
    for name, heights in given.items():
        assert gathered.add(name, beside.of(boxes(heights), keep=True)).replicates is None
    gathered.add("whole", beside.of_baseline(keep=True))
    (row,) = gathered.rows()
    return row


def test_by_hand() -> None:
    row = beyond([9, 8, 9, 10], [8, 8, 7, 9], [9, 6, 9, 9], [5, 4, 7, 8], n_replicates=100)
    names = ("variant", "first", "second")
    assert [row[name] for name in names] == ["both", "first", "second"]
    # Means of .9, .8, .825 and .6: .3 are lost together, .1 and .075 alone.
    assert row["matched_giou_loss"] == pytest.approx(0.3)
    assert row["matched_giou_loss_first"] == pytest.approx(0.1)
    assert row["matched_giou_loss_second"] == pytest.approx(0.075)
    assert row["matched_giou_beyond"] == pytest.approx(0.3 - 0.1 - 0.075)
    # Of each image .3, .2, 0 and 0; of each resample, and of each half, their weighted mean.
    each = np.array([0.3, 0.2, 0.0, 0.0])
    (weights,), (halves,) = image_weights(4, 100, 0), half_weights(4, 0)
    error = (each @ weights / 4).std(ddof=1)
    of_halves = each @ halves / 2
    reach = stats.t.ppf(0.975, 3) * max(error, of_halves.std(ddof=1)) * (4 / 3) ** 0.5
    bias = of_halves.mean() - 0.125
    expected = (0.125 - reach - 2 * max(bias, 0), 0.125 + reach + 2 * max(-bias, 0))
    assert (row["matched_giou_beyond_low"], row["matched_giou_beyond_high"]) == pytest.approx(expected)


def test_the_interval_holds_a_known_interaction_as_often_as_it_says() -> None:
    """Heads that stand in for each other: .05 and .05 alone, .3 together; and heads that do not."""
    rng = np.random.default_rng(0)
    n, n_studies = 40, 100
    held = above = none = 0
    for study in range(n_studies):
        whole = rng.normal(8.5, 0.5, n)
        first, second = whole - rng.normal(0.5, 0.5, n), whole - rng.normal(0.5, 0.5, n)
        backed_up = whole - rng.normal(3.0, 1.0, n)
        row = beyond(whole, first, second, backed_up, study)
        held += row["matched_giou_beyond_low"] <= 0.2 <= row["matched_giou_beyond_high"]
        above += row["matched_giou_beyond_low"] > 0
        apart = first + second - whole + rng.normal(0, 0.5, n)  # losses add up
        row = beyond(whole, first, second, apart, study)
        none += row["matched_giou_beyond_low"] <= 0 <= row["matched_giou_beyond_high"]
    # Binomial with p = .95 and 100 studies: standard deviation 2.2.
    assert held >= 87, held
    assert none >= 87, none
    assert above == n_studies, "an interaction of ten standard errors is always found"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("pairs")
    split = write_split(root, 8)
    spec = load_spec({**studies.SPEC, "ablations": [PAIRS, studies.SPEC["ablations"][0]]})
    return studies.run_toy(
        split.paths,
        root / "out",
        spec=spec,
        refs=[ImageRef(path.name, 7 * i) for i, path in enumerate(split.paths)],
        files={"truth.json": truth_file(split.annotations, GroundTruth.from_coco(split.annotations))},
    )


def test_every_pair_of_a_study_has_its_row(study: Study, tmp_path: Path) -> None:
    results = measure(study, settings=Settings(n_replicates=50))
    rows = results.interactions
    assert [row["variant"] for row in rows] == [one for one in study.variants if "/pairs/" in one]
    assert len(rows) == 15
    found = StudyDetections(study)
    ap = {one: coco_ap(found.truth, found.of(one)[0], backend="pycocotools").AP for one in study.variants}
    for row in rows:
        units = row["variant"].rpartition("/")[2].split("+")
        assert [row[which].rpartition("/")[2] for which in ("first", "second")] == units
        expected = ap[row["first"]] + ap[row["second"]] - ap[row["variant"]] - ap["baseline"]
        assert row["AP_beyond"] == pytest.approx(expected, abs=1e-9)
        assert row["AP_loss"] == pytest.approx(ap["baseline"] - ap[row["variant"]], abs=1e-9)
        assert row["AP_beyond_low"] <= row["AP_beyond_high"]
    assert any(abs(row["AP_beyond"]) > 0.01 for row in rows)
    # From the folder, and from several processes, the same.
    files = StudyTables.of(results).files()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert repr(StudyTables.read(tmp_path).interactions) == repr(rows), "with NaN where a metric is undefined"
    told = json.loads(files["summary.json"])["interactions"]
    assert [row["AP_beyond"] for row in told] == [row["AP_beyond"] for row in rows]
    assert files["interactions.csv"].decode().startswith('"variant","first","second","AP_loss"')
    again = measure(study, settings=Settings(n_replicates=50), spread=in_processes(2))
    assert StudyTables.of(again).files() == files


def test_without_resamples_there_is_no_interval(study: Study) -> None:
    rows = measure(study, settings=Settings(n_replicates=0)).interactions
    assert all(np.isfinite(row["AP_beyond"]) and np.isnan(row["AP_beyond_low"]) for row in rows)


def test_studies_without_pairs_have_no_table(tmp_path: Path) -> None:
    split = write_split(tmp_path, 2)
    truth = GroundTruth.from_coco(split.annotations)
    refs = [ImageRef(path.name, 7 * i) for i, path in enumerate(split.paths)]
    plain = studies.run_toy(split.paths, tmp_path / "out", refs=refs)
    results = measure(plain, truth, Settings(n_replicates=0))
    assert results.interactions == []
    assert not [name for name in StudyTables.of(results).files() if "interactions" in name]


@pytest.mark.parametrize("n_replicates", [None, 50])
def test_a_single_image_has_no_interval_and_no_p_value(study: Study, n_replicates: int | None) -> None:
    """All its resamples are the same: an interval of no width would pass for certainty."""
    image = study.images[0].image_id
    results = measure(study, settings=Settings(n_replicates=n_replicates), images=[image])
    for row in results.table:
        assert np.isnan([row.low, row.high, row.value_low, row.value_high, row.p_value]).all()
    assert all(np.isnan(row["AP_beyond_low"]) for row in results.interactions)
    assert "no intervals and no p-values" in " ".join(results.notes)
    assert results.class_notes == ()


def test_that_a_study_is_not_complete_is_said(study: Study) -> None:
    results = measure(study, settings=Settings(n_replicates=0))
    assert not any("complete" in note for note in results.notes)
    part = replace(results, batches=(3, 4))
    assert part.notes[0].startswith("the study is not complete: 3 of 4 batches")
