"""Measure variants against their baseline one by one, in any process, and put them into one table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data import Detections, GroundTruth
from ._compared import compared, stacked
from ._further import Further
from ._intervals import Correction, adjust_p_values
from ._metrics import Key, MetricSettings
from ._resampled import Resampled, Resampling, ordered, resampled
from ._variant_table import VariantRow, VariantTable

__all__ = ["Beside", "Measured", "variant_table"]


class Measured(NamedTuple):
    """Numbers of one variant.

    Attributes
    ----------
    keys : tuple
        Metric and category of each of K numbers.
    columns : tuple of ndarray, each of shape (K,)
        As the fields of `VariantRow` from `value` to `bias`.
    p_value : ndarray of float64, shape (K,)
    n_undefined : ndarray of int64, shape (K,)
    n_detections : int
    replicates : ndarray of float64, shape (L, R), or None
        The L numbers over all categories, in the order of `keys`, on each of R resamples, if they are asked for.
    halves : ndarray of float64, shape (L, H), or None
        The same on halves of the images.
    n_images : int
    """

    keys: tuple[Key, ...]
    columns: tuple[NDArray[Any], ...]
    p_value: NDArray[np.float64]
    n_undefined: NDArray[np.int64]
    n_detections: int
    replicates: NDArray[np.float64] | None = None
    halves: NDArray[np.float64] | None = None
    n_images: int = 0

    @property
    def value_bias(self) -> NDArray[np.float64]:
        """How far each value lies too high because of the number of images."""
        found: NDArray[np.float64] = self.columns[-2]
        return found


class Beside:
    """Measures variants against a baseline, which is measured once.

    Parameters
    ----------
    truth : GroundTruth
    baseline : Detections
    settings : MetricSettings
    how : Resampling
    """

    def __init__(
        self, truth: GroundTruth, baseline: Detections, settings: MetricSettings, how: Resampling
    ) -> None:
        self._truth, self._settings, self._how = truth, settings, how
        self._n_baseline = baseline.n_boxes
        self._whole = resampled(truth, baseline, settings, how)
        more = how.n_for_p > how.n_replicates > 0 and bool(self._whole.replicates)
        self._further = Further(truth, baseline, settings, how) if more else None
        self.keys = tuple(ordered(self._whole.whole, settings))

    def of_baseline(self, *, keep: bool = False) -> Measured:
        """Return the baseline's own numbers: all differences are 0, and there are no p-values."""
        measured = self._measured(self._whole, self._n_baseline, keep=keep)
        return measured._replace(p_value=np.full(len(self.keys), np.nan))

    def of(self, detections: Detections, *, keep: bool = False, tested: bool = True) -> Measured:
        """Measure a variant; `keep` keeps its numbers on each resample, and without `tested` p-values stay coarse."""
        found = resampled(self._truth, detections, self._settings, self._how)
        measured = self._measured(found, detections.n_boxes, keep=keep)
        if self._further is None or not tested:
            return measured
        change = stacked(self.keys, self._whole, found, "replicates")
        p = self._further.p_values(self.keys, detections, measured.columns[2], change, measured.p_value)
        return measured._replace(p_value=p)

    def _measured(self, found: Resampled, n_detections: int, *, keep: bool) -> Measured:
        own = compared(self.keys, found, None, self._how)
        change = compared(self.keys, self._whole, found, self._how)
        ends = (own.low, own.high, change.low, change.high)
        values = (own.estimate, change.baseline, change.estimate, *ends, own.bias, change.bias)
        measured = Measured(
            self.keys, values, change.p_value, change.n_undefined, n_detections, n_images=found.n_images
        )
        if not keep:
            return measured
        over_all = [key for key in self.keys if key[1] is None]
        replicates, halves = (
            np.stack([numbers[key] for key in over_all]) if numbers else None
            for numbers in (found.replicates, found.halves)
        )
        return measured._replace(replicates=replicates, halves=halves)


def variant_table(
    truth: GroundTruth,
    measured: Mapping[str, Measured],
    baseline: str,
    settings: MetricSettings,
    how: Resampling,
    correction: Correction,
    controls: Collection[str] = (),
) -> VariantTable:
    """Return the table of all variants, with p-values corrected for the number of variants that are not controls."""
    keys = measured[baseline].keys
    p = np.stack([one.p_value for one in measured.values()])
    p[[name in controls for name in measured]] = (
        np.nan
    )  # controls are no tests, and do not count in the correction
    adjusted = _adjusted(p, keys, correction)
    labels = [None if category is None else truth.category_names[category] for _, category in keys]
    rows: list[VariantRow] = []
    for (variant, one), corrected in zip(measured.items(), adjusted, strict=True):
        sizes = (np.full(len(keys), n) for n in (truth.n_images, one.n_detections))
        columns = (*one.columns, one.p_value, corrected, one.n_undefined, *sizes)
        # Built by position: a study has so many rows that keywords would cost noticeable time.
        for (metric, category), label, *numbers in zip(
            keys, labels, *(column.tolist() for column in columns), strict=True
        ):
            rows.append(VariantRow(variant, metric, category, label, *numbers))
    used = {**asdict(settings), **asdict(how), "baseline": baseline, "correction": correction}
    return VariantTable(tuple(rows), used)


def _adjusted(p: NDArray[np.float64], keys: Sequence[Key], correction: Correction) -> NDArray[np.float64]:
    """Correct the p-values (V, K) within each family: one metric, over all categories or per category."""
    families: dict[tuple[str, bool], list[int]] = {}
    for k, (metric, category) in enumerate(keys):
        families.setdefault((metric, category is None), []).append(k)
    out: NDArray[np.float64] = p.copy()
    for members in families.values():
        given = p[:, members]
        out[:, members] = adjust_p_values(given, correction).reshape(given.shape)
    return out
