"""COCO AP and AR of many resamples of the images, from one matching.

Between two true positives of a category lies a run of counted detections. Per run and image their number is
kept (a sparse matrix S); with image weights w, S·w summed from the best score down is TP + FP at each true
positive, for all resamples at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, ratio
from ..coco import RECALLS, MatchedSplit, Number, mean_of_defined, precision_of_known, recall_at
from ._metrics import Floats, MetricSettings, Statistic, Values, count_matrix

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["ap_statistic"]

RESAMPLES_AT_ONCE = 256
"""Columns of weights per block: keeps the arrays of one category in the processor's cache."""
VALUES_AT_ONCE = 1_000_000
"""Categories times columns per block: ten thresholds of each are kept."""

_NEXT_RECALLS = np.append(RECALLS[1:], np.inf)


def ap_statistic(split: MatchedSplit, n_images: int, settings: MetricSettings) -> Statistic:
    """Return the COCO numbers among the settings' metrics as a function of image weights."""
    categories = split.index.categories.tolist()
    numbers = [settings.coco.numbers[name] for name in settings.metrics if name in settings.coco.numbers]
    precision = [number for number in numbers if not number.is_recall]
    recall = [number for number in numbers if number.is_recall]
    per_class = categories if settings.per_class else []
    curves: dict[int, _Curves] = {}
    recalls: dict[str, _Recall] = {}

    def whole() -> Values:
        """Return the numbers of all images, added up in the order of pycocotools: equal to the last digit."""
        values: Values = {}
        for number in precision:
            name = number.name
            precisions, known = precision_of_known(split, number.area)
            precisions = precisions[number.thresholds]
            values[name, None] = np.array([mean_of_defined(precisions)])
            _add_classes(values, name, _of_each(precisions, known, len(categories)), per_class)
        for number in recall:
            name = number.name
            reached = recall_at(split, number.area, number.cut)
            values[name, None] = np.array([mean_of_defined(reached)])
            _add_classes(values, name, reached.mean(axis=0)[:, None], per_class)
        return values

    def block(weights: Floats) -> Values:
        per_area = {area: curve.average_precision(weights) for area, curve in curves.items()}
        values: Values = {}
        for number in precision:
            found = per_area[number.area][number.thresholds]
            _add(values, number.name, found.mean(axis=0), per_class)
        for name, statistic in recalls.items():
            _add(values, name, statistic(weights), per_class)
        return values

    def statistic(weights: Floats) -> Values:
        if (
            weights.shape[1] == 1 and (weights == 1).all()
        ):  # every image counts once: building the matrices would take longer
            return whole()
        if not curves and not recalls:
            areas = sorted({number.area for number in precision})
            curves.update({area: _Curves(split, n_images, area) for area in areas})
            recalls.update({number.name: _Recall(split, n_images, number) for number in recall})
        step = max(1, min(RESAMPLES_AT_ONCE, VALUES_AT_ONCE // max(1, len(categories))))
        starts = range(0, weights.shape[1], step)
        blocks = [block(np.ascontiguousarray(weights[:, i : i + step])) for i in starts]
        return {key: np.concatenate([values[key] for values in blocks]) for key in blocks[0]}

    return statistic


def _of_each(precisions: Floats, known: Ints, n_categories: int) -> Floats:
    """Return the mean precision of each category from that of the known ones, (T, 101, n); NaN for the others."""
    found = np.full((n_categories, 1), np.nan)
    # Each category's numbers side by side: they are added up in the same order, however many categories there are.
    rows = np.ascontiguousarray(np.moveaxis(precisions, 2, 0))
    found[known, 0] = rows.reshape(len(known), math.prod(rows.shape[1:])).mean(axis=1)
    return found


def _add(values: Values, name: str, per_class: Floats, categories: list[int]) -> None:
    """Add the mean over the categories that have truth in a resample, and the categories asked for."""
    defined = ~np.isnan(per_class)
    values[name, None] = ratio(np.where(defined, per_class, 0).sum(axis=0), defined.sum(axis=0))
    _add_classes(values, name, per_class, categories)


def _add_classes(values: Values, name: str, per_class: Floats, categories: list[int]) -> None:
    """Add the categories asked for: all, or none."""
    for category, row in zip(categories, per_class, strict=False):
        values[name, category] = row


class _Recall:
    """Average recall over the thresholds, per category."""

    def __init__(self, split: MatchedSplit, n_images: int, number: Number) -> None:
        area = number.area
        at, shape = split.matches.at, (len(split.index.categories), n_images)
        n_hits = split.matches.hit[:, area].sum(axis=0) * (split.ranking.place[at] < number.cut)
        self.truth = _truth_matrix(split, area, shape)
        self.hits = count_matrix(split.ranking.category[at], split.ranking.image[at], shape, n_hits)
        self.n_thresholds = len(split.matches.hit)

    def __call__(self, weights: Floats) -> Floats:
        """Return recall, shape (K, R)."""
        return ratio(self.hits @ weights, self.n_thresholds * (self.truth @ weights))


class _Part(NamedTuple):
    """The part of `_Curves` that belongs to one category."""

    category: int
    image: Ints
    counted: csr_array[Any]
    chosen: list[Ints]
    changes: list[csr_array[Any] | None]


class _Curves:
    """Precision–recall curves of one area range."""

    def __init__(self, split: MatchedSplit, n_images: int, area: int) -> None:
        ranking, matches = split.ranking, split.matches
        self.n_thresholds = len(matches.hit)
        n_categories = len(split.index.categories)
        self.truth = _truth_matrix(split, area, (n_categories, n_images))
        hit = matches.hit[:, area]
        corners = matches.at[hit.any(axis=0)]  # where any threshold has a true positive
        self.splits = np.searchsorted(ranking.category[corners], np.arange(n_categories + 1))
        self.image = ranking.image[corners]
        self.chosen = [np.searchsorted(corners, matches.at[row]) for row in hit]

        plain = ranking.in_range[area]
        self.counted = self._runs(ranking.image, ranking.category, corners, np.flatnonzero(plain), n_images)
        self.changes = []
        for t in range(self.n_thresholds):
            real = hit[t] | (plain[matches.at] & ~matches.excused[t, area])
            change = real.astype(np.float64) - plain[matches.at]
            differs = change != 0
            at = matches.at[differs]
            self.changes.append(
                self._runs(ranking.image, ranking.category, corners, at, n_images, change[differs])
            )

    def _runs(
        self,
        image: Ints,
        category: Ints,
        corners: Ints,
        at: Ints,
        n_images: int,
        values: NDArray[Any] | None = None,
    ) -> csr_array[Any]:
        """Count detections per image and per run that ends at a corner of their category."""
        run = np.searchsorted(corners, at)
        inside = (
            run < self.splits[category[at] + 1]
        )  # precision after the last true positive is never sampled
        shape = (len(corners), n_images)
        return count_matrix(run[inside], image[at[inside]], shape, None if values is None else values[inside])

    def average_precision(self, weights: Floats) -> Floats:
        """Return AP, shape (T, K, R); NaN for a category without truth in a resample."""
        n_truth = self.truth @ weights
        out = np.full((self.n_thresholds, *n_truth.shape), np.nan)
        out[:, n_truth > 0] = 0.0
        for part in self._parts:
            k, own = part.category, weights[part.image]
            runs = np.cumsum(part.counted @ weights, axis=0)
            for t, (here, change) in enumerate(zip(part.chosen, part.changes, strict=True)):
                if not len(here):
                    continue
                counted = runs[here]
                if change is not None:
                    counted += np.cumsum(change @ weights, axis=0)[here]
                average = _average(np.cumsum(own[here], axis=0), counted, n_truth[k])
                out[t, k] = np.where(n_truth[k] > 0, average, np.nan)
        return out

    @cached_property
    def _parts(self) -> list[_Part]:
        """Parts of the categories that have a true positive, sliced once for all resamples."""
        return [self._part(k, begin, end) for k, begin, end in self._categories()]

    def _part(self, k: int, begin: int, end: int) -> _Part:
        inside = [np.searchsorted(chosen, (begin, end)) for chosen in self.chosen]
        chosen = [one[a:b] - begin for one, (a, b) in zip(self.chosen, inside, strict=True)]
        changes = [change[begin:end] for change in self.changes]
        return _Part(
            k, self.image[begin:end], self.counted[begin:end], chosen, [c if c.nnz else None for c in changes]
        )

    def _categories(self) -> Iterator[tuple[int, int, int]]:
        for k in range(len(self.splits) - 1):
            if self.splits[k] < self.splits[k + 1]:
                yield k, int(self.splits[k]), int(self.splits[k + 1])


def _average(found: Floats, counted: Floats, n_truth: Floats) -> Floats:
    """Return mean precision at the 101 recalls, shape (R,), from TP and TP + FP at each true positive, shape (n, R)."""
    precision = np.divide(found, counted, out=np.zeros_like(found), where=counted > 0)
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    recall = found / np.maximum(n_truth, 1)
    passed = _recalls_up_to(recall)
    passed[1:] -= passed[:-1].copy()
    mean: Floats = np.einsum("nr,nr->r", best, passed) / len(RECALLS)
    return mean


def _recalls_up_to(recall: Floats) -> Ints:
    """Count the 101 recalls that are at most each given one, by a guess that is then corrected by one step."""
    last = np.clip((recall * (len(RECALLS) - 1)).astype(np.int64), 0, len(RECALLS) - 1)
    last += _NEXT_RECALLS[last] <= recall
    last -= RECALLS[last] > recall
    return last + 1


def _truth_matrix(split: MatchedSplit, area: int, shape: tuple[int, int]) -> csr_array[Any]:
    counted = ~split.index.ignored[area]
    return count_matrix(split.index.category[counted], split.index.image[counted], shape)
