"""Formats of boxes and how far they overlap or lie apart: plain functions of arrays."""

from ._distance import aligned_ciou, aligned_diou, pairwise_ciou, pairwise_diou
from ._formats import (
    Boxes,
    check_xyxy,
    cxcywh_to_xyxy,
    degenerate_rows,
    finite_rows,
    upright,
    xywh_to_xyxy,
    xyxy_to_cxcywh,
    xyxy_to_xywh,
)
from ._overlap import (
    aligned_giou,
    aligned_ioa,
    aligned_iou,
    area_of,
    capped_ratio,
    giou_of,
    intersection_of,
    iou_of,
    pairwise_giou,
    pairwise_ioa,
    pairwise_iou,
)

__all__ = [
    "Boxes",
    "aligned_ciou",
    "aligned_diou",
    "aligned_giou",
    "aligned_ioa",
    "aligned_iou",
    "area_of",
    "capped_ratio",
    "check_xyxy",
    "cxcywh_to_xyxy",
    "degenerate_rows",
    "finite_rows",
    "giou_of",
    "intersection_of",
    "iou_of",
    "pairwise_ciou",
    "pairwise_diou",
    "pairwise_giou",
    "pairwise_ioa",
    "pairwise_iou",
    "upright",
    "xywh_to_xyxy",
    "xyxy_to_cxcywh",
    "xyxy_to_xywh",
]
