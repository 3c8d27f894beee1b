"""MMDetection's own configs as small, randomly weighted detectors: built alike in any process, nothing downloaded.

A helper of the tests and benchmarks; import it after `dissect_mmdet.ops.enable_mmcv_ops`.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

ARCHITECTURES: dict[str, str] = {
    "DETR": "detr/detr_r50_8xb2-150e_coco.py",
    "Conditional DETR": "conditional_detr/conditional-detr_r50_8xb2-50e_coco.py",
    "DAB-DETR": "dab_detr/dab-detr_r50_8xb2-50e_coco.py",
    "Deformable DETR": "deformable_detr/deformable-detr_r50_16xb2-50e_coco.py",
    "Deformable DETR, refined": "deformable_detr/deformable-detr-refine_r50_16xb2-50e_coco.py",
    "Deformable DETR, two-stage": "deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco.py",
    "DINO": "dino/dino-4scale_r50_8xb2-12e_coco.py",
    "DDQ": "ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py",
    "Faster R-CNN": "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
    "Faster R-CNN, soft-NMS": "faster_rcnn/faster-rcnn_r50_fpn_soft-nms_1x_coco.py",
    "Faster R-CNN, DCN": "dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py",
    "Faster R-CNN, DCNv2": "dcnv2/faster-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py",
    "Mask R-CNN": "mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",
    "Cascade R-CNN": "cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py",
    "RetinaNet": "retinanet/retinanet_r50_fpn_1x_coco.py",
    "FCOS": "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
    "ATSS": "atss/atss_r50_fpn_1x_coco.py",
    "ATSS, DyHead": "dyhead/atss_r50_fpn_dyhead_1x_coco.py",
    "Sparse R-CNN": "sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py",
    "YOLOX": "yolox/yolox_tiny_8xb8-300e_coco.py",
    "RTMDet": "rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
}

# What does not run without a compiled mmcv, and the operator it stops at.
UNSUPPORTED: dict[str, tuple[str, str]] = {
    "Faster R-CNN, CARAFE": ("carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py", "carafe_forward"),
}

# These decode boxes without clipping them to the image.
UNCLIPPED = {"Sparse R-CNN", "YOLOX"}
# These clip to the image as padded to a square.
PADDED = {"RTMDet", "YOLOX"}
SCALE = (128, 96)  # size to which an image of `random_image` is resized

# What a pass takes long with, and few tests depend on.
_AT_MOST = {"feedforward_channels": 256, "num_queries": 100, "num_proposals": 50}

# Box layers whose outputs are exponents: factor on their weights, and the bias that makes neighbours overlap.
_TEMPERED = {
    "multi_level_conv_": (1e-4, 0.0),  # YOLOX, whose features grow without trained normalisation
    "multi_level_conv_reg": (1.0, 1.5),
    "bbox_head.rtm_reg": (1.0, 2.0),
    "bbox_head.conv_reg": (1.0, 3.0),
}


def config_folder() -> Path:
    """Where mmdet keeps the configs it is installed with."""
    spec = importlib.util.find_spec("mmdet")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / ".mim" / "configs"


def load_config(path: str, *, whole: bool = False) -> Any:
    """Read one of mmdet's configs, with nothing left in it that would be downloaded and no score too low."""
    from mmengine.config import Config

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = Config.fromfile(config_folder() / path)
    _edit(config.model)
    if not whole:
        _shrink(config.model)
    return config


def _shrink(node: Any) -> None:
    """All layers as they are, but not as wide, nor with as many queries and proposals."""
    for each in _dicts(node):
        for name, most in _AT_MOST.items():
            if isinstance(each.get(name), int):
                each[name] = min(each[name], most)
        for stage, most in (("rpn", 50), ("rcnn", 30)):
            if isinstance(each.get(stage), dict) and "max_per_img" in each[stage]:
                each[stage]["max_per_img"] = most


def _edit(node: Any) -> None:
    for each in _dicts(node):
        initial = each.get("init_cfg")
        if isinstance(initial, dict) and initial.get("type") == "Pretrained":
            each["init_cfg"] = None
        if "score_thr" in each:
            # Random weights give low scores, and a test in which nothing is left to suppress would be vacuous.
            each["score_thr"] = 0.0


def _dicts(node: Any) -> Iterator[Any]:
    """A node of a config and all below it, as far as they are dicts; each before those that it holds."""
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
        yield from _dicts(value)


def build_detector(path: str, seed: int = 0, *, whole: bool = False) -> tuple[torch.nn.Module, Any]:
    """Build a detector with seeded random weights, in evaluation mode, together with its config.

    It has all layers of the config's, but unless it is to be `whole`, these are less wide, and there are fewer queries
    and proposals.
    """
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        register_all_modules(init_default_scope=True)
        config = load_config(path, whole=whole)
        torch.manual_seed(seed)
        # Not init_weights(): it takes seconds, logs a line per parameter, and starts box layers at zero, which
        # would make all boxes of an anchor alike. What the constructors draw is random throughout.
        model = MODELS.build(config.model)
    with torch.no_grad():
        if isinstance(getattr(model, "level_embed", None), torch.nn.Parameter):
            # The constructor leaves whatever was in memory here; init_weights() would fill it like this.
            torch.nn.init.normal_(model.level_embed)
        for part, (factor, size) in _TEMPERED.items():
            for name, parameter in model.named_parameters():
                if part in name:
                    parameter.mul_(factor)
                    if size and name.endswith("bias"):
                        parameter.fill_(size)
    model.eval()
    model.cfg = config
    return model, config


def random_image(height: int = 120, width: int = 160, seed: int = 0) -> np.ndarray:
    """Blobs and stripes: an image with structure at several scales."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 20, width // 20, 3))
    image = coarse.repeat(20, 0).repeat(20, 1).astype(np.int64)
    image = image[:height, :width] + rng.integers(-20, 21, image[:height, :width].shape)
    return image.clip(0, 255).astype(np.uint8)


def detect(model: torch.nn.Module, config: Any, image: np.ndarray, scale: tuple[int, int]) -> Any:
    """Run the config's own test pipeline, resized to `scale`, and the model's test step."""
    from mmcv.transforms import Compose

    pipeline = [dict(step) for step in config.test_dataloader.dataset.pipeline]
    pipeline[0] = {"type": "mmdet.LoadImageFromNDArray"}
    for step in pipeline:
        if "scale" in step:
            step["scale"] = scale
        if step["type"] == "Pad" and "size" in step:
            side = -(-max(scale) // 32) * 32  # the largest stride divides it
            step["size"] = (side, side)
    data = Compose([step for step in pipeline if step["type"] != "LoadAnnotations"])(
        {"img": image, "img_id": 0}
    )
    batch = {"inputs": [data["inputs"]], "data_samples": [data["data_samples"]]}
    with torch.no_grad():
        return model.test_step(batch)[0]
