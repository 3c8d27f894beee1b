"""Deep Dissect 1.0's functions under their old names, on top of `dissect_core` and `dissect_eval`.

``from deep_dissect import *`` gives a notebook written for version 1.0 all that it uses: the functions, the lists of
class names, and the modules and names of other libraries that it uses. Files, prints and numbers are those of 1.0,
except for what `docs/deep-dissect-1.0.md` lists with the reasons: nothing read from disk can run code, results are
written whole or not at all, any device will do, and the global random generators are left alone. New work is better
done with the rest of `deep_dissect`, which knows real attention heads, needs no file for each variant, and counts
misses and false positives.

Names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dissect_core.lazy import names_when_used

from ._lazy import LazyModule, attribute

SUBMODULES = (
    "coco",
    "compute_ablation",
    "compute_integrated_grouth_truth",
    "compute_metrics",
    "model_inference",
    "utility",
    "visualisation",
)
"""Version 1.0's modules."""

_NAMES_OF = {
    "_constants": "CLASSES CLASSES_DETR CLASSES_MMDET class_mapping",
    "_detectors": "inference_detector init_detector",
    "_random": "set_seed",
    "coco": "CocoVal build build_dataset",
    "compute_ablation": "compute_attention_head_detr_ablations_percentage compute_component_wise_complete_ablations "
    "compute_progressive_component_ablations compute_single_wise_ablations_percentage",
    "compute_integrated_grouth_truth": "integrate_ground_truth run_inference_and_integrate_ground_truth",
    "compute_metrics": "calculate_average_f1_score_overall_and_save_results "
    "calculate_average_f1_score_per_class_and_save_results calculate_average_giou_overall_and_save_results "
    "calculate_average_giou_per_class_and_save_results f1_score generalized_box_iou",
    "model_inference": "compute_mmdet_results_unsorted compute_predictions_mmdet compute_predictions_torch_hub",
    "utility": "box_cxcywh_to_xyxy box_xyxy_to_cxcywh get_dataset get_image_size get_model_state_dict_and_keys "
    "load_annotations normalize_bboxes parse_image_id_from_path",
    "visualisation": "display visualize_query_distribution visualize_vector_field_distributions_query_ids widgets",
}
_OF_OTHERS = {
    "Image": ("PIL", "Image"),
    "deepcopy": ("copy", "deepcopy"),
    "defaultdict": ("collections", "defaultdict"),
    "json": ("json", ""),
    "linear_sum_assignment": ("scipy.optimize", "linear_sum_assignment"),
    "np": ("numpy", ""),
    "os": ("os", ""),
    "pickle": ("pickle", ""),
    "plt": ("matplotlib.pyplot", ""),
    "random": ("random", ""),
    "torch": ("torch", ""),
    "tqdm": ("tqdm", ""),
}
"""Modules and names of other libraries that 1.0's star import gave, and notebooks use."""

_get, __dir__ = names_when_used(__name__, _NAMES_OF)

torchvision = LazyModule("torchvision")

__all__ = [
    *SUBMODULES,
    *(name for names in _NAMES_OF.values() for name in names.split()),
    *_OF_OTHERS,
    "InstanceData",
    "torchvision",
]


def __getattr__(name: str) -> Any:
    if name in SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name in _OF_OTHERS:
        module, attribute_name = _OF_OTHERS[name]
        found = import_module(module)
        return getattr(found, attribute_name) if attribute_name else found
    if name == "InstanceData":
        return attribute(__name__, name)
    return _get(name)
