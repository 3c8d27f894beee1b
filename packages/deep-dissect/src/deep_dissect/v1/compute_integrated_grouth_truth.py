"""Run detectors over images, and put the ground truth beside what they predict. Spelt as in version 1.0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from . import _lazy
from ._detectors import inference_detector, init_detector, open_detector, predict_one
from ._mmdet import mmdet
from .utility import load_annotations, parse_image_id_from_path

if TYPE_CHECKING:
    from mmengine.structures import InstanceData

__all__ = [
    "InstanceData",
    "inference_detector",
    "init_detector",
    "integrate_ground_truth",
    "load_annotations",
    "parse_image_id_from_path",
    "run_inference_and_integrate_ground_truth",
    "torch",
]


def __getattr__(name: str) -> Any:
    return _lazy.attribute(__name__, name)


def integrate_ground_truth(det_data_sample: Any, annotations: Mapping[str, Any], img_id: int) -> Any:
    """Add the ground truth of an image to its detection sample.

    Parameters
    ----------
    det_data_sample : mmdet.structures.DetDataSample
        Changed in place.
    annotations : mapping
        Content of an annotation file, as `load_annotations` gives it.
    img_id : int
        COCO's id of the image.

    Returns
    -------
    mmdet.structures.DetDataSample
        The same sample, with ``gt_instances``: ``bboxes`` (n, 4) of float32, xyxy in pixels of the original
        image, and ``labels`` (n,), COCO's category ids; crowd included; on the device of the predictions.

    Raises
    ------
    dissect_eval.BoxError
        If a box is not finite or has a negative size.
    """
    return mmdet.set_truth(
        det_data_sample, [a for a in annotations["annotations"] if a["image_id"] == img_id]
    )


def run_inference_and_integrate_ground_truth(
    PATH_CONFIG_FILE: Path | str,
    PATH_CHECKPOINT_FILE: Path | str,
    PATH_ANNOTATIONS: Path | str,
    full_paths: Sequence[Path | str],
    device: str,
) -> list[Any]:
    """Run a detector over images one by one, and add the ground truth to each result.

    Parameters
    ----------
    PATH_CONFIG_FILE : Path or str
        Config of the detector. A config is a program: use only those that you trust.
    PATH_CHECKPOINT_FILE : Path or str
        Its weights, read without running code.
    PATH_ANNOTATIONS : Path or str
        COCO annotation file of the images.
    full_paths : sequence of Path or str
        The images. Their ids are found by file name in the annotation file, else the name must be the id.
    device : str
        For instance ``"cpu"`` or ``"cuda:0"``.

    Returns
    -------
    list of mmdet.structures.DetDataSample
        In the order of the paths, with ``pred_instances`` and ``gt_instances``. The names of the detector's
        classes and of the file's categories are kept with them, for the metric functions.

    Raises
    ------
    ImageError
        If there are no paths, or an image is missing or cannot be decoded.
    AnnotationError
        If the annotation file cannot be read, or knows none of the images.
    dissect_mmdet.DissectMMDetError, dissect_core.CheckpointError
        If config and checkpoint cannot be read or do not belong together.
    """
    content = mmdet.read_annotations(PATH_ANNOTATIONS)
    image_ids = _image_ids(content, full_paths, PATH_ANNOTATIONS)
    truth = mmdet.annotations_by_image(content["annotations"])
    detector = open_detector(PATH_CONFIG_FILE, PATH_CHECKPOINT_FILE, device)
    samples = []
    for path, image_id in zip(tqdm(full_paths), image_ids, strict=True):
        sample = predict_one(detector, path)
        sample.set_metainfo({"img_id": image_id})
        samples.append(mmdet.set_truth(sample, truth.get(image_id, [])))
    categories = {category["id"]: category["name"] for category in content.get("categories", [])}
    if categories:
        mmdet.set_naming(samples, mmdet.Naming(detector.class_names, categories))
    return samples


def _image_ids(content: Mapping[str, Any], paths: Sequence[Path | str], source: Path | str) -> list[int]:
    """Return COCO's id of each image; refuse an annotation file that knows none of the images."""
    if not paths:
        raise mmdet.ImageError("no images: `full_paths` is empty. Has the glob pattern matched nothing?")
    images = content["images"]
    by_name = {Path(str(image.get("file_name"))).name: image["id"] for image in images}
    found = [by_name.get(Path(path).name) for path in paths]
    image_ids = [
        parse_image_id_from_path(path) if number is None else number
        for path, number in zip(paths, found, strict=True)
    ]
    if images and not {image["id"] for image in images} & set(image_ids):
        raise mmdet.AnnotationError(
            f"annotations {source}: knows none of the {len(paths)} images, the first is {paths[0]}. "
            "Is it the annotation file of another split?"
        )
    return image_ids
