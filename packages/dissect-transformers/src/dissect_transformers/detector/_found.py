"""Detections of a batch as the model's own post-processing gives them, each with the query that it is from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dissect_core.detectors import ImageDetections

from ..errors import ModelError

Found = list[dict[str, Tensor]]


def detections(processor: Any, outputs: Any, sizes: Sequence[tuple[int, int]]) -> list[ImageDetections]:
    """Return what an image processor makes of a model's outputs, all scores above zero.

    Parameters
    ----------
    processor : image processor
        Whose ``post_process_object_detection`` gives boxes, scores and labels.
    outputs : ModelOutput
        With ``logits`` and ``pred_boxes``.
    sizes : sequence of (height, width)
        Of each image in pixels, as it was read.

    Returns
    -------
    list of ImageDetections
        Without queries where the processor does not take its boxes from those of queries.

    Raises
    ------
    ModelError
        If the outputs are not those of a detector with a box for each query.
    """
    require_outputs(outputs)
    found = processor.post_process_object_detection(outputs, threshold=0.0, target_sizes=list(sizes))
    return fetched(found, queries_of(processor, outputs, found))


def require_outputs(outputs: Any) -> None:
    """Refuse outputs without a tensor of class scores and one of boxes, both by query."""
    logits, boxes = getattr(outputs, "logits", None), getattr(outputs, "pred_boxes", None)
    if not (
        isinstance(logits, Tensor) and isinstance(boxes, Tensor) and boxes.ndim == 3 and boxes.shape[-1] == 4
    ):
        raise ModelError(
            "the model's outputs must have `logits` and `pred_boxes`, of shape (batch, queries, 4), got "
            f"{type(outputs).__name__}: it is no detector of boxes that this adapter can run."
        )


def queries_of(processor: Any, outputs: Any, found: Found) -> list[Tensor] | None:
    """Return the number of the query that gave each detection, by image.

    Processors sort queries away, each by a rule of its own. So the same outputs are processed once more with the
    number of each query in the place of its box: centre (q, q), no width, no height. What comes out says where each
    detection is from, whatever the rule.

    Returns
    -------
    list of Tensor, or None
        None where that gives other scores, or anything but whole numbers of queries.
    """
    n_images, n_queries = outputs.pred_boxes.shape[:2]
    numbers = torch.arange(n_queries, dtype=torch.float32, device=outputs.pred_boxes.device)
    boxes = torch.stack([numbers, numbers, torch.zeros_like(numbers), torch.zeros_like(numbers)], dim=-1)
    if not is_dataclass(outputs) or isinstance(outputs, type):
        return None
    numbered = replace(outputs, pred_boxes=boxes.expand(n_images, -1, -1))
    told: Found = processor.post_process_object_detection(numbered, threshold=0.0)
    queries = []
    for one, other in zip(found, told, strict=True):
        corners = other["boxes"]
        if not torch.equal(one["scores"], other["scores"]) or not torch.equal(one["labels"], other["labels"]):
            return None
        if (
            not (corners == corners[:, :1].round()).all()
            or not ((corners >= 0) & (corners < n_queries)).all()
        ):
            return None
        queries.append(corners[:, 0])
    return queries


def fetched(found: Found, queries: list[Tensor] | None) -> list[ImageDetections]:
    """Return detections as arrays, fetched from the device at once: each transfer waits for all its work."""
    columns = [
        torch.cat(
            [
                one["boxes"].double(),
                one["scores"].double()[:, None],
                one["labels"].double()[:, None],
                *([queries[number].double()[:, None]] if queries is not None else []),
            ],
            dim=1,
        )
        for number, one in enumerate(found)
    ]
    whole = torch.cat(columns).detach().cpu().numpy()
    ends = np.cumsum([len(each) for each in columns])
    return [
        ImageDetections(
            rows[:, :4].copy(),
            rows[:, 4].copy(),
            rows[:, 5].astype(np.int64),
            rows[:, 6].astype(np.int64) if queries is not None else None,
        )
        for rows in np.split(whole, ends[:-1])
    ]
