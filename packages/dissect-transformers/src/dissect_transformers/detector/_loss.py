"""A detector's own training loss on images with truth: what gradient scores and fitted constants go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from dissect_eval.data import ImageTruth

from ..errors import DissectTransformersError, said

SEED = 0
"""Seed of random numbers in a loss: always the same, so that two losses differ by the model alone."""


def annotations_of(objects: ImageTruth) -> dict[str, Any]:
    """Return the truth of one image in COCO's format, as image processors take it; crowds are left out.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(1)
    >>> told = annotations_of(ImageTruth(7, np.array([[1.0, 2, 5, 9]]), one.astype(int), one, one < 0))
    >>> told["annotations"][0]["bbox"], told["annotations"][0]["category_id"]
    ([1.0, 2.0, 4.0, 7.0], 1)
    """
    rows = zip(
        objects.boxes.tolist(),
        objects.labels.tolist(),
        objects.area.tolist(),
        objects.iscrowd.tolist(),
        strict=True,
    )
    return {
        "image_id": objects.image_id,
        "annotations": [
            {
                "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
                "category_id": label,
                "area": area,
                "iscrowd": 0,
            }
            for (x_min, y_min, x_max, y_max), label, area, is_crowd in rows
            if not is_crowd
        ],
    }


def training_loss(
    model: Any,
    inputs: Mapping[str, torch.Tensor],
    labels: Sequence[Mapping[str, torch.Tensor]] | None,
    seed: int = SEED,
) -> torch.Tensor:
    """Return a detector's own training loss on a batch, with nothing left to chance.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        On any device, in evaluation mode: no dropout, no denoising queries. States of random generators are left as
        found.
    inputs : mapping of str to Tensor
        What the model takes beside labels.
    labels : sequence of mapping, or None
        One for each image, with ``class_labels`` and ``boxes``.
    seed : int
        Seed of random numbers in a loss.

    Returns
    -------
    torch.Tensor
        A scalar, with a graph even where the caller has gradients off.

    Raises
    ------
    DissectTransformersError
        If the batch holds no truth, or the model has no loss for it.
    """
    if labels is None:
        raise DissectTransformersError(
            "`batch` must hold truth for each image to have a loss, got one without. Make it with "
            "`prepare_with_truth`."
        )
    device = next(model.parameters()).device
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
    ):
        torch.manual_seed(seed)
        try:
            # The loss may write into labels: it gets copies, so that a batch serves many variants.
            fresh = [{name: values.clone() for name, values in one.items()} for one in labels]
            loss = model(**inputs, labels=fresh).loss
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever a loss says of what it cannot do
            raise DissectTransformersError(
                f"{type(model).__name__} has no loss on this batch: {said(error)}. Select by a score that needs no "
                "loss (`weight_norm`)."
            ) from error
    if not isinstance(loss, torch.Tensor):
        raise DissectTransformersError(
            f"{type(model).__name__} gives no loss for labels. Select by a score that needs no loss (`weight_norm`)."
        )
    return loss
