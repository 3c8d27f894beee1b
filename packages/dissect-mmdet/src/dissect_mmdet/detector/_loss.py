"""A detector's own training losses on images with truth, for gradient scores and fitted constants."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dissect_eval import GroundTruth
from dissect_eval.data import ImageTruth, training_truth
from dissect_eval.errors import TruthError

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
    try:
        told = training_truth(images, truth, class_names, class_map)
    except TruthError as error:
        raise AnnotationError(str(error)) from error

    def packed_image(path: Path | str, number: int) -> Any:
        def fields(size: tuple[int, int]) -> dict[str, Any]:
            if differs := told.differing_size(number, size):
                raise ImageError(f"image {path} {differs}")
            return _truth_fields(told.of(number, size))

        packed = pipeline(path, told.image_id(number), fields)
        sample = packed["data_samples"]
        if "bboxes" not in sample.gt_instances or "labels" not in sample.gt_instances:
            raise ConfigError(
                "the test pipeline must keep boxes and labels, which a loss needs, but drops them: end it with "
                "PackDetInputs."
            )
        return packed

    def batches() -> Iterator[Batch]:
        for start in range(0, len(images), batch_size):
            chosen = enumerate(images[start : start + batch_size], start)
            packed = [packed_image(path, number) for number, path in chosen]
            yield {key: [item[key] for item in packed] for key in ("inputs", "data_samples")}

    return batches()


def _truth_fields(objects: ImageTruth) -> dict[str, Any]:
    """Return the entries that MMDetection's `LoadAnnotations` would add to a pipeline's results."""
    from mmdet.structures.bbox import HorizontalBoxes

    return {
        "gt_bboxes": HorizontalBoxes(objects.boxes.astype(np.float32)),
        "gt_bboxes_labels": objects.labels,
        "gt_ignore_flags": objects.iscrowd,
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
