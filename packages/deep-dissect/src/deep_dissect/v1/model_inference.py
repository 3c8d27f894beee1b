"""Run detectors over images: boxes of all of them, or what each object query says."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import tqdm
from PIL import Image

from . import _lazy
from ._detectors import image_files, inference_detector, init_detector, open_detector, predict_one
from ._mmdet import mmdet
from ._random import set_seed
from .utility import get_dataset, load_annotations, parse_image_id_from_path

if TYPE_CHECKING:
    from mmengine.structures import InstanceData

__all__ = [
    "Image",
    "InstanceData",
    "compute_mmdet_results_unsorted",
    "compute_predictions_mmdet",
    "compute_predictions_torch_hub",
    "get_dataset",
    "inference_detector",
    "init_detector",
    "json",
    "load_annotations",
    "np",
    "parse_image_id_from_path",
    "random",
    "set_seed",
    "torch",
    "tqdm",
]

HEAD_LAYERS = ("fc_reg", "fc_cls")


def __getattr__(name: str) -> Any:
    return _lazy.attribute(__name__, name)


def compute_predictions_mmdet(
    PATH_CONFIG_FILE: Path | str,
    PATH_CHECKPOINT_FILE_BASELINE: Path | str,
    CONTENT_PATH: Sequence[str] | str,
    PATH_IMG: Path | str,
    device: str,
) -> torch.Tensor:
    """Return the predicted boxes of all images, one after the other.

    Parameters
    ----------
    PATH_CONFIG_FILE, PATH_CHECKPOINT_FILE_BASELINE : Path or str
        The detector.
    CONTENT_PATH : sequence of str, or str
        File names of the images, or the folder whose files they are, taken in alphabetical order.
    PATH_IMG : Path or str
        Folder of the images.
    device : str
        For instance ``"cpu"`` or ``"cuda:0"``.

    Returns
    -------
    torch.Tensor, shape (sum of predictions, 4)
        float32 on the CPU, xyxy in pixels of the original images; no score threshold.

    Raises
    ------
    ImageError
        If there are no images, or one is missing or cannot be decoded.
    dissect_mmdet.DissectMMDetError, dissect_core.CheckpointError
        If config and checkpoint cannot be read or do not belong together.
    """
    paths = image_files(CONTENT_PATH, PATH_IMG)
    detector = open_detector(PATH_CONFIG_FILE, PATH_CHECKPOINT_FILE_BASELINE, device)
    return torch.cat([predict_one(detector, path).pred_instances.bboxes.cpu() for path in tqdm.tqdm(paths)])


def compute_predictions_torch_hub(model: Any, dataset: Any) -> list[Any]:
    """Run a model that takes a list of images, as those of torch.hub do.

    Parameters
    ----------
    model : callable
        Called with a list of one image, without gradients. Put it into evaluation mode first.
    dataset : sequence of (image, target)
        As `get_dataset` gives it: asked for the items ``range(len(dataset))``, and nothing else.

    Returns
    -------
    list
        ``model([image])`` of each image, which is moved to where the model's parameters are.

    Examples
    --------
    >>> compute_predictions_torch_hub(lambda images: {"n": len(images)}, [(torch.zeros(3, 8, 8), "target")])
    [{'n': 1}]
    """
    first = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    found = []
    with torch.no_grad():
        for index in tqdm.tqdm(range(len(dataset))):
            image, _ = dataset[index]
            found.append(model([image if first is None else image.to(first.device)]))
    return found


def compute_mmdet_results_unsorted(
    PATH_CONFIG_FILE: Path | str,
    PATH_CHECKPOINT_FILE_BASELINE: Path | str,
    PATH_COCO: Path | str,
    CONTENT_PATH: Sequence[str] | str,
    PATH_IMG: Path | str,
    device: str,
) -> tuple[torch.Tensor, torch.Tensor, list[dict[str, Any]]]:
    """Raw outputs of a DETR's box head, in the order of its object queries.

    MMDetection sorts predictions by score; here row q is always what query q says.

    Parameters
    ----------
    PATH_CONFIG_FILE, PATH_CHECKPOINT_FILE_BASELINE : Path or str
        A detector whose ``bbox_head`` has ``fc_reg`` and ``fc_cls``: DETR, Conditional DETR, DAB-DETR.
    PATH_COCO : Path or str
        Folder of the data set: where `PATH_IMG` is looked for when it is no folder by itself.
    CONTENT_PATH : sequence of str, or str
        File names of the images, or the folder whose files they are, taken in alphabetical order.
    PATH_IMG : Path or str
        Folder of the images.
    device : str
        For instance ``"cpu"`` or ``"cuda:0"``.

    Returns
    -------
    boxes : torch.Tensor, shape (images, queries, 4)
        Output of ``fc_reg`` for the last decoder layer: logits. For DETR their sigmoid is the normalised box,
        centre x, centre y, width, height.
    classes : torch.Tensor, shape (images, queries, classes or classes + 1)
        Output of ``fc_cls``: logits, in DETR with "no object" as the last one.
    sizes : list of dict
        ``{"name": file name, "width": px, "height": px}`` of each image.

    Raises
    ------
    ConfigError
        If the detector has no such head.
    ImageError
        If there are no images, or one is missing or cannot be decoded.
    """
    folder = Path(PATH_IMG) if Path(PATH_IMG).is_dir() else Path(PATH_COCO) / PATH_IMG
    paths = image_files(CONTENT_PATH, folder)
    detector = open_detector(PATH_CONFIG_FILE, PATH_CHECKPOINT_FILE_BASELINE, device)
    outputs: dict[str, list[torch.Tensor]] = {name: [] for name in HEAD_LAYERS}
    sizes = []
    for path in tqdm.tqdm(paths):
        with _last_outputs(detector) as last:
            sample = predict_one(detector, path)
        for name in HEAD_LAYERS:
            # (layers, 1, queries, values), or without the first axis where a head works layer by layer.
            n_queries, n_values = last[name].shape[-2:]
            outputs[name].append(last[name].reshape(-1, n_queries, n_values)[-1].cpu())
        height, width = sample.ori_shape[:2]  # as the config's loader reads it
        sizes.append({"name": path.name, "width": width, "height": height})
    return torch.stack(outputs["fc_reg"]), torch.stack(outputs["fc_cls"]), sizes


@contextmanager
def _last_outputs(detector: Any) -> Iterator[dict[str, torch.Tensor]]:
    """Record what the layers of the head last gave, for the length of a ``with`` block."""
    head = getattr(detector.model, "bbox_head", None)
    lacking = [name for name in HEAD_LAYERS if not hasattr(head, name)]
    if lacking:
        raise mmdet.ConfigError(
            f"a {type(detector.model).__name__} has no bbox_head.{lacking[0]}: only DETR, Conditional DETR and "
            "DAB-DETR give raw outputs by query."
        )
    last: dict[str, torch.Tensor] = {}

    def recorder(name: str) -> Any:
        return lambda module, inputs, output: last.__setitem__(name, output.detach())

    handles = [getattr(head, name).register_forward_hook(recorder(name)) for name in HEAD_LAYERS]
    try:
        yield last
    finally:
        for handle in handles:
            handle.remove()
