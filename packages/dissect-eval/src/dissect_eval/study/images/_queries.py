"""Object queries over the images of a stored study: where their boxes lie, and how an ablation changes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...boxes import aligned_giou
from ...errors import StudyDataError
from ..stored import StudyDetections
from ._query_pairs import QueryBoxes, corners_of, pairs_by_place

__all__ = ["QueryChanges", "query_boxes", "query_changes"]


class QueryChanges(NamedTuple):
    """Mean changes of the boxes of each query over images, by an ablation; a row for each of Q queries.

    Attributes
    ----------
    queries : ndarray of int64, shape (Q,)
        Ascending. Where boxes are paired by their place, the baseline's: query k is the k-th proposal of an image.
    n_images : ndarray of int64, shape (Q,)
        Images in which the baseline's query gave a box that has a partner.
    centers, shifts : ndarray of float64, shape (Q, 2)
        Mean centre in the baseline, and mean shift from there to the ablated detector's: x, y, as shares of the image.
    distances : ndarray of float64, shape (Q,)
        Mean length of the shifts, which does not cancel out where they point in all directions.
    giou : ndarray of float64, shape (Q,)
        Mean GIoU of both boxes, in [-1, 1].
    score_changes : ndarray of float64, shape (Q,)
        Mean change of the score.
    n_alone : ndarray of int64, shape (Q,)
        Images in which the baseline's box has no partner; they are in none of the means.
    by_place : bool
        Whether partners are boxes at the same place, one to one, and not those of the same query.
    """

    queries: NDArray[np.int64]
    n_images: NDArray[np.int64]
    centers: NDArray[np.float64]
    shifts: NDArray[np.float64]
    distances: NDArray[np.float64]
    giou: NDArray[np.float64]
    score_changes: NDArray[np.float64]
    n_alone: NDArray[np.int64]
    by_place: bool = False

    def at(self, rows: NDArray[np.int64] | slice) -> QueryChanges:
        """Return some of the rows, in any order."""
        return QueryChanges(
            self.queries[rows],
            self.n_images[rows],
            self.centers[rows],
            self.shifts[rows],
            self.distances[rows],
            self.giou[rows],
            self.score_changes[rows],
            self.n_alone[rows],
            self.by_place,
        )


def query_boxes(found: StudyDetections, variant: str) -> QueryBoxes:
    """Return the boxes of the object queries of one variant.

    Parameters
    ----------
    found : StudyDetections
    variant : str
        Its id.

    Returns
    -------
    QueryBoxes
        Sorted by image and query. Detectors that sort scores of all queries and classes together (Deformable DETR,
        DINO) give boxes of the queries among their best only; of others (DETR) each query has one in each image.

    Raises
    ------
    StudyDataError
        If the study keeps no queries, or its truth no image sizes.

    References
    ----------
    Carion et al., End-to-End Object Detection with Transformers, ECCV 2020, arXiv:2005.12872, section 4 and figure 7.
    """
    flat = found.flat(variant, every_class=True)
    if flat.queries is None:
        raise StudyDataError(
            f"The study {found.study.path} keeps no object queries: its detector has none, or it was run by a version "
            "that did not keep them. Run a detector of the DETR family again."
        )
    sizes = found.image_sizes[flat.images]
    if not np.isfinite(sizes).all() or (sizes <= 0).any():
        raise StudyDataError(
            f"The truth of the study {found.study.path} must give width and height of each image, to compare queries "
            "over images of several sizes, but lacks them. Give a truth that has them."
        )
    # The best of each query in each image: the first after sorting.
    order = np.lexsort((-flat.scores, flat.queries, flat.images))
    keys = np.stack([flat.images, flat.queries])[:, order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    chosen = order[first]
    low, high = flat.boxes[chosen, :2], flat.boxes[chosen, 2:]
    boxes = np.concatenate([(low + high) / 2 / sizes[chosen], (high - low) / sizes[chosen]], axis=1)
    return QueryBoxes(flat.images[chosen], flat.queries[chosen], boxes, flat.scores[chosen], high - low)


def query_changes(
    before: QueryBoxes, after: QueryBoxes, threshold: float = 0.0, *, by_place: bool = False
) -> QueryChanges:
    """Compare the queries of two variants, image by image.

    Parameters
    ----------
    before, after : QueryBoxes
        Of the baseline and of an ablated detector.
    threshold : float, optional
        Least score of the baseline's query; images in which it scores less are left out.
    by_place : bool, optional
        For detectors that choose their queries from each image (two-stage: DINO, RT-DETR and their kin): there, query k
        of one variant is another proposal than query k of the other. A box of the baseline is compared with the box at
        the same place then; see `pairs_by_place`.

    Returns
    -------
    QueryChanges
        Changes of the queries whose box has a partner in some image.

    Examples
    --------
    >>> def at(x, score, query=7):
    ...     box = np.array([[x, 0.5, 0.2, 0.2]])
    ...     return QueryBoxes(np.array([0]), np.array([query]), box, np.array([score]), 100 * box[:, 2:])
    >>> changes = query_changes(at(0.25, 0.75), at(0.5, 0.25))
    >>> changes.queries.tolist(), changes.shifts.tolist(), changes.score_changes.tolist()
    ([7], [[0.25, 0.0]], [-0.5])
    >>> changes = query_changes(at(0.25, 0.75), at(0.28125, 0.75, query=3), by_place=True)
    >>> changes.queries.tolist(), changes.shifts.tolist()
    ([7], [[0.03125, 0.0]])
    """
    before = before.where(before.scores >= threshold)
    first, second = pairs_by_place(before, after) if by_place else _pairs_by_number(before, after)
    queries, at = np.unique(before.queries[first], return_inverse=True)
    counts = np.bincount(at, minlength=len(queries))
    one, other = before.boxes[first], after.boxes[second]
    shift = other[:, :2] - one[:, :2]

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(at, values, minlength=len(queries)) / counts

    all_of = np.bincount(before.queries, minlength=int(queries.max(initial=-1)) + 1)
    return QueryChanges(
        queries,
        counts,
        np.stack([mean(one[:, 0]), mean(one[:, 1])], axis=1),
        np.stack([mean(shift[:, 0]), mean(shift[:, 1])], axis=1),
        mean(np.hypot(*shift.T)),
        mean(aligned_giou(corners_of(one), corners_of(other))),
        mean(after.scores[second] - before.scores[first]),
        all_of[queries] - counts,
        by_place,
    )


def _pairs_by_number(before: QueryBoxes, after: QueryBoxes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of boxes of the same query in the same image."""
    n = int(max(before.queries.max(initial=0), after.queries.max(initial=0))) + 1
    _, first, second = np.intersect1d(
        before.images * n + before.queries,
        after.images * n + after.queries,
        assume_unique=True,
        return_indices=True,
    )
    return first, second
