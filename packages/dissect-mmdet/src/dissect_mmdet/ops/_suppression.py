"""The suppression engine behind `nms`: exact greedy suppression without a loop over boxes.

Boxes are taken in blocks of descending score. Inside a block, greedy suppression is the unique fixed point of
"kept = not overlapped by a better kept box", reached by iterating it. What a block keeps then suppresses all
later boxes at once. Later boxes wait in spatial order, cut into tiles, and a tile is compared only with those
boxes of the block that can reach it: most pairs of boxes are far apart, and class-aware suppression even
shifts classes apart. Nothing here is approximate: the kept boxes are those of the plain loop over pairs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class _Sizes(NamedTuple):
    """Boxes taken together: in score order (block) and in spatial order (tile)."""

    block: int
    tile: int


# A CPU wants temporaries that fit its caches; an accelerator wants few launches, so one tile holds everything.
_CPU = _Sizes(block=256, tile=500)
_ACCELERATOR = _Sizes(block=1024, tile=1 << 40)


def owners(
    boxes: Tensor, iou_threshold: float, offset: int, inclusive: bool, labels: Tensor | None = None
) -> Tensor:
    """Return, for each box, the kept box that suppressed it.

    Parameters
    ----------
    boxes : Tensor, shape (N, 4)
        ``x_min, y_min, x_max, y_max`` in pixels, best first.
    iou_threshold : float
        IoU that suppresses.
    offset : {0, 1}
        Added to widths and heights.
    inclusive : bool
        Whether an IoU equal to the threshold suppresses.
    labels : int Tensor, shape (N,), optional
        Boxes of different labels never suppress each other.

    Returns
    -------
    int64 Tensor, shape (N,)
        Position of the box that suppressed it; of a kept box its own position.

    Examples
    --------
    >>> owners(torch.tensor([[0.0, 0, 4, 4], [9, 9, 12, 12], [0, 0, 4, 3]]), 0.5, 0, False)
    tensor([0, 1, 0])
    """
    if not boxes.is_floating_point() or boxes.dtype.itemsize < 4:
        boxes = boxes.float()
    x1, y1, x2, y2 = boxes.unbind(1)
    geometry = torch.stack([x1, y1, x2, y2, (x2 - x1 + offset) * (y2 - y1 + offset)])
    test = _Test(boxes.new_tensor(iou_threshold), offset, inclusive)
    sizes = _CPU if boxes.device.type == "cpu" else _ACCELERATOR
    owner = torch.arange(boxes.shape[0], device=boxes.device)
    if labels is None:
        _sweep(geometry, owner.clone(), owner, test, sizes)
        return owner
    sorted_labels, by_label = torch.sort(labels, stable=True)
    counts = torch.unique_consecutive(sorted_labels, return_counts=True)[1]
    for group in torch.split(by_label, counts.tolist()):
        _sweep(geometry[:, group], group, owner, test, sizes)
    return owner


def _sweep(geometry: Tensor, ranks: Tensor, owner: Tensor, test: _Test, sizes: _Sizes) -> None:
    """Suppress among boxes in score order; `ranks` says where in `owner` each one is written."""
    count = geometry.shape[1]
    alive = torch.ones(count, dtype=torch.bool, device=ranks.device)
    waiting = _spatial_order(geometry, sizes.tile) if count > sizes.block else ranks[:0]
    for start in range(0, count, sizes.block):
        stop = start + sizes.block
        chosen = alive[start:stop].nonzero().flatten() + start
        if not chosen.numel():
            continue
        block = geometry[:, chosen]
        hits = test(block, block).triu_(1)
        kept = _resolve(hits)
        first = chosen[_first(hits & kept[:, None])]
        owner[ranks[chosen]] = torch.where(kept, ranks[chosen], ranks[first])
        if stop >= count:
            return
        waiting = waiting[alive[waiting] & (waiting >= stop)]
        keepers, keeper_ranks, later = block[:, kept], ranks[chosen[kept]], geometry[:, waiting]
        for number, reaching in enumerate(test.reach(keepers, later, sizes.tile)):
            near = reaching.nonzero().flatten()
            tile = slice(number * sizes.tile, (number + 1) * sizes.tile)
            hits = test(keepers[:, near], later[:, tile])
            lost = hits.any(0).nonzero().flatten()
            if lost.numel():
                suppressed = waiting[tile][lost]
                alive[suppressed] = False
                owner[ranks[suppressed]] = keeper_ranks[near][_first(hits[:, lost])]


def _spatial_order(geometry: Tensor, tile: int) -> Tensor:
    """Order boxes by vertical strips, and by height inside each, so that neighbours in the order are near."""
    x, y = geometry[0] + geometry[2], geometry[1] + geometry[3]
    count = x.numel()
    strips = math.ceil(math.sqrt(count / tile))
    strip = torch.empty(count, dtype=torch.long, device=x.device)
    strip[x.argsort()] = torch.arange(count, device=x.device) * strips // count
    by_height = y.argsort()
    return by_height[torch.sort(strip[by_height], stable=True)[1]]


def _resolve(hits: Tensor) -> Tensor:
    """Return which of a block's boxes survive, given which boxes overlap which later ones."""
    kept = torch.ones(hits.shape[1], dtype=torch.bool, device=hits.device)
    while True:
        # After i rounds the first i boxes are final, so this ends, and in practice after a few rounds.
        update = ~(hits & kept[:, None]).any(0)
        if torch.equal(update, kept):
            return kept
        kept = update


def _first(hits: Tensor) -> Tensor:
    """Return the row of the first True in each column; 0 where there is none."""
    return hits.to(torch.uint8).argmax(0)


class _Test(NamedTuple):
    """Test of whether one box suppresses another."""

    threshold: Tensor
    offset: int
    inclusive: bool

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Test each box of `a` against each of `b`: bool, shape (A, B)."""
        ax1, ay1, ax2, ay2, a_area = a[:, :, None]
        bx1, by1, bx2, by2, b_area = b[:, None, :]
        inter = torch.minimum(ax2, bx2).sub_(torch.maximum(ax1, bx1))
        high = torch.minimum(ay2, by2).sub_(torch.maximum(ay1, by1))
        if self.offset:
            inter.add_(self.offset)
            high.add_(self.offset)
        inter.clamp_(min=0).mul_(high.clamp_(min=0))
        # Empty boxes give 0 / 0, which compares as false.
        iou = inter.div_(torch.add(a_area, b_area, out=high).sub_(inter))
        return iou >= self.threshold if self.inclusive else iou > self.threshold

    def reach(self, keepers: Tensor, later: Tensor, tile: int) -> Tensor:
        """Return which kept boxes could touch any box of each tile of later ones: bool, shape (tiles, keepers)."""
        count = later.shape[1]
        tile = max(1, min(tile, count))
        tiles = -(-count // tile)
        if self.threshold < 0 or (self.inclusive and self.threshold == 0):
            # Even disjoint boxes pass: nothing can be skipped.
            return torch.ones(tiles, keepers.shape[1], dtype=torch.bool, device=keepers.device)
        # A box with a NaN passes no test, so it must not widen its tile, or turn the tile's edges into NaN.
        padding = (0, tiles * tile - count)
        low = functional.pad(later[:2].nan_to_num(math.inf, math.inf, -math.inf), padding, value=math.inf)
        high = functional.pad(later[2:4].nan_to_num(-math.inf, math.inf, -math.inf), padding, value=-math.inf)
        low, high = low.view(2, tiles, tile).amin(2), high.view(2, tiles, tile).amax(2)
        # Rounding is monotonic, so a pair that the test would find overlapping is never skipped.
        right = keepers[2:4, None] - low[:, :, None] + self.offset > 0
        left = high[:, :, None] - keepers[:2, None] + self.offset > 0
        return (right & left).all(0)
