"""A live MMDetection model: its components, its predictions, and ablations that undo themselves."""

from __future__ import annotations

import pickle
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from dissect_core import (
    AblationReport,
    Anatomy,
    AttentionLayout,
    Component,
    DissectError,
    Intervention,
    Mask,
)
from dissect_core.detectors import (
    BaseDetector,
    ImageDetections as ImageDetections,  # imported from here by the rest
)
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

from ..errors import ImageError
from ..weights import Fit
from ._facts import detector_facts, former_facts
from ._loss import batches_with_truth, training_loss
from ._models import use_registries
from ._pipeline import TestPipeline
from ._queries import FIELD, queries_told
from ._roles import detecting_part

Batch = dict[str, Any]


class Processed(NamedTuple):
    """A batch after the model's preprocessor.

    Attributes
    ----------
    inputs : torch.Tensor
    data_samples : list
    version : int
        Version of `inputs` when it was made: a model that changes its input in place spoils it for the next pass.
    """

    inputs: torch.Tensor
    data_samples: list[Any]
    version: int

    def fits(self, model: torch.nn.Module) -> bool:
        """Return whether it is unchanged, and on the model's device."""
        parameter = next(model.parameters(), self.inputs)
        return self.inputs._version == self.version and self.inputs.device == parameter.device


def _copy(batch: Batch) -> Batch:
    """Copy a batch, so that it has samples of its own."""
    return {"inputs": batch["inputs"], "data_samples": [one.clone() for one in batch["data_samples"]]}


def _unpacked(packed: bytes) -> MMDetDetector:
    """Make a detector of what `MMDetDetector` was pickled as."""
    use_registries()
    return MMDetDetector(*pickle.loads(packed))


class MMDetDetector(BaseDetector):
    """A detector of MMDetection whose components can be ablated and restored.

    Made by `open_mmdet`. `predict` and `ablated` are those of `dissect_core.detectors.BaseDetector`.

    Parameters
    ----------
    model : torch.nn.Module
        A detector with `data_preprocessor` and `test_step`, in evaluation mode.
    config : mmengine.config.Config
        Its config, for the test pipeline.
    class_names : tuple of str
        One name for each label.
    fit : Fit
        How the checkpoint's entries matched the model's.

    Attributes
    ----------
    batch_invariant : bool
        False: images of a batch are padded to one size, which shows in the detections of some models.
    """

    adapter = "mmdet"
    batch_invariant = False

    def __init__(self, model: torch.nn.Module, config: Any, class_names: tuple[str, ...], fit: Fit) -> None:
        self.model = model
        self.config = config
        self.class_names = class_names
        self.fit = fit
        self._pipeline: TestPipeline | None = None
        self._anatomy: Anatomy | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Let pickle prepare MMDetection first where it is loaded: only then can the model's classes be imported."""
        return _unpacked, (pickle.dumps((self.model, self.config, self.class_names, self.fit)),)

    def with_model(self, model: torch.nn.Module) -> MMDetDetector:
        """Return the same detector with another model, such as a simplified one."""
        return MMDetDetector(model, self.config, self.class_names, self.fit)

    def raw_outputs(self, batch: Batch) -> Any:
        """Return all outputs of the model's heads, before any selection."""
        with torch.no_grad():
            model: Any = self.model
            given = model.data_preprocessor(_copy(batch), False)
            return model(given["inputs"], given["data_samples"], mode="tensor")

    @property
    def facts(self) -> dict[str, Any]:
        """What must stay the same for a study to go on, beside the weights: config and versions, as plain data.

        With random numbers in the place of missing weights, `missing_weights` says of which, with a `note` for people.
        """
        missing = {} if self.fit.is_whole else {"missing_weights": self.fit.record()}
        return {**detector_facts(self.config), **missing}

    @property
    def turns_by_exif(self) -> bool:
        """Whether the config's loader turns images as their files say (the EXIF tag of cameras)."""
        return self._test_pipeline().turns_by_exif

    @property
    def chooses_queries(self) -> bool:
        """Whether object queries are chosen from each image (``as_two_stage``): query k is then the k-th proposal."""
        return any(getattr(module, "as_two_stage", False) is True for module in self.model.modules())

    @property
    def title(self) -> str:
        """What it is called in reports: the model's class, and the file that its weights are from."""
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
        """Name of the file that its weights are from."""
        return Path(self.fit.checkpoint).name

    @property
    def former_facts(self) -> dict[str, Any]:
        """Facts under the names of the first format of studies, to go on with one of these."""
        return former_facts(self.config)

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
            part, note = detecting_part(self.model)
            found = anatomy_of(self.model, run=self._try, part=part)
            self._anatomy = replace(found, notes=(*found.notes, note)) if note else found
        return self._anatomy

    def _try(self) -> None:
        """Run the model once, over a picture of noise."""
        import cv2

        with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
            path = Path(folder) / "noise.png"
            pixels = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
            cv2.imwrite(str(path), pixels)
            (batch,) = self.prepare([path])
            self.predict_batch(batch)

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
        """Read images through the config's test pipeline, as batches for `predict_batch`.

        Raises
        ------
        ImageError
            If an image is missing or cannot be decoded, or a step of the pipeline stops at it.
        """
        for start in range(0, len(images), batch_size):
            inputs, samples = [], []
            for number, path in enumerate(images[start : start + batch_size], start):
                packed = self._test_pipeline()(path, number)
                inputs.append(packed["inputs"])
                samples.append(packed["data_samples"])
            batch = {"inputs": inputs, "data_samples": samples}
            paths = [str(path) for path in images[start : start + batch_size]]
            try:
                processed = self._processed(batch)
            except Exception as error:
                self._blame(paths, "the model's preprocessor", error)
                raise
            yield {**batch, "processed": processed, "paths": paths}

    def image_sizes(self, batch: Batch) -> list[tuple[int, int] | None]:
        """Return width and height of each image as the config's loader read it; None if unknown."""
        shapes = [sample.get("ori_shape") for sample in batch["data_samples"]]
        return [None if shape is None else (int(shape[1]), int(shape[0])) for shape in shapes]

    def _processed(self, batch: Batch) -> Processed | None:
        """Run the model's preprocessor on a batch: the result is the same for all variants, as it has no parameters."""
        from mmengine.model import BaseModel

        if getattr(type(self.model), "test_step", None) is not BaseModel.test_step:
            return None  # a model that does more in a step gets the images as they are
        ready = _copy(batch)
        parameter = next(self.model.parameters(), None)
        if parameter is not None and parameter.device.type == "cuda":
            # From pinned memory the copy goes on beside the accelerator's work.
            ready["inputs"] = [
                x.pin_memory().to(parameter.device, non_blocking=True) for x in ready["inputs"]
            ]
        with torch.no_grad():
            made = self.model.data_preprocessor(ready, False)  # type: ignore[operator]
        inputs = made["inputs"]
        return (
            Processed(inputs, made["data_samples"], inputs._version)
            if isinstance(inputs, torch.Tensor)
            else None
        )

    def prepare_with_truth(
        self,
        images: Sequence[Path | str],
        truth: GroundTruth,
        batch_size: int = 1,
        *,
        class_map: Mapping[str, str | None] | None = None,
    ) -> Iterator[Batch]:
        """Like `prepare`, with each image's truth in its sample, scaled with the image, as batches for `loss`.

        Parameters
        ----------
        images : sequence of Path or str
            Files that `truth` lists; their paths end with a file name there.
        truth : dissect_eval.GroundTruth
            Categories are recognised by name; see `batches_with_truth` for boxes that do not count.
        batch_size : int
        class_map : mapping of str to (str or None), optional
            For names of the detector the truth's names, where these differ; see `dissect_eval.match_classes`.

        Raises
        ------
        AnnotationError
            If an image is not in `truth`, no category is a class of the detector, or one is several.
        ImageError
            If an image is missing or cannot be decoded.
        """
        return batches_with_truth(
            self._test_pipeline(), images, truth, self.class_names, batch_size, class_map
        )

    def loss(self, batch: Batch) -> torch.Tensor:
        """Sum of the detector's own training losses on one batch of `prepare_with_truth`, with nothing left to chance.

        Returns
        -------
        torch.Tensor
            A scalar, with a graph even where the caller has gradients off; equal for equal weights and batches.

        Raises
        ------
        DissectMMDetError
            If the detector learns from masks, or the batch holds no truth.

        Examples
        --------
        >>> import tempfile
        >>> from dissect_mmdet import open_mmdet
        >>> from dissect_mmdet.demo import demo_files, write_split
        >>> detector = open_mmdet(checkpoint=demo_files("detr").checkpoint)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     images, annotations = write_split(folder, "test", 2)
        ...     truth = GroundTruth.from_coco(annotations)
        ...     (batch,) = detector.prepare_with_truth(sorted(images.glob("*.png")), truth, batch_size=2)
        >>> bool(detector.loss(batch) > 0)
        True
        """
        return training_loss(self.model, batch)

    def predict_batch(self, batch: Batch) -> list[ImageDetections]:
        """Run the model on one batch of `prepare`; the batch can be used again."""
        with queries_told(self.model):
            return _detections([sample.pred_instances for sample in self.predict_samples(batch)])

    def predict_named(self, batch: Batch) -> list[ImageDetections]:
        """Like `predict_batch`, with an `ImageError` that names the image where the model stops at one."""
        try:
            return self.predict_batch(batch)
        except Exception as error:
            self._blame(batch["paths"], "the model", error)
            raise

    def _blame(self, paths: Sequence[str], what: str, error: Exception) -> None:
        """Raise an `ImageError` that names the image at which the model stopped, found by running each alone.

        The accelerator's memory is no image's fault.
        """
        if isinstance(error, (DissectError, MemoryError, torch.OutOfMemoryError)):
            return
        if len(paths) > 1:
            for path in paths:
                self.predict(path)
        names = f"image {paths[0]}" if len(paths) == 1 else f"images {', '.join(paths)} together"
        told = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
        raise ImageError(f"{names}: {what} stops there: {told}") from error

    def predict_samples(self, batch: Batch) -> list[Any]:
        """Like `predict_batch`, giving MMDetection's own ``DetDataSample`` objects."""
        # The model writes predictions into the samples: give it copies, so that a batch serves many variants.
        ready = batch.get("processed")
        if ready is not None and not ready.fits(self.model):
            ready = None
        with torch.no_grad(), warnings.catch_warnings():
            # MMDetection calls meshgrid and autocast in ways that torch deprecates; no user can act on it.
            warnings.filterwarnings("ignore", message="torch.meshgrid", category=UserWarning)
            warnings.filterwarnings("ignore", message=r".*torch\.cuda\.amp", category=FutureWarning)
            samples: list[Any]
            if ready is None:
                samples = self.model.test_step(_copy(batch))  # type: ignore[operator]
            else:
                data = {"inputs": ready.inputs, "data_samples": [one.clone() for one in ready.data_samples]}
                samples = self.model._run_forward(data, mode="predict")  # type: ignore[operator]
        return samples

    def predict_batches(self, batches: Iterable[Batch]) -> list[ImageDetections]:
        """Return the detections of prepared batches, one entry for each image."""
        return [found for batch in batches for found in self.predict_batch(batch)]

    def _test_pipeline(self) -> TestPipeline:
        if self._pipeline is None:
            self._pipeline = TestPipeline(self.config, self.class_names)
        return self._pipeline


def _detections(found: Sequence[Any]) -> list[ImageDetections]:
    """Return detections of a batch's images, fetched from the device at once: each transfer waits for all its work."""
    told = all(FIELD in one for one in found)
    names = ("scores", "labels", *([FIELD] if told else []))
    columns = [
        torch.cat([one.bboxes.double(), *(one.get(name).double()[:, None] for name in names)], dim=1)
        for one in found
    ]
    whole = torch.cat(columns).detach().cpu().numpy()
    ends = np.cumsum([len(each) for each in columns])
    return [
        ImageDetections(
            rows[:, :4].copy(),
            rows[:, 4].copy(),
            rows[:, 5].astype(np.int64),
            rows[:, 6].astype(np.int64) if told else None,
        )
        for rows in np.split(whole, ends[:-1])
    ]
