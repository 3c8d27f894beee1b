"""Which object query gave each detection: MMDetection's heads of the DETR family sort it away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

FIELD = "queries"


@contextmanager
def queries_told(model: torch.nn.Module) -> Iterator[None]:
    """Let a model of the DETR family say with its detections which query each is from, for the length of a block.

    Its head keeps the highest scores of all queries and classes, and gives no numbers. The same sorting is done once
    more here, and only taken if it gives the very scores of the head: a head with rules of its own tells nothing.

    Parameters
    ----------
    model : torch.nn.Module
        Any detector; those of other families are left alone.
    """
    from mmdet.models.dense_heads import DeformableDETRHead, DETRHead

    head: Any = getattr(model, "bbox_head", None)
    # Heads that choose among the queries before they sort, as DDQ's, number those that they chose.
    plain = (DETRHead.predict_by_feat, DeformableDETRHead.predict_by_feat)
    if getattr(type(head), "predict_by_feat", None) not in plain:
        yield
        return
    original = head._predict_by_feat_single

    def telling(cls_score: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        results = original(cls_score, *args, **kwargs)
        queries = _queries(head, cls_score, results.scores)
        if queries is not None:
            results.set_field(queries, FIELD)
        return results

    # On the instance, over the class's method, which comes back by taking it away.
    before = head.__dict__.get("_predict_by_feat_single")
    head.__dict__["_predict_by_feat_single"] = telling
    try:
        yield
    finally:
        if before is None:
            del head.__dict__["_predict_by_feat_single"]
        else:
            head.__dict__["_predict_by_feat_single"] = before


def _queries(head: Any, cls_score: torch.Tensor, scores: torch.Tensor) -> torch.Tensor | None:
    """Return the query of each detection, shape (n,); None where the head sorts otherwise than those of DETRs."""
    if head.loss_cls.use_sigmoid:
        found, index = cls_score.sigmoid().view(-1).topk(len(scores))
        queries = index // cls_score.shape[-1]
    else:
        found, queries = torch.softmax(cls_score, dim=-1)[..., :-1].max(-1).values.topk(len(scores))
    # NaN differs from itself, and is NaN on both sides.
    same = torch.equal(found.nan_to_num(), scores.nan_to_num())
    return queries if same else None
