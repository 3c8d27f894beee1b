"""What each object query of a DETR says: raw outputs of its head, before anything is sorted or cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from dissect_mmdet import MMDetDetector
from dissect_mmdet.errors import ConfigError

from ._detectors import image_files, open_detector, predict_one

HEAD_LAYERS = ("fc_reg", "fc_cls")


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
    for path in tqdm(paths):
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
def _last_outputs(detector: MMDetDetector) -> Iterator[dict[str, torch.Tensor]]:
    """Record what the layers of the head last gave, for the length of a ``with`` block."""
    head = getattr(detector.model, "bbox_head", None)
    lacking = [name for name in HEAD_LAYERS if not hasattr(head, name)]
    if lacking:
        raise ConfigError(
            f"a {type(detector.model).__name__} has no bbox_head.{lacking[0]}: raw outputs by query "
            "can be had from DETR, Conditional DETR and DAB-DETR."
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
