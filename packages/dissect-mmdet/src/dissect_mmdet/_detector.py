"""A live MMDetection model: its components, its predictions, and ablations that undo themselves."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dissect_core import AblationReport, AttentionLayout, Component, Intervention, Mask, Zero
from dissect_core.torch import ablated, attention_layouts, components_of, state_dict_of

from ._checkpoints import load_mmdet_checkpoint
from ._config import checked_config, config_of_checkpoint, load_config
from ._fit import MIN_MATCH, compare_state, require_fit
from ._images import read_image
from ._runtime import require_mmdet
from .errors import CheckpointFitError, ConfigError, DeviceError

Batch = dict[str, Any]


class ImageDetections(NamedTuple):
    """What a detector found in one image.

    Attributes
    ----------
    boxes : ndarray of float64, shape (n, 4)
        ``x_min, y_min, x_max, y_max`` in pixels of the original image.
    scores : ndarray of float64, shape (n,)
        Confidence in [0, 1].
    labels : ndarray of int64, shape (n,)
        Contiguous class index, into the detector's `class_names`.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]


def open_mmdet(
    *,
    config: Path | str | Any | None = None,
    checkpoint: Path | str,
    device: str = "cpu",
    trust: bool = False,
    min_match: float = MIN_MATCH,
) -> MMDetDetector:
    """Open a trained MMDetection model for ablation.

    Parameters
    ----------
    config : Path, str or mmengine Config, optional
        Left out, the config that MMEngine stored in the checkpoint is used, if it is made of literals only.
    checkpoint : Path or str
        Read with ``weights_only=True`` unless `trust`.
    device : str
        For instance ``"cpu"`` or ``"cuda:0"``.
    trust : bool
        Let the checkpoint run code while it is read. Only for files of your own.
    min_match : float
        Smallest share of state-dict entries that must match, in [0, 1].

    Returns
    -------
    MMDetDetector

    Raises
    ------
    ConfigError, CheckpointFitError, DeviceError, MissingDependencyError, dissect_core.CheckpointError
        See their messages: each names the file, the rule and the remedy.

    Examples
    --------
    >>> from dissect_mmdet.demo import demo_files
    >>> files = demo_files("detr")
    >>> detector = open_mmdet(config=files.config, checkpoint=files.checkpoint)
    >>> detector.class_names
    ('circle', 'square', 'triangle', 'star', 'ring', 'cross')
    """
    require_mmdet()
    place = _available_device(device)
    loaded = load_mmdet_checkpoint(checkpoint, trust=trust)
    if config is None:
        resolved, source = config_of_checkpoint(loaded), "the config inside the checkpoint"
        if resolved is None:
            raise ConfigError(
                f"checkpoint {checkpoint} holds no config that can be read safely: give one with --config."
            )
    elif isinstance(config, (str, Path)):
        resolved, source = load_config(config), f"config {config}"
    else:
        resolved, source = checked_config(config, "the given config"), "the given config"
    model: Any = build_model(resolved)  # MMDetection reads attributes of it that torch's types do not know
    weights = state_dict_of(loaded)
    require_fit(
        compare_state(model.state_dict(), weights),
        checkpoint=str(checkpoint),
        config=source,
        min_match=min_match,
    )
    model.load_state_dict(weights, strict=False)
    names = _class_names(loaded, resolved, model)
    model.cfg = resolved
    model.dataset_meta = {"classes": names}
    return MMDetDetector(model.to(place).eval(), resolved, names)


def build_model(config: Any) -> torch.nn.Module:
    """Build the detector of a config with its initial weights, nothing downloaded."""
    require_mmdet()
    from mmdet.registry import MODELS
    from mmengine.model import revert_sync_batchnorm
    from mmengine.registry import DefaultScope, init_default_scope

    if (
        DefaultScope.get_current_instance() is None
        or DefaultScope.get_current_instance().scope_name != "mmdet"
    ):
        init_default_scope("mmdet")
    model_config = copy.deepcopy(config.model)
    _drop_pretrained(model_config)
    try:
        model: torch.nn.Module = revert_sync_batchnorm(MODELS.build(model_config))
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise ConfigError(f"the config's model cannot be built: {type(error).__name__}: {error}") from error
    return model


def _available_device(name: str) -> torch.device:
    """The device of this name, if it is there: torch would say so only after the checkpoint is read."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(
            f"device {name!r} cannot be used here: {reason}. Use 'cpu', or 'cuda' with a CUDA GPU."
        ) from error
    return device


def _drop_pretrained(node: Any) -> None:
    """Remove ``init_cfg`` of type Pretrained everywhere: the checkpoint brings all weights."""
    if isinstance(node, dict):
        init = node.get("init_cfg")
        if isinstance(init, dict) and init.get("type") == "Pretrained":
            node["init_cfg"] = None
        for child in node.values():
            _drop_pretrained(child)
    elif isinstance(node, (list, tuple)):
        for child in node:
            _drop_pretrained(child)


def _class_names(checkpoint: dict[str, Any], config: Any, model: torch.nn.Module) -> tuple[str, ...]:
    """Class names from the checkpoint, else the config's data set, else COCO's; their number is checked."""
    from mmdet.evaluation import get_classes

    meta = checkpoint.get("meta") or {}
    dataset_meta = {str(k).lower(): v for k, v in (meta.get("dataset_meta") or {}).items()}
    from_config = (config.get("test_dataloader") or {}).get("dataset", {}).get("metainfo") or {}
    names = (
        dataset_meta.get("classes")
        or meta.get("CLASSES")
        or from_config.get("classes")
        or get_classes("coco")
    )
    n_classes = _n_classes(model)
    if n_classes is not None and n_classes != len(names):
        raise CheckpointFitError(
            f"the model distinguishes {n_classes} classes, but {len(names)} class names are known "
            f"({', '.join(map(str, names[:3]))}, …): put the right `metainfo` into the config's test data set."
        )
    return tuple(str(name) for name in names)


def _n_classes(model: torch.nn.Module) -> int | None:
    for path in ("bbox_head", "roi_head.bbox_head"):
        head: Any = model
        for part in path.split("."):
            head = getattr(head, part, None)
        if isinstance(head, torch.nn.ModuleList):  # the stages of a cascade
            head = head[-1]
        if isinstance(getattr(head, "num_classes", None), int):
            return int(head.num_classes)
    return None


class MMDetDetector:
    """A detector of MMDetection whose components can be ablated and restored.

    Made by `open_mmdet`.

    Parameters
    ----------
    model : torch.nn.Module
        A detector with `data_preprocessor` and `test_step`, in evaluation mode.
    config : mmengine.config.Config
        Its config, for the test pipeline.
    class_names : tuple of str
        One name for each label.
    """

    def __init__(self, model: torch.nn.Module, config: Any, class_names: tuple[str, ...]) -> None:
        self.model = model
        self.config = config
        self.class_names = class_names
        self._pipeline: Any = None

    @property
    def components(self) -> tuple[Component, ...]:
        """Every parameter, in the model's own order."""
        return components_of(self.model)

    @property
    def attention(self) -> dict[str, AttentionLayout]:
        """The layout of each attention block, by module path."""
        return attention_layouts(self.model)

    def ablated(
        self, masks: Mapping[str, Mask], intervention: Intervention | None = None
    ) -> AbstractContextManager[AblationReport]:
        """Ablate for the length of a ``with`` block; every value is restored after it, also after an error."""
        return ablated(self.model, masks, intervention or Zero())

    def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Batch]:
        """Read images through the config's test pipeline, as batches for `predict_batch`.

        Raises
        ------
        ImageError
            If an image is missing or cannot be decoded.
        """
        for start in range(0, len(images), batch_size):
            inputs, samples = [], []
            for number, path in enumerate(images[start : start + batch_size], start):
                packed = self._test_pipeline()({"img": read_image(path), "img_id": number})
                packed["data_samples"].set_metainfo({"img_path": str(path)})
                inputs.append(packed["inputs"])
                samples.append(packed["data_samples"])
            yield {"inputs": inputs, "data_samples": samples}

    @torch.inference_mode()
    def predict_batch(self, batch: Batch) -> list[ImageDetections]:
        """Run the model on one batch of `prepare`; the batch can be used again."""
        results = self.predict_samples(batch)
        return [_detections(sample.pred_instances) for sample in results]

    def predict_samples(self, batch: Batch) -> list[Any]:
        """Like `predict_batch`, giving MMDetection's own ``DetDataSample`` objects."""
        # The model writes predictions into the samples: give it copies, so that a batch serves many variants.
        fresh = {
            "inputs": batch["inputs"],
            "data_samples": [sample.clone() for sample in batch["data_samples"]],
        }
        with torch.no_grad(), warnings.catch_warnings():
            # MMDetection calls meshgrid in a way that torch deprecates; no user can act on it.
            warnings.filterwarnings("ignore", message="torch.meshgrid", category=UserWarning)
            samples: list[Any] = self.model.test_step(fresh)  # type: ignore[operator]
        return samples

    def predict(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[ImageDetections]:
        """Yield what is found in each image, in input order."""
        for batch in self.prepare(images, batch_size):
            yield from self.predict_batch(batch)

    def predict_batches(self, batches: Iterable[Batch]) -> list[ImageDetections]:
        """The detections of prepared batches, one entry for each image."""
        return [found for batch in batches for found in self.predict_batch(batch)]

    def _test_pipeline(self) -> Any:
        if self._pipeline is None:
            from mmcv.transforms import Compose
            from mmdet.utils import get_test_pipeline_cfg

            steps = copy.deepcopy(list(get_test_pipeline_cfg(self.config)))
            if steps[0]["type"] not in ("LoadImageFromFile", "mmdet.LoadImageFromFile"):
                raise ConfigError(
                    f"the test pipeline must start with LoadImageFromFile, it starts with {steps[0]['type']}."
                )
            # We decode ourselves, for an error that names the file; annotations are not the model's business.
            steps[0] = {"type": "mmdet.LoadImageFromNDArray", "to_float32": steps[0].get("to_float32", False)}
            self._pipeline = Compose([s for s in steps if s["type"] != "LoadAnnotations"])
        return self._pipeline


def _detections(instances: Any) -> ImageDetections:
    return ImageDetections(
        boxes=instances.bboxes.detach().cpu().numpy().astype(np.float64).reshape(-1, 4),
        scores=instances.scores.detach().cpu().numpy().astype(np.float64),
        labels=instances.labels.detach().cpu().numpy().astype(np.int64),
    )
