"""P-values of many variants: which are of the family, how finely they are drawn, how often nothing is found."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dissect_eval import Detections, GroundTruth, SettingError, adjust_p_values, evaluate_variants
from dissect_eval.statistics._beside import Beside
from dissect_eval.statistics._compared import stacked
from dissect_eval.statistics._intervals import (
    as_far,
    image_weights,
    least_p_value,
    p_values,
    replicates_needed,
    with_t_tails,
)
from dissect_eval.statistics._metrics import MetricSettings
from dissect_eval.statistics._resampled import Resampling, measured_on, resampled
from dissect_eval.statistics._statistics import statistics_of
from dissect_eval.study import Settings
from dissect_eval.study.measuring._notes import class_notes, significance_notes

BOX = np.array([0.0, 0, 10, 10])


def one_object_an_image(n: int) -> GroundTruth:
    return GroundTruth.from_coco(
        {
            "images": [{"id": i} for i in range(n)],
            "categories": [{"id": 1, "name": "cat"}],
            "annotations": [
                {"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 10, 10]} for i in range(n)
            ],
        }
    )


def boxes_of_height(heights: Any) -> Detections:
    """A box an image: its matched GIoU is its height over ten."""
    images = [([[0, 0, 10, h]], [0.9], [0]) for h in heights]
    return Detections.from_arrays(images, range(len(images)), [1])


@pytest.mark.parametrize("correction", ["holm", "bh"])
def test_controls_are_no_part_of_the_family(correction: Any) -> None:
    rng = np.random.default_rng(0)
    n = 40
    truth = one_object_an_image(n)
    found = {"whole": boxes_of_height(np.full(n, 8.0))}
    for i in range(4):
        found[f"v{i}"] = boxes_of_height(8 + rng.normal(-0.1 * i, 0.5, n))
        found[f"v{i}/control"] = boxes_of_height(8 + rng.normal(0, 0.5, n))
    ask = {"metrics": ["matched_giou"], "n_replicates": 400, "correction": correction}
    table = evaluate_variants(truth, found, controls=[name for name in found if "control" in name], **ask)
    rows = {row.variant: row for row in table}
    own = [f"v{i}" for i in range(4)]
    expected = adjust_p_values([rows[name].p_value for name in own], correction)
    assert [rows[name].p_adjusted for name in own] == expected.tolist()
    assert all(math.isnan(rows[f"{name}/control"].p_adjusted) for name in own)
    assert all(math.isfinite(rows[f"{name}/control"].p_value) for name in own)
    alone = evaluate_variants(truth, {name: found[name] for name in ("whole", *own)}, **ask)
    assert [row.p_adjusted for row in alone] == pytest.approx(
        [rows[row.variant].p_adjusted for row in alone], nan_ok=True
    )


@pytest.mark.parametrize("controls", [["v9"], ["whole"]])
def test_controls_must_be_variants(controls: list[str]) -> None:
    truth = one_object_an_image(2)
    found = {"whole": boxes_of_height([8.0, 8]), "v0": boxes_of_height([7.0, 8])}
    with pytest.raises(
        SettingError, match=f"`controls` must be variants other than the baseline, got {controls[0]}"
    ):
        evaluate_variants(truth, found, controls=controls)


@pytest.mark.parametrize("n_images", [2, 5, 24, 1000])
def test_t_tails_are_those_of_the_expanded_percentile_interval(n_images: int) -> None:
    """Hesterberg 2015, section 5.2: tails at the normal distribution's value of sqrt(n / (n - 1)) t."""
    for level in (0.2, 0.05, 0.001):
        t = stats.t(n_images - 1).ppf(1 - level / 2)
        share = 2 * stats.norm.sf(math.sqrt(n_images / (n_images - 1)) * t)
        if share > 1e-200:
            assert float(with_t_tails(share, n_images)) == pytest.approx(level, rel=1e-6)
    assert np.isnan(with_t_tails([0.5], 1)).all(), "one image says nothing of others"


@pytest.mark.parametrize(
    ("n_tests", "n_images"), [(1, 24), (35, 48), (100, 500), (300, 5000), (1000, 118_000)]
)
def test_so_many_resamples_are_needed_and_no_fewer(n_tests: int, n_images: int) -> None:
    needed = int(replicates_needed(n_tests, n_images))
    assert least_p_value(needed, n_images, n_tests) < 0.05 <= least_p_value(needed - 2, n_images, n_tests)
    assert replicates_needed(1, 1) == math.inf


def test_a_clear_loss_is_found_among_a_hundred_variants_unless_too_few_resamples_are_asked_for() -> None:
    """The defaults of studies, on 200 images."""
    rng = np.random.default_rng(1)
    n, m = 200, 100
    truth = one_object_an_image(n)
    whole = boxes_of_height(np.full(n, 8.0))
    statistics = MetricSettings(("matched_giou",))
    for settings, found in ((Settings(), True), (Settings(n_replicates=1000), False)):
        how = settings.of_study(m, n)
        beside = Beside(truth, whole, statistics, how.resampling)
        p = np.full(m, 1.0)
        p[0] = beside.of(boxes_of_height(8 - rng.gamma(1, 1, n))).p_value[0]
        p[1] = beside.of(boxes_of_height(8 - rng.normal(0.25, 1, n))).p_value[0]
        assert bool(adjust_p_values(p)[0] < 0.05) == found
        assert bool(significance_notes(how, m, n)) != found
    (note,) = significance_notes(how, m, n)
    assert note == (
        "no loss can be significant here: corrected for 100 variants, no p-value can fall below 0.12 with 1,000 "
        f"resamples of 200 images; `--replicates {replicates_needed(m, n)}` (`n_replicates`) would do."
    )
    assert not significance_notes(Settings(n_replicates=int(replicates_needed(m, n))).of_study(m, n), m, n)
    (note,) = significance_notes(Settings().of_study(m, 8), m, 8)
    assert note.endswith("; that takes more images or fewer variants.")
    assert not significance_notes(Settings(n_replicates=0).of_study(m, n), m, n), "none were asked for"
    (note,) = class_notes(how, 600, n)
    assert "single classes are corrected for 600 tests of a metric" in note


def test_further_resamples_give_the_p_value_of_all_of_them() -> None:
    """Small p-values: as if all resamples had been drawn at once; others stay what they were."""
    rng = np.random.default_rng(2)
    n, how = 60, Resampling(200, seed=3, n_for_p=2000)
    truth = one_object_an_image(n)
    whole = boxes_of_height(np.full(n, 8.0))
    statistics = MetricSettings(("matched_giou", "recall"))
    beside = Beside(truth, whole, statistics, how)
    seen = set()
    for effect in (0.0, 0.35, 0.45, 3.0):
        found = boxes_of_height((8 - rng.normal(effect, 1, n)).clip(1, 10))
        measured = beside.of(found)
        first = resampled(truth, found, statistics, how)
        base = resampled(truth, whole, statistics, how)
        drawn = stacked(measured.keys, base, first, "replicates")
        blocks = list(image_weights(n, 1800, 3, 1))
        more = [measured_on(statistics_of(truth, one, statistics), blocks) for one in (whole, found)]
        for k, key in enumerate(measured.keys):
            difference = measured.columns[2][k : k + 1]
            coarse = p_values(difference, drawn[k : k + 1], n)[0]
            every = np.concatenate([drawn[k], more[1][key] - more[0][key]])[None]
            fine = p_values(difference, every, n)[0]
            if coarse >= 0.05:
                assert measured.p_value[k] == coarse
                seen.add("coarse")
            elif as_far(difference, every).sum() < 50:
                assert measured.p_value[k] == fine
                seen.add("fine")
    assert seen == {"coarse", "fine"}


def test_what_is_far_beyond_all_replicates_is_not_drawn_for(monkeypatch: pytest.MonkeyPatch) -> None:
    n = 50
    truth, whole = one_object_an_image(n), boxes_of_height(np.full(n, 8.0))
    beside = Beside(truth, whole, MetricSettings(("matched_giou",)), Resampling(1000, n_for_p=20_000))
    monkeypatch.setattr("dissect_eval.statistics._further.image_weights", lambda *_: pytest.fail("drawn"))
    lost = boxes_of_height(8 - np.random.default_rng(0).gamma(4, 1, n).clip(0, 7))
    assert beside.of(lost).p_value[0] == pytest.approx(float(with_t_tails(1 / 20_001, n)))


@pytest.mark.parametrize(("n_images", "n_variants"), [(20, 10), (60, 40)])
def test_nothing_is_found_in_one_study_of_twenty_where_there_is_nothing(
    n_images: int, n_variants: int
) -> None:
    """Studies of variants that differ from the baseline by chance alone: the share with any corrected p below 0.05."""
    rng = np.random.default_rng(3)
    n_studies = 300
    n_drawn = max(1000, int(replicates_needed(n_variants, n_images)))
    false = 0
    for _ in range(n_studies):
        own = rng.normal(size=(n_variants, n_images)) + rng.normal(
            size=n_images
        )  # paired: they share the images
        weights = rng.multinomial(n_images, np.full(n_images, 1 / n_images), size=n_drawn).T / n_images
        p = p_values(own.mean(axis=1), own @ weights, n_images)
        false += bool((adjust_p_values(p) < 0.05).any())
    # Binomial with p = .05 and 300 studies: 15, standard deviation 3.8.
    assert false <= 15 + 3 * 3.8, false / n_studies


def test_far_too_many_are_found_without_t_tails() -> None:
    """That the simulation can fail: on 20 images resamples alone find something in many studies of nothing."""
    rng = np.random.default_rng(4)
    false = 0
    for _ in range(100):
        own = rng.normal(size=(40, 20))
        weights = rng.multinomial(20, np.full(20, 1 / 20), size=4000).T / 20
        false += bool((adjust_p_values(p_values(own.mean(axis=1), own @ weights)) < 0.05).any())
    assert false > 12
