"""A live detector of Transformers: its components, its predictions, and ablations that undo themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dissect_core import AblationReport, Anatomy, AttentionLayout, Component, DissectError, Intervention, Mask
from dissect_core.detectors import BaseDetector, ImageDetections
from dissect_core.plan import Variant
from dissect_core.torch import (
    Reference,
    VariantReport,
    ablated,
    anatomy_of,
    attention_layouts,
    components_of,
)
from dissect_eval import GroundTruth
from dissect_eval.data import TrainingTruth, training_truth
from dissect_eval.errors import TruthError

from ..errors import AnnotationError, PictureError, ProcessorError, said
from ._facts import detector_facts
from ._found import detections
from ._images import read_image
from ._loss import annotations_of, training_loss

INPUTS = ("pixel_values", "pixel_mask")
"""What a model is given of what its processor makes, as far as the model takes it."""


@dataclass(frozen=True)
class Batch:
    """Images ready for the model.

    Attributes
    ----------
    inputs : dict of str to torch.Tensor
        ``pixel_values``, shape (n, 3, height, width); where images were padded, ``pixel_mask``, (n, height, width), 1
        on pixels of the image.
    sizes : list of (height, width)
        Of each image in pixels, as it was read.
    paths : list of str
    labels : list of dict, or None
        With truth, as the model's loss takes it: ``class_labels`` (n,) and ``boxes`` (n, 4), centre, width and height
        as shares of the padded input.
    """

    inputs: dict[str, torch.Tensor]
    sizes: list[tuple[int, int]]
    paths: list[str]
    labels: list[dict[str, torch.Tensor]] | None = None


class TransformersDetector(BaseDetector):
    """A detector of Transformers whose components can be ablated and restored.

    Made by `open_transformers`. `predict` and `ablated` are those of `dissect_core.detectors.BaseDetector`.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A detector in evaluation mode, whose outputs have ``logits`` and ``pred_boxes``.
    processor : image processor
        That of its family: it prepares images, and turns outputs into boxes.
    class_names : tuple of str
        One name for each label.
    source : str
        Where it is from: a folder, an id on the Hub; empty for an object that was given.

    Attributes
    ----------
    batch_invariant : bool
        False: images of a batch are padded to one size, which shows in the detections of some models.
    turns_by_exif : bool
        True: images are turned as their files say.
    """

    adapter = "transformers"
    batch_invariant = False
    turns_by_exif = True

    def __init__(self, model: Any, processor: Any, class_names: tuple[str, ...], source: str = "") -> None:
        self.model = model
        self.processor = processor
        self.class_names = class_names
        self.source = source
        self._anatomy: Anatomy | None = None

    def with_model(self, model: torch.nn.Module) -> TransformersDetector:
        """Return the same detector with another model, such as a simplified one."""
        return TransformersDetector(model, self.processor, self.class_names, self.source)

    @property
    def facts(self) -> dict[str, Any]:
        """What must stay the same for a study to go on, beside the weights: config, processor and versions."""
        return detector_facts(self.model, self.processor)

    @property
    def chooses_queries(self) -> bool:
        """Whether object queries are chosen from each image: query k is then the k-th proposal of the encoder.

        Every two-stage model of Transformers has a layer ``enc_output``, from whose values it chooses.
        """
        return any(name.rpartition(".")[2] == "enc_output" for name, _ in self.model.named_modules())

    @property
    def title(self) -> str:
        """What it is called in reports: the model's class, and where its weights are from."""
        return f"{self.model_class}{f' of {self.checkpoint}' if self.checkpoint else ''}"

    @property
    def model_class(self) -> str:
        """Name of the model's class."""
        return type(self.model).__name__

    @property
    def n_parameters(self) -> int:
        """Values in all parameters, each shared one once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def device(self) -> str:
        """Where the model is, such as ``"cuda:0"``."""
        parameter = next(self.model.parameters(), None)
        return "" if parameter is None else str(parameter.device)

    @property
    def checkpoint(self) -> str:
        """Name of the folder that its weights are from, or id of the model on the Hub."""
        return Path(self.source).name if Path(self.source).is_dir() else self.source

    @property
    def components(self) -> tuple[Component, ...]:
        """Every parameter, in the model's own order."""
        return components_of(self.model)

    @property
    def attention(self) -> dict[str, AttentionLayout]:
        """The layout of each attention block, by module path."""
        return attention_layouts(self.model)

    @property
    def anatomy(self) -> Anatomy:
        """Components with their roles, blocks and units: all that a study can aim at; read from the model once.

        Rows of query embeddings are queries as far as a pass over a picture of noise reads them.
        """
        if self._anatomy is None:
            self._anatomy = anatomy_of(self.model, run=self.try_out)
        return self._anatomy

    def try_out(self) -> None:
        """Run the model once, over a picture of noise.

        Raises
        ------
        ModelError
            If its outputs are not those of a detector of boxes.
        """
        pixels = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
        with torch.random.fork_rng(devices=[]):
            self.predict_batch(self._batch([Image.fromarray(pixels)], ["a picture of noise"]))

    def apply_variant(
        self, variant: Variant, /, *, reference: Reference | None = None
    ) -> AbstractContextManager[VariantReport]:
        """Apply a variant for the length of a ``with`` block; `ablated` calls this."""
        return ablated(self.model, variant, reference=reference)

    def apply_masks(
        self, masks: Mapping[str, Mask], intervention: Intervention, /
    ) -> AbstractContextManager[AblationReport]:
        """Apply masks of parameters for the length of a ``with`` block; `ablated` calls this."""
        return ablated(self.model, masks, intervention)

    def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Batch]:
        """Read images through the model's image processor, as batches for `predict_batch`.

        Raises
        ------
        PictureError
            If an image is missing or cannot be decoded.
        ProcessorError
            If the processor stops at a batch.
        """
        for start in range(0, len(images), batch_size):
            paths = [str(path) for path in images[start : start + batch_size]]
            yield self._batch([read_image(path) for path in paths], paths)

    def prepare_with_truth(
        self,
        images: Sequence[Path | str],
        truth: GroundTruth,
        batch_size: int = 1,
        *,
        class_map: Mapping[str, str | None] | None = None,
    ) -> Iterator[Batch]:
        """Like `prepare`, with each image's truth as the model's loss takes it, as batches for `loss`.

        Parameters
        ----------
        images : sequence of Path or str
            Files that `truth` lists; their paths end with a file name there.
        truth : dissect_eval.GroundTruth
            Categories are recognised by name; see `dissect_eval.data.TrainingTruth.of` for
            boxes that do not count; crowds are left out.
        batch_size : int
        class_map : mapping of str to (str or None), optional
            For names of the detector the truth's names, where these differ; see `dissect_eval.match_classes`.

        Raises
        ------
        AnnotationError
            If an image is not in `truth`, no category is a class of the detector, or one is several.
        PictureError
            If an image is missing, cannot be decoded, or is of another size than annotated.
        """
        try:
            told = training_truth(images, truth, self.class_names, class_map)
        except TruthError as error:
            raise AnnotationError(str(error)) from error
        return self._with_truth(images, told, batch_size)

    def _with_truth(
        self, images: Sequence[Path | str], told: TrainingTruth, batch_size: int
    ) -> Iterator[Batch]:
        for start in range(0, len(images), batch_size):
            paths = [str(path) for path in images[start : start + batch_size]]
            read = [read_image(path) for path in paths]
            for number, (path, image) in enumerate(zip(paths, read, strict=True), start):
                if differs := told.differing_size(number, image.size):
                    raise PictureError(f"image {path} {differs}")
            objects = [told.of(number, image.size) for number, image in enumerate(read, start)]
            yield self._batch(read, paths, [annotations_of(one) for one in objects])

    def image_sizes(self, batch: Batch) -> list[tuple[int, int] | None]:
        """Return width and height of each image as it was read."""
        return [(width, height) for height, width in batch.sizes]

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the model's own training loss on one batch of `prepare_with_truth`, with nothing left to chance.

        Returns
        -------
        torch.Tensor
            A scalar, with a graph even where the caller has gradients off; equal for equal weights and batches.

        Raises
        ------
        DissectTransformersError
            If the model has no loss, or the batch holds no truth.
        """
        return training_loss(self.model, batch.inputs, batch.labels)

    def raw_outputs(self, batch: Batch) -> Any:
        """Return all outputs of the model, before any selection."""
        with torch.no_grad():
            outputs = self.model(**batch.inputs)
        return outputs.logits, outputs.pred_boxes

    def predict_batch(self, batch: Batch) -> list[ImageDetections]:
        """Run the model on one batch of `prepare`; the batch can be used again.

        Boxes, scores and labels are those of the processor's ``post_process_object_detection`` with a threshold of 0.
        """
        with torch.no_grad():
            return detections(self.processor, self.model(**batch.inputs), batch.sizes)

    def predict_named(self, batch: Batch) -> list[ImageDetections]:
        """Like `predict_batch`, with a `PictureError` that names the image where the model stops at one."""
        try:
            return self.predict_batch(batch)
        except (
            DissectError,
            MemoryError,
            torch.OutOfMemoryError,
        ):  # the accelerator's memory is no image's fault
            raise
        except Exception as error:
            names = f"image {batch.paths[0]}" if len(batch.paths) == 1 else f"one of {', '.join(batch.paths)}"
            raise PictureError(f"{names}: the model stops there: {said(error)}") from error

    def _batch(
        self, images: list[Image.Image], paths: list[str], annotations: list[dict[str, Any]] | None = None
    ) -> Batch:
        """Return images as the processor makes them for the model, on the model's device and in its precision."""
        given = {} if annotations is None else {"annotations": annotations}
        try:
            made = self.processor(images=images, return_tensors="pt", **given)
        except MemoryError:
            raise
        except Exception as error:  # whatever a processor says of an odd image
            raise ProcessorError(
                f"the image processor {type(self.processor).__name__} stops at {', '.join(paths)}: {said(error)}"
            ) from error
        taken = inspect.signature(self.model.forward).parameters
        inputs = {name: self._placed(made[name]) for name in INPUTS if name in made and name in taken}
        labels = None
        if annotations is not None:
            labels = [
                {name: self._placed(one[name]) for name in ("class_labels", "boxes")}
                for one in made["labels"]
            ]
        return Batch(inputs, [(image.height, image.width) for image in images], paths, labels)

    def _placed(self, values: Any) -> torch.Tensor:
        parameter = next(self.model.parameters())
        tensor = torch.as_tensor(values).clone()  # at an address of torch's choice: kernels round by it
        if tensor.is_floating_point():
            tensor = tensor.to(parameter.dtype)
        if (
            parameter.device.type == "cuda"
        ):  # from pinned memory the copy goes on beside the accelerator's work
            return tensor.pin_memory().to(parameter.device, non_blocking=True)
        return tensor.to(parameter.device)
