"""Deep Dissect 1.0's functions under their old names, on top of `dissect_core`, `dissect_eval` and
`dissect_mmdet`.

``from deep_dissect import *`` gives a notebook written for version 1.0 all that it uses: the functions, the
lists of class names, and the modules that it leans on. Files, prints and numbers are those of 1.0. What
differs: nothing read from disk can run code, results are written whole or not at all, any device will do, and
the global random generators are left alone. New work is better off with the packages themselves, which know
real attention heads, need no file for each variant, and count misses and false positives.
"""

from __future__ import annotations

import json
import os
import pickle
import random

import matplotlib.pyplot as plt
import numpy as np
import torch
from tqdm import tqdm

from ._ablations import (
    compute_attention_head_detr_ablations_percentage,
    compute_component_wise_complete_ablations,
    compute_progressive_component_ablations,
    compute_single_wise_ablations_percentage,
)
from ._checkpoints import get_model_state_dict_and_keys
from ._constants import CLASSES_DETR, CLASSES_MMDET, class_mapping
from ._data import (
    CocoVal,
    box_cxcywh_to_xyxy,
    box_xyxy_to_cxcywh,
    get_dataset,
    get_image_size,
    normalize_bboxes,
)
from ._inference import (
    compute_predictions_mmdet,
    compute_predictions_torch_hub,
    integrate_ground_truth,
    load_annotations,
    parse_image_id_from_path,
    run_inference_and_integrate_ground_truth,
)
from ._metrics import (
    calculate_average_f1_score_overall_and_save_results,
    calculate_average_f1_score_per_class_and_save_results,
    calculate_average_giou_overall_and_save_results,
    calculate_average_giou_per_class_and_save_results,
)
from ._pictures import visualize_query_distribution, visualize_vector_field_distributions_query_ids
from ._queries import compute_mmdet_results_unsorted
from ._random import reset_random_state

__all__ = [
    "CLASSES_DETR",
    "CLASSES_MMDET",
    "CocoVal",
    "box_cxcywh_to_xyxy",
    "box_xyxy_to_cxcywh",
    "calculate_average_f1_score_overall_and_save_results",
    "calculate_average_f1_score_per_class_and_save_results",
    "calculate_average_giou_overall_and_save_results",
    "calculate_average_giou_per_class_and_save_results",
    "class_mapping",
    "compute_attention_head_detr_ablations_percentage",
    "compute_component_wise_complete_ablations",
    "compute_mmdet_results_unsorted",
    "compute_predictions_mmdet",
    "compute_predictions_torch_hub",
    "compute_progressive_component_ablations",
    "compute_single_wise_ablations_percentage",
    "get_dataset",
    "get_image_size",
    "get_model_state_dict_and_keys",
    "integrate_ground_truth",
    "json",
    "load_annotations",
    "normalize_bboxes",
    "np",
    "os",
    "parse_image_id_from_path",
    "pickle",
    "plt",
    "random",
    "reset_random_state",
    "run_inference_and_integrate_ground_truth",
    "torch",
    "tqdm",
    "visualize_query_distribution",
    "visualize_vector_field_distributions_query_ids",
]
