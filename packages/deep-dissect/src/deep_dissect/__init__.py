"""Deep Dissect 1.0's functions under their old names, on top of `dissect_core`, `dissect_eval` and
`dissect_mmdet`.

``from deep_dissect import *`` gives a notebook written for version 1.0 all that it uses: the functions, the lists of
class names, and the modules and names of other libraries that it leans on. Files, prints and numbers are those of 1.0,
but for what `docs/deep-dissect-1.0.md` lists with the reasons: nothing read from disk can run code, results are written
whole or not at all, any device will do, and the global random generators are left alone. New work is better off with
the packages themselves, which know real attention heads, need no file for each variant, and count misses and false
positives.
"""

from __future__ import annotations

import json
import os
import pickle
import random
from collections import defaultdict
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import tqdm
from PIL import Image
from scipy.optimize import linear_sum_assignment

from .v1 import (
    _lazy,
    coco,
    compute_ablation,
    compute_integrated_grouth_truth,
    compute_metrics,
    model_inference,
    utility,
    visualisation,
)
from .v1._constants import CLASSES, CLASSES_DETR, CLASSES_MMDET, class_mapping
from .v1._detectors import inference_detector, init_detector
from .v1._random import set_seed
from .v1.coco import CocoVal, build, build_dataset
from .v1.compute_ablation import (
    compute_attention_head_detr_ablations_percentage,
    compute_component_wise_complete_ablations,
    compute_progressive_component_ablations,
    compute_single_wise_ablations_percentage,
)
from .v1.compute_integrated_grouth_truth import (
    integrate_ground_truth,
    run_inference_and_integrate_ground_truth,
)
from .v1.compute_metrics import (
    calculate_average_f1_score_overall_and_save_results,
    calculate_average_f1_score_per_class_and_save_results,
    calculate_average_giou_overall_and_save_results,
    calculate_average_giou_per_class_and_save_results,
    f1_score,
    generalized_box_iou,
)
from .v1.model_inference import (
    compute_mmdet_results_unsorted,
    compute_predictions_mmdet,
    compute_predictions_torch_hub,
)
from .v1.utility import (
    box_cxcywh_to_xyxy,
    box_xyxy_to_cxcywh,
    get_dataset,
    get_image_size,
    get_model_state_dict_and_keys,
    load_annotations,
    normalize_bboxes,
    parse_image_id_from_path,
)
from .v1.visualisation import (
    display,
    visualize_query_distribution,
    visualize_vector_field_distributions_query_ids,
    widgets,
)

if TYPE_CHECKING:
    from mmengine.structures import InstanceData

__all__ = [
    "CLASSES",
    "CLASSES_DETR",
    "CLASSES_MMDET",
    "CocoVal",
    "Image",
    "InstanceData",
    "box_cxcywh_to_xyxy",
    "box_xyxy_to_cxcywh",
    "build",
    "build_dataset",
    "calculate_average_f1_score_overall_and_save_results",
    "calculate_average_f1_score_per_class_and_save_results",
    "calculate_average_giou_overall_and_save_results",
    "calculate_average_giou_per_class_and_save_results",
    "class_mapping",
    "coco",
    "compute_ablation",
    "compute_attention_head_detr_ablations_percentage",
    "compute_component_wise_complete_ablations",
    "compute_integrated_grouth_truth",
    "compute_metrics",
    "compute_mmdet_results_unsorted",
    "compute_predictions_mmdet",
    "compute_predictions_torch_hub",
    "compute_progressive_component_ablations",
    "compute_single_wise_ablations_percentage",
    "deepcopy",
    "defaultdict",
    "display",
    "f1_score",
    "generalized_box_iou",
    "get_dataset",
    "get_image_size",
    "get_model_state_dict_and_keys",
    "inference_detector",
    "init_detector",
    "integrate_ground_truth",
    "json",
    "linear_sum_assignment",
    "load_annotations",
    "model_inference",
    "normalize_bboxes",
    "np",
    "os",
    "parse_image_id_from_path",
    "pickle",
    "plt",
    "random",
    "run_inference_and_integrate_ground_truth",
    "set_seed",
    "torch",
    "torchvision",
    "tqdm",
    "utility",
    "visualisation",
    "visualize_query_distribution",
    "visualize_vector_field_distributions_query_ids",
    "widgets",
]

torchvision = _lazy.LazyModule("torchvision")


def __getattr__(name: str) -> Any:
    return _lazy.attribute(__name__, name)
