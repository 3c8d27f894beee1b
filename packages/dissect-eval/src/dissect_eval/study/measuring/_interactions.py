"""Interactions: what a pair of units costs beyond the sum of both alone, which shows if one stands in for the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...statistics import Floats, Measured, standard_errors, t_intervals
from ..stored import StoredStudy
from ._settings import Settings

__all__ = ["Interactions", "singles_of_pairs"]


def singles_of_pairs(study: StoredStudy) -> dict[str, tuple[str, str]]:
    """Return for the id of each pair the ids of the two variants that remove one of its units; {} for older studies."""
    if "singles" not in study.plan.column_names:
        return {}
    columns = (study.plan.column(name).to_pylist() for name in ("id", "singles"))
    return {pair: (singles[0], singles[1]) for pair, singles in zip(*columns, strict=True) if singles}


class Interactions:
    """Collects the numbers of pairs and their singles on the same resamples; drops a pair's once its row is made.

    Parameters
    ----------
    pairs : mapping of str to (str, str)
        See `singles_of_pairs`.
    baseline : str
    settings : Settings
    """

    def __init__(self, pairs: Mapping[str, tuple[str, str]], baseline: str, settings: Settings) -> None:
        self._pairs, self._baseline, self._settings = pairs, baseline, settings
        self._measured: dict[str, Measured] = {}
        self._rows: dict[str, dict[str, Any]] = {}

    @property
    def kept(self) -> set[str]:
        """Variants whose numbers on each resample are needed."""
        alone = {single for singles in self._pairs.values() for single in singles}
        return {self._baseline, *alone, *self._pairs} if self._pairs else set()

    def in_order(self, variants: Sequence[str]) -> list[str]:
        """Return the variants with pairs last, so that few pairs wait for their singles."""
        return sorted(variants, key=lambda one: one in self._pairs)

    def add(self, variant: str, measured: Measured) -> Measured:
        """Take the numbers of a variant; return them without those on each resample."""
        if variant in self.kept:
            self._measured[variant] = measured
            waiting = [pair for pair in self._pairs if pair in self._measured]
            for pair in waiting if variant not in self._pairs else [variant]:
                needed = (self._baseline, *self._pairs[pair])
                if all(one in self._measured for one in needed):
                    self._rows[pair] = self._row(
                        pair, self._measured.pop(pair), *(self._measured[o] for o in needed)
                    )
        return measured._replace(replicates=None, halves=None)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each pair: the loss of each metric without both units, without each alone, beyond the sum.

        `{metric}_loss`, `{metric}_loss_first` and `{metric}_loss_second` are the baseline's value less the variant's;
        `{metric}_beyond` is the first less the other two, with its paired interval in `{metric}_beyond_low` and
        `{metric}_beyond_high`: above 0 where both together cost more than they do one by one.
        """
        return [self._rows[pair] for pair in self._pairs if pair in self._rows]

    def _row(
        self, pair: str, both: Measured, whole: Measured, first: Measured, second: Measured
    ) -> dict[str, Any]:
        at = [k for k, (_, category) in enumerate(whole.keys) if category is None]
        value = {
            name: one.columns[0][at] for name, one in zip("wabp", (whole, first, second, both), strict=True)
        }
        beyond = _beyond(value["a"], value["b"], value["p"], value["w"])
        low, high = np.full((2, len(at)), np.nan)
        parts = (first, second, both, whole)
        resamples = [one.replicates for one in parts if one.replicates is not None]
        halves = [one.halves for one in parts if one.halves is not None]
        if len(resamples) == len(halves) == len(parts):
            errors, bias = (
                standard_errors(_beyond(*resamples)),
                _beyond(*(one.value_bias[at] for one in parts)),
            )
            confidence = self._settings.confidence
            low, high = t_intervals(beyond, errors, _beyond(*halves), bias, whole.n_images, confidence)
        row: dict[str, Any] = dict(
            zip(("variant", "first", "second"), (pair, *self._pairs[pair]), strict=True)
        )
        for k, (metric, _) in enumerate(whole.keys[i] for i in at):
            row |= {
                f"{metric}_loss": float(value["w"][k] - value["p"][k]),
                f"{metric}_loss_first": float(value["w"][k] - value["a"][k]),
                f"{metric}_loss_second": float(value["w"][k] - value["b"][k]),
                f"{metric}_beyond": float(beyond[k]),
                f"{metric}_beyond_low": float(low[k]),
                f"{metric}_beyond_high": float(high[k]),
            }
        return row


def _beyond(first: Floats, second: Floats, both: Floats, whole: Floats) -> Floats:
    """Return what a pair costs beyond the sum of its singles, from the values without each, both and none."""
    return first + second - both - whole
