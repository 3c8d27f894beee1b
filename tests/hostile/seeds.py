"""Small files of every kind that a command reads, made anew: what is damaged afterwards."""

from __future__ import annotations

import csv
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("red", "green", "blue")
ATTENTION = {"embed_dims": 8, "num_heads": 2, "dropout": 0.0, "batch_first": True}
FFN = {
    "embed_dims": 8,
    "feedforward_channels": 16,
    "num_fcs": 2,
    "ffn_drop": 0.0,
    "act_cfg": {"type": "ReLU", "inplace": True},
}
CONFIG: dict[str, Any] = {
    "model": {
        "type": "DETR",
        "num_queries": 4,
        "data_preprocessor": {
            "type": "DetDataPreprocessor",
            "mean": [120.0, 120.0, 120.0],
            "std": [60.0, 60.0, 60.0],
            "bgr_to_rgb": True,
        },
        "backbone": {
            "type": "ResNet",
            "depth": 18,
            "base_channels": 2,
            "num_stages": 1,
            "strides": [1],
            "dilations": [1],
            "out_indices": [0],
            "norm_cfg": {"type": "BN"},
            "init_cfg": {"type": "Pretrained", "checkpoint": "torchvision://resnet18"},
        },
        "neck": {
            "type": "ChannelMapper",
            "in_channels": [2],
            "kernel_size": 1,
            "out_channels": 8,
            "act_cfg": None,
            "norm_cfg": None,
            "num_outs": 1,
        },
        "encoder": {"num_layers": 1, "layer_cfg": {"self_attn_cfg": ATTENTION, "ffn_cfg": FFN}},
        "decoder": {
            "num_layers": 1,
            "layer_cfg": {"self_attn_cfg": ATTENTION, "cross_attn_cfg": ATTENTION, "ffn_cfg": FFN},
            "return_intermediate": True,
        },
        "positional_encoding": {"num_feats": 4, "normalize": True},
        "bbox_head": {
            "type": "DETRHead",
            "num_classes": 3,
            "embed_dims": 8,
            # Left out, MMDetection changes its own default in place, and cannot build a second head.
            "loss_cls": {"type": "CrossEntropyLoss", "bg_cls_weight": 0.1, "class_weight": 1.0},
        },
        "test_cfg": {"max_per_img": 4},
    },
    "test_dataloader": {
        "batch_size": 1,
        "dataset": {
            "type": "CocoDataset",
            "metainfo": {"classes": list(CLASSES)},
            "pipeline": [
                {"type": "LoadImageFromFile"},
                {"type": "Resize", "scale_factor": 0.1, "keep_ratio": True},
                {
                    "type": "PackDetInputs",
                    "meta_keys": ["img_id", "img_path", "ori_shape", "img_shape", "scale_factor"],
                },
            ],
        },
    },
}
"""A DETR as small as can be, of which every part can be built."""


def weights() -> dict[str, Any]:
    """The state dict of the model of `CONFIG`."""
    import torch
    from mmengine.config import Config

    from dissect_mmdet import build_model

    torch.manual_seed(0)
    return dict(build_model(Config(CONFIG)).state_dict())


def checkpoint(config: Any = CONFIG) -> dict[str, Any]:
    """What MMEngine writes: weights, a config as text, classes, logged scalars, numbers of NumPy."""
    import torch
    from mmengine.logging.history_buffer import HistoryBuffer

    from hostile.mutate import as_python

    history = HistoryBuffer([0.5, 0.25], [1, 1])
    return {
        "meta": {
            "cfg": config if isinstance(config, str) else as_python(config),
            "dataset_meta": {"classes": CLASSES, "palette": [(1, 2, 3)] * 3},
            "epoch": 3,
            "seed": np.int64(7),
            "time": "now",
        },
        "state_dict": weights(),
        "message_hub": {
            "log_scalars": {"train/loss": history},
            "resumed_keys": {"train/loss": True},
            "runtime_info": {"lr": np.float64(0.1)},
        },
        "optimizer": {
            "state": {0: {"step": torch.tensor(1.0)}},
            "param_groups": [{"lr": 0.1, "params": [0]}],
        },
    }


def write_checkpoint(path: Path, content: Any = None, *, legacy: bool = False) -> Path:
    """Write what `torch.save` writes."""
    import torch

    torch.save(checkpoint() if content is None else content, path, _use_new_zipfile_serialization=not legacy)
    return path


def write_safetensors(path: Path) -> Path:
    """Write the weights as safetensors."""
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    for name, tensor in weights().items():
        data = tensor.numpy().tobytes()
        start = sum(map(len, parts))
        kind = {"float32": "F32", "int64": "I64"}[str(tensor.numpy().dtype)]
        header[name] = {
            "dtype": kind,
            "shape": list(tensor.shape),
            "data_offsets": [start, start + len(data)],
        }
        parts.append(data)
    return write_safetensors_of(path, header, b"".join(parts))


def write_safetensors_of(path: Path, header: Any, data: bytes) -> Path:
    """Write a safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode("utf-8", "surrogatepass")
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


SPEC: dict[str, Any] = {
    "schema_version": 1,
    "name": "any study",
    "seed": 3,
    "reference": {"images": 8},
    "ablations": [
        {
            "name": "heads",
            "target": {"unit": "head", "components": ["encoder.self_attn"], "pool": False},
            "select": {"by": "each"},
            "interventions": ["zero", {"space": "activation", "kind": "mean"}],
        },
        {
            "name": "weights",
            "target": {"unit": "element", "components": "query_embedding.weight"},
            "select": {"by": "fraction", "fractions": [0.25, 0.5], "repeats": 2},
            "interventions": ["noise"],
        },
        {
            "name": "layers",
            "target": {"unit": "layer", "components": "encoder.layer"},
            "select": {"by": "cumulative", "order": "backwards"},
        },
        {
            "name": "pairs",
            "target": {"unit": "head", "components": "decoder.cross_attn"},
            "select": {"by": "pairs"},
            "control": "random",
        },
    ],
}


def truth() -> dict[str, Any]:
    """A COCO instances file of the images of `write_images`."""
    rng = np.random.default_rng(5)
    boxes = rng.uniform(4, 30, (10, 4)).round(1).tolist()
    return {
        "info": {"year": 2026},
        "images": [{"id": 10 + i, "file_name": f"{i:03}.ppm", "width": 96, "height": 64} for i in range(4)],
        "annotations": [
            {
                "id": i + 1,
                "image_id": 10 + i % 4,
                "category_id": 1 + i % 3,
                "bbox": box,
                "area": round(box[2] * box[3], 2),
                "iscrowd": int(i == 9),
            }
            for i, box in enumerate(boxes)
        ],
        "categories": [
            {"id": i + 1, "name": name, "supercategory": "thing"} for i, name in enumerate(CLASSES)
        ],
    }


def predictions() -> list[dict[str, Any]]:
    """A COCO results list for `truth`, of which some boxes are right."""
    return [
        {
            "image_id": a["image_id"],
            "category_id": a["category_id"],
            "bbox": a["bbox"],
            "score": 0.9 - 0.05 * i,
        }
        for i, a in enumerate(truth()["annotations"][:7])
    ]


CLASS_MAP: dict[str, Any] = {"red": "red", "green": "blue", "blue": None}


def class_map_csv() -> bytes:
    """`CLASS_MAP` as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows([("detector", "truth"), ("red", "red"), ("green", "blue"), ("blue", "")])
    return text.getvalue().encode()


def samples(protocol: int = 2) -> bytes:
    """Results as Deep Dissect 1.0 pickled them."""
    import torch
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    sample = DetDataSample(
        metainfo={
            "img_path": "000000000139.jpg",
            "ori_shape": (64, 96),
            "scale": np.array([1.5, 2.0]),
            "n": np.float64(1),
        }
    )
    corners = torch.tensor([[0.0, 0, 10, 10], [5, 5, 50, 60]])
    sample.gt_instances = InstanceData(bboxes=corners, labels=torch.tensor([1, 79]))
    sample.pred_instances = InstanceData(
        bboxes=corners + 1, labels=torch.tensor([1, 2]), scores=torch.tensor([0.5, 0.25])
    )
    return pickle.dumps([sample, sample], protocol)


def write_images(folder: Path) -> list[Path]:
    """Four images for the toy detector."""
    from toy_detector import write_scenes

    folder.mkdir(exist_ok=True)
    return [scene.path for scene in write_scenes(folder, 4)]


def write_study(folder: Path, *, batches: int | None = None) -> Any:
    """Run a toy study in the folder `study`, with its truth; or only its first batches."""
    import studies
    from dissect_core.engine import StopRequest
    from dissect_eval import GroundTruth
    from toy_detector import QueryDetector

    request = StopRequest()
    paths = sorted((folder / "images").glob("*.ppm")) or write_images(folder / "images")

    def watch(done: Any) -> None:
        if batches is not None and done.done >= batches * done.total // 4:
            request.ask()

    return studies.run_toy(
        paths,
        folder / "study",
        QueryDetector(),
        truth=GroundTruth.from_coco(truth()),
        batch_size=1,
        shard_images=2,
        stop=request,
        watch=watch,
    )


def picture(kind: str) -> bytes:
    """An image as a file of a kind that OpenCV writes: .png, .jpg, .bmp, .webp, .tiff."""
    import cv2

    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    return bytes(cv2.imencode(kind, noise)[1])


def in_file(path: Path, content: bytes) -> Path:
    """Write a file, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


Writer = Callable[[Path], object]
