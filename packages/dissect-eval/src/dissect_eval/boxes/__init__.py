"""Formats of boxes and how far they overlap or lie apart: plain functions of arrays."""

from ._distance import (
    aligned_ciou as aligned_ciou,
    aligned_diou as aligned_diou,
    pairwise_ciou as pairwise_ciou,
    pairwise_diou as pairwise_diou,
)
from ._formats import (
    Boxes as Boxes,
    check_xyxy as check_xyxy,
    cxcywh_to_xyxy as cxcywh_to_xyxy,
    degenerate_rows as degenerate_rows,
    finite_rows as finite_rows,
    upright as upright,
    xywh_to_xyxy as xywh_to_xyxy,
    xyxy_to_cxcywh as xyxy_to_cxcywh,
    xyxy_to_xywh as xyxy_to_xywh,
)
from ._overlap import (
    aligned_giou as aligned_giou,
    aligned_ioa as aligned_ioa,
    aligned_iou as aligned_iou,
    area_of as area_of,
    capped_ratio as capped_ratio,
    giou_of as giou_of,
    intersection_of as intersection_of,
    iou_of as iou_of,
    pairwise_giou as pairwise_giou,
    pairwise_ioa as pairwise_ioa,
    pairwise_iou as pairwise_iou,
)
