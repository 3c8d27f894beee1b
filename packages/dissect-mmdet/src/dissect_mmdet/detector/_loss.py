"""A detector's own training losses on images with truth, for gradient scores and fitted constants."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dissect_eval import GroundTruth, match_classes

from ..errors import AnnotationError, ConfigError, DissectMMDetError, ImageError
from ._models import fixed_chance
from ._pipeline import TestPipeline

Batch = dict[str, Any]
SEED = 0
"""Seed of random numbers in a loss: always the same, so that two losses differ by the model alone."""


def batches_with_truth(
    pipeline: TestPipeline,
    images: Sequence[Path | str],
    truth: GroundTruth,
    class_names: Sequence[str],
    batch_size: int = 1,
    class_map: Mapping[str, str | None] | None = None,
) -> Iterator[Batch]:
    """Return batches for `training_loss`: images and their truth, passed through a test pipeline.

    The pipeline scales, clips or flips boxes with their image, as it does in training. The rules are those of
    MMDetection's ``CocoDataset``: crowd boxes go to ``ignored_instances``; left out are boxes marked ``ignore``,
    of a side below one pixel, without area, outside the image, or of a category that is no class.

    Parameters
    ----------
    pipeline : TestPipeline
    images : sequence of Path or str
        Files that `truth` lists: their paths end with a file name there. Images without boxes are included.
    truth : GroundTruth
    class_names : sequence of str
        Name of each label. Categories are recognised by name.
    batch_size : int
    class_map : mapping of str to (str or None), optional
        The truth's name for each name of the detector that differs from it, or None to leave the class out.

    Returns
    -------
    iterator of dict
        Samples hold ``gt_instances`` with ``bboxes`` (n, 4) of float32, xyxy in pixels of the network's input, and
        ``labels`` (n,) of int64.

    Raises
    ------
    AnnotationError
        If an image is not in `truth`, or no category is a class; before anything is read.
    ImageError
        If an image is missing, cannot be decoded, or is of another size than annotated.
    ConfigError
        If the pipeline drops the truth.

    Examples
    --------
    See `MMDetDetector.loss`.
    """
    labels = _labels(truth, class_names, class_map)
    indices = _indices_in_truth(images, truth)

    def packed_image(path: Path | str, index: int) -> Any:
        def fields(size: tuple[int, int]) -> dict[str, Any]:
            _require_size(path, size, truth.image_sizes[index])
            return _truth_fields(truth, index, labels, size)

        packed = pipeline(path, int(truth.image_ids[index]), fields)
        sample = packed["data_samples"]
        if "bboxes" not in sample.gt_instances or "labels" not in sample.gt_instances:
            raise ConfigError(
                "the test pipeline must keep boxes and labels, which a loss needs, but drops them: end it with "
                "PackDetInputs."
            )
        return packed

    def batches() -> Iterator[Batch]:
        for start in range(0, len(images), batch_size):
            chosen = slice(start, start + batch_size)
            pairs = zip(images[chosen], indices[chosen], strict=True)
            packed = [packed_image(path, index) for path, index in pairs]
            yield {key: [item[key] for item in packed] for key in ("inputs", "data_samples")}

    return batches()


def _labels(
    truth: GroundTruth, class_names: Sequence[str], class_map: Mapping[str, str | None] | None
) -> dict[int, int]:
    """Return the detector's label of each category that is a class."""
    if class_map is None and not set(class_names) & set(truth.category_names.values()):
        raise AnnotationError(
            f"the detector's classes ({', '.join(class_names[:3])}, …) and the truth's categories "
            f"({', '.join(list(truth.category_names.values())[:3])}, …) have no name in common: is it the truth of "
            "another data set? A `class_map` (--class-map FILE) pairs names that differ."
        )
    match = match_classes(truth, class_names, common_classes=True, class_map=class_map)
    labels: dict[int, int] = {}
    for label, category in enumerate(match.categories.tolist()):
        if category in labels:
            names = [class_names[labels[category]], class_names[label]]
            raise AnnotationError(
                f"a loss needs one class for each category of the truth, but `class_map` gives "
                f"{truth.category_names[category]!r} to {' and '.join(map(repr, names))}. Select by weight_norm, or "
                "map one class to it."
            )
        if category in truth.category_names:
            labels[category] = label
    return labels


def _indices_in_truth(images: Sequence[Path | str], truth: GroundTruth) -> list[int]:
    """Return the index of each image in the truth, by the longest end of its path that is a file name there."""
    listed: dict[str, int] = {}
    repeated: set[str] = set()
    for index, name in enumerate(truth.file_names):
        file_name = Path(name).as_posix()
        repeated |= {file_name} & listed.keys()
        listed[file_name] = index
    indices = []
    for path in images:
        parts = Path(path).parts
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        listed_name = next((end for end in (Path(path).as_posix(), *ends) if end in listed), None)
        if listed_name is None or listed_name in repeated:
            how_often = "not among" if listed_name is None else "more than once among"
            raise AnnotationError(
                f"image {path}: must be one of the truth's file names, but is {how_often} its "
                f"{len(truth.file_names)} ({', '.join(truth.file_names[:2])}, …). Give the truth of these images."
            )
        indices.append(listed[listed_name])
    return indices


def _require_size(path: Path | str, read: tuple[int, int], annotated: NDArray[np.float64]) -> None:
    """Refuse an image of another size than the annotated one: its true boxes would lie elsewhere in it."""
    if not np.isnan(annotated).any() and tuple(annotated) != read:
        raise ImageError(
            f"image {path} is read as {read[0]} x {read[1]} pixels, but was annotated as {annotated[0]:g} x "
            f"{annotated[1]:g}: its true boxes would lie elsewhere in it. Take the images that were annotated, or "
            "correct their `width` and `height` in the annotation file if only these are wrong."
        )


def _truth_fields(
    truth: GroundTruth, index: int, labels: Mapping[int, int], size: tuple[int, int]
) -> dict[str, Any]:
    """Return the entries that MMDetection's `LoadAnnotations` would add to a pipeline's results."""
    from mmdet.structures.bbox import HorizontalBoxes

    rows = slice(truth.image_splits[index], truth.image_splits[index + 1])
    boxes, category_ids = truth.boxes[rows], truth.category_ids[rows]
    inside = np.minimum(boxes[:, 2:], size) - np.maximum(boxes[:, :2], 0)
    kept = (inside > 0).all(axis=1) & (truth.sizes[rows] >= 1).all(axis=1) & (truth.area[rows] > 0)
    kept &= ~truth.ignore[rows] & np.isin(category_ids, list(labels))
    return {
        "gt_bboxes": HorizontalBoxes(boxes[kept].astype(np.float32)),
        "gt_bboxes_labels": np.array([labels[int(i)] for i in category_ids[kept]], dtype=np.int64),
        "gt_ignore_flags": truth.iscrowd[rows][kept],
    }


def training_loss(model: Any, batch: Batch, seed: int = SEED) -> Tensor:
    """Return the sum of a detector's own training losses on a batch, with random numbers from a seed.

    Parameters
    ----------
    model : torch.nn.Module
        A detector of MMDetection, on any device. Its mode and the states of random generators are restored.
    batch : dict
        A batch of `batches_with_truth`; it can be used again.
    seed : int
        Seed of the random numbers in a loss: denoising queries, sampled proposals.

    Returns
    -------
    torch.Tensor
        A scalar, with a graph even where the caller has gradients off.

    Raises
    ------
    DissectMMDetError
        If the detector learns from masks, which boxes cannot replace, or the batch holds no truth.

    Notes
    -----
    All modules are in evaluation mode: no dropout, batch norms with their own statistics. Only the detector, its
    decoder and heads with a loss have their flag `training` set, because they choose by it what to compute: DINO its
    denoising queries, DDQ its dense ones. Layers inside them stay in evaluation mode.
    """
    if getattr(model, "with_mask", False):
        raise DissectMMDetError(
            f"{type(model).__name__} learns from masks, and its loss needs them, but truth holds boxes only. Take a "
            "detector of boxes, or a score that needs no loss (`weight_norm`)."
        )
    if not all("bboxes" in sample.get("gt_instances", {}) for sample in batch["data_samples"]):
        raise DissectMMDetError(
            "`batch` must hold truth for each image, which a loss needs, but one has none. Make it with "
            "`prepare_with_truth`."
        )
    # MMDetection writes into samples: give it copies, so that a batch serves many variants.
    fresh = {"inputs": batch["inputs"], "data_samples": [sample.clone() for sample in batch["data_samples"]]}
    device = next(model.parameters()).device
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(_loss_mode(model))
        stack.enter_context(fixed_chance(device, seed))
        stack.enter_context(warnings.catch_warnings())
        # MMDetection calls torch in ways that torch advises against; no user can act on it.
        for message in ("torch.meshgrid", "To copy construct from a tensor"):
            warnings.filterwarnings("ignore", message=message, category=UserWarning)
        warnings.filterwarnings("ignore", message=r".*torch\.cuda\.amp", category=FutureWarning)
        # Through the model's call, not its method `loss`: its hooks, such as those of an ablation, must see this pass.
        losses = model(**model.data_preprocessor(fresh, False), mode="loss")
        total, _ = model.parse_losses(losses)
    return torch.as_tensor(total)


@contextmanager
def _loss_mode(model: Any) -> Iterator[None]:
    """Set evaluation mode for a block, except for the flags by which a detector chooses what its loss needs."""
    before = [(module, module.training, set(module._modules)) for module in model.modules()]
    choosing = [model, getattr(model, "decoder", None)]
    choosing += [module for module, *_ in before if callable(getattr(module, "loss", None))]
    try:
        model.eval()
        for module in choosing:
            if isinstance(module, torch.nn.Module):
                module.training = True  # not train(), which would reach the layers inside
        yield
    finally:
        for module, training, children in before:
            module.training = training
            # DDQ adds branches of its head to its decoder, where they would count as more parameters.
            for name in set(module._modules) - children:
                del module._modules[name]
