"""A detector that is not deterministic: its own noise is the floor of every claim."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

from dissect_eval.statistics._variant_table import VariantRow, VariantTable
from dissect_eval.study.measuring._noise import above_noise, noise_note, noise_of

KINDS = {"baseline": "baseline", "again/1": "again", "again/2": "again", "a": "ablation", "b": "ablation"}


def row(
    variant: str, value: float, baseline: float = 0.5, p: float = 0.001, category: int | None = None
) -> VariantRow:
    given = dict.fromkeys((field.name for field in fields(VariantRow)), math.nan)
    given |= {"variant": variant, "metric": "AP", "category_id": category, "category": None, "value": value}
    return VariantRow(**{**given, "baseline": baseline, "difference": value - baseline, "p_adjusted": p})  # type: ignore[arg-type]


def table(*rows: VariantRow) -> VariantTable:
    return VariantTable(rows, {})


def test_the_floor_is_the_range_of_passes_with_nothing_removed() -> None:
    found = table(
        row("baseline", 0.5),
        row("again/1", 0.52),
        row("again/2", 0.49),
        row("a", 0.1),
        row("a", 0.2, category=3),
    )
    assert noise_of(found, KINDS) == {("AP", None): pytest.approx(0.03)}
    assert noise_of(found, {**KINDS, "again/1": "ablation", "again/2": "ablation"}) == {}


def test_claims_within_it_are_none() -> None:
    found = table(row("baseline", 0.5), row("a", 0.48), row("b", 0.46), row("again/1", 0.52, p=math.nan))
    judged = above_noise(found, {("AP", None): 0.03})
    assert [one.p_adjusted for one in judged][:3] == [1.0, 1.0, 0.001]
    assert math.isnan(judged[3].p_adjusted)
    assert [one.difference for one in judged] == [one.difference for one in found]
    assert above_noise(found, {}) is found


def test_no_claim_rises_above_an_unknown_floor() -> None:
    found = table(row("baseline", math.nan), row("again/1", 0.5), row("a", 0.1))
    noise = noise_of(found, KINDS)
    assert math.isnan(noise["AP", None])
    assert above_noise(found, noise)[2].p_adjusted == 1.0


def test_it_is_said() -> None:
    rows = [{"kind": kind} for kind in KINDS.values()]
    (note,) = noise_note({("AP", None): 0.0314}, rows, "AP")
    assert "its AP differs by up to 0.031 between 3 passes with nothing removed" in note
    assert noise_note({}, rows, "AP") == ()


def test_two_further_passes_seldom_differ_by_more() -> None:
    """In simulation: the range of eleven normal numbers, and the difference of two others."""
    rng = np.random.default_rng(0)
    passes, pair = rng.normal(size=(20_000, 11)), rng.normal(size=(20_000, 2))
    beyond = np.abs(pair[:, 0] - pair[:, 1]) > np.ptp(passes, axis=1)
    assert 0.03 < beyond.mean() < 0.055
