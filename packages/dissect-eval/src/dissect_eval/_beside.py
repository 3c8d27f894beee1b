"""Variants beside their baseline: measured one by one, wherever that is done, and put into one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._compared import compared
from ._detections import Detections
from ._intervals import Correction, adjust_p_values
from ._resampled import Resampling, ordered, resampled
from ._statistics import Key, Settings
from ._truth import GroundTruth
from ._variant_table import VariantRow, VariantTable

__all__ = ["Beside", "Measured", "variant_table"]


class Measured(NamedTuple):
    """Numbers of one variant.

    Attributes
    ----------
    keys : tuple
        Metric and category of each of K numbers.
    columns : tuple of ndarray, each of shape (K,)
        As the fields of `VariantRow` from `value` to `high`.
    p_value : ndarray of float64, shape (K,)
    n_undefined : ndarray of int64, shape (K,)
    n_detections : int
    """

    keys: tuple[Key, ...]
    columns: tuple[NDArray[Any], ...]
    p_value: NDArray[np.float64]
    n_undefined: NDArray[np.int64]
    n_detections: int


class Beside:
    """Measures variants beside a baseline, which is measured once.

    Parameters
    ----------
    truth : GroundTruth
    baseline : Detections
    settings : Settings
    how : Resampling
    """

    def __init__(self, truth: GroundTruth, baseline: Detections, settings: Settings, how: Resampling) -> None:
        self._truth, self._settings, self._how = truth, settings, how
        self._n_baseline = baseline.n_boxes
        self._whole = resampled(truth, baseline, settings, how)
        self.keys = tuple(ordered(self._whole.whole, settings))

    def of_baseline(self) -> Measured:
        """The baseline's own numbers: it differs from itself in nothing, and has no p-value."""
        measured = self._measured(self._whole, self._n_baseline)
        return measured._replace(p_value=np.full(len(self.keys), np.nan))

    def of(self, detections: Detections) -> Measured:
        """Numbers of a variant."""
        found = resampled(self._truth, detections, self._settings, self._how)
        return self._measured(found, detections.n_boxes)

    def _measured(self, found: Any, n_detections: int) -> Measured:
        own = compared(self.keys, found, None, self._how)
        change = compared(self.keys, self._whole, found, self._how)
        values = (own.estimate, change.baseline, change.estimate, own.low, own.high, change.low, change.high)
        return Measured(self.keys, values, change.p_value, change.n_undefined, n_detections)


def variant_table(
    truth: GroundTruth,
    measured: Mapping[str, Measured],
    baseline: str,
    settings: Settings,
    how: Resampling,
    correction: Correction,
) -> VariantTable:
    """The table of all variants, by name, with p-values corrected for their number."""
    keys = measured[baseline].keys
    adjusted = _adjusted(np.stack([one.p_value for one in measured.values()]), keys, correction)
    labels = [None if category is None else truth.category_names[category] for _, category in keys]
    rows: list[VariantRow] = []
    for (variant, one), corrected in zip(measured.items(), adjusted, strict=True):
        sizes = (np.full(len(keys), n) for n in (truth.n_images, one.n_detections))
        columns = (*one.columns, one.p_value, corrected, one.n_undefined, *sizes)
        # By position: a study has so many rows that names would show in its time.
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
