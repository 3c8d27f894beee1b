"""A config's own test pipeline, run on files: the model gets what MMDetection would give it."""

from __future__ import annotations

import copy
import importlib.util
import pickle
import random
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dissect_core.storage.files import open_regular
from dissect_core.text import quoted

from ..configs import dataset_with, drop_backends
from ..errors import ConfigError, ImageError, ImageNotFoundError, said
from ._models import use_registries

Results = dict[str, Any]
Step = Callable[[Results], Any]

_EXIF_ORIENTATION, _QUARTER_TURN = 0x0112, 6
_POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")
_DECODERS = {"turbojpeg": "PyTurboJPEG", "tifffile": "tifffile"}
"""Decoders of mmcv that are packages of their own: by the name of the module, the name to install it by."""
LARGEST_IMAGE = 3 << 27
"""Values of an image in a pipeline that came with a file: 20,000 × 20,000 pixels in colour."""
TRIES = 64
"""Passes of one image that tell whether a pipeline that draws random numbers is random."""


class TestPipeline:
    """The test pipeline of a config, from an image's file to the model's input.

    Every step is the config's own, its loader included, whatever its name and options. Left out are steps that load
    annotations, which are not the model's business.

    Parameters
    ----------
    config : mmengine Config
        With a `test_dataloader`.
    class_names : sequence of str
        Name of each label.

    Raises
    ------
    ConfigError
        If there is no test pipeline, one of its steps cannot be made, or it takes something else than files.

    Notes
    -----
    A pipeline that is random, or that mirrors, turns or shifts images, is refused at its first image: numbers would be
    others each time, or boxes would not lie where the true ones do.
    """

    __test__ = False  # pytest looks at the name

    def __init__(self, config: Any, class_names: Sequence[str] = ()) -> None:
        from ..configs import closed_for, is_plain  # which need MMEngine

        dataset = _dataset_of(config)
        steps = copy.deepcopy(_listed(dataset["pipeline"]))
        self._closed = partial(closed_for, config)
        self._largest = LARGEST_IMAGE if is_plain(config) else None
        if is_plain(config):
            drop_backends(steps)
        with self._closed():
            self._steps = [_built(step) for step in _without_annotations(steps)]
        for step in self._steps:
            _require_files(step)
        self._is_tried = False
        self._given: Results = {}
        if dataset.get("return_classes"):  # open-vocabulary models take the class names with each image
            prompt = dataset.get("caption_prompt")
            self._given = {
                "text": tuple(class_names),
                "caption_prompt": prompt,
                "custom_entities": True,
            }

    def __call__(
        self,
        path: Path | str,
        img_id: int,
        more: Callable[[tuple[int, int]], Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Pass one image through the pipeline.

        Parameters
        ----------
        path : Path or str
        img_id : int
        more : callable, optional
            Given the image's width and height as read, what is known of it besides: boxes, which later steps change
            with their image.

        Returns
        -------
        dict
            ``inputs``, a torch.Tensor (channels, height, width), and ``data_samples``, a ``DetDataSample``.

        Raises
        ------
        ImageError
            If the file is missing or cannot be decoded, or a step stops at it.
        ConfigError
            If the pipeline does not end with what a model takes, is random, or moves images.
        """
        packed = self._pass(path, img_id, more)
        if not self._is_tried:
            self._require_fixed(packed["inputs"], path, img_id, more)
            self._is_tried = True
        return packed

    def _pass(
        self,
        path: Path | str,
        img_id: int,
        more: Callable[[tuple[int, int]], Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        results: Any = {"img_path": str(path), "img_id": img_id, **self._given}
        for step in self._steps:
            was_read = "img" in results
            with self._closed():
                results = _run(step, results, path)
            _require_bounded(step, results, self._largest)
            if more is not None and not was_read and "img" in results:
                height, width = results["img"].shape[:2]
                results.update(more((width, height)))
            _require_upright(step, results)
        return _packed(results)

    def _require_fixed(self, inputs: Any, path: Path | str, img_id: int, more: Any) -> None:
        """Refuse a pipeline that makes another tensor of the same image each time, as seen on the first image.

        What draws from one of the usual generators may do so now and then: it is tried more often.
        """
        import torch

        before = _generators()
        for n_tries in (1, TRIES):
            for _ in range(n_tries):
                if not torch.equal(inputs, self._pass(path, img_id, more)["inputs"]):
                    raise ConfigError(
                        f"the config's test pipeline ({', '.join(type(step).__name__ for step in self._steps)}) makes "
                        f"something else of {Path(path).name} each time, so that no result could be repeated: take "
                        "random steps (flips, sizes, crops, colours) out of `test_dataloader.dataset.pipeline`."
                    )
            if _generators() == before:
                return

    def read(self, path: Path | str) -> NDArray[Any]:
        """Give the pixels of an image as the pipeline's loader reads them, of shape (height, width[, channels]).

        Raises
        ------
        ImageError
            As when it is called.
        """
        results: Any = {"img_path": str(path), "img_id": 0}
        for step in self._steps:
            with self._closed():
                results = _run(step, results, path)
            if "img" in results:
                return np.asarray(results["img"])
        raise ConfigError("the config's test pipeline has no step that reads an image.")

    @cached_property
    def turns_by_exif(self) -> bool:
        """Whether the loader turns an image as its file says (the EXIF tag of cameras), seen on a small one."""
        from PIL import Image

        exif = Image.Exif()
        exif[_EXIF_ORIENTATION] = _QUARTER_TURN
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "turned.jpg"
            Image.new("RGB", (24, 16)).save(path, exif=exif.tobytes())
            try:
                return self.read(path).shape[:2] == (24, 16)
            except ImageError:  # a loader of other formats, which knows no such tag
                return False


def _dataset_of(config: Any) -> Any:
    """Return the config's description of its test data, the first of several, with a pipeline."""
    use_registries()
    dataset = dataset_with(config, "pipeline")
    if dataset is None:
        raise ConfigError(
            "the config has no test pipeline (`test_dataloader.dataset.pipeline`), which says how images are read."
        )
    return dataset


def _listed(steps: Any) -> list[Any]:
    if not isinstance(steps, (list, tuple)):
        raise ConfigError(
            "the config's test pipeline (`test_dataloader.dataset.pipeline`) must be a list of steps, got "
            f"{quoted(steps)}."
        )
    return list(steps)


def _built(step: Any) -> Step:
    from mmengine.registry import TRANSFORMS

    if callable(step) and not isinstance(step, Mapping):
        return step  # type: ignore[no-any-return]  # checked
    if not isinstance(step, Mapping):
        raise ConfigError(
            f"a step of the config's test pipeline must be a dict with a `type`, got {quoted(step)}."
        )
    if step.get("type") == "mmdet.LoadImageFromFile":  # a name that people write, although mmcv registers it
        step = {**step, "type": "mmcv.LoadImageFromFile"}
    try:
        made: Step = TRANSFORMS.build(step)
    except Exception as error:  # whatever a class makes of its arguments
        raise ConfigError(
            f"the step {_kind(step)} of the config's test pipeline cannot be made: {said(error)}"
        ) from error
    return made


def _kind(step: Any) -> str:
    kind = step.get("type") if isinstance(step, Mapping) else step
    return getattr(kind, "__name__", None) or str(kind)


def _without_annotations(steps: Iterable[Any]) -> list[Any]:
    """Return the steps without those that load truth, nested ones too: building these may need further packages."""
    kept: list[Any] = []
    for step in steps:
        if isinstance(step, (list, tuple)):  # a choice between sequences of steps
            kept.append(_without_annotations(step))
        elif not _loads_annotations(step):
            inner = step.get("transforms") if isinstance(step, Mapping) else None
            if isinstance(inner, (list, tuple)):
                step = {**step, "transforms": _without_annotations(inner)}
            kept.append(step)
    return kept


def _loads_annotations(step: Any) -> bool:
    from mmcv.transforms import LoadAnnotations
    from mmdet.datasets.transforms import LoadEmptyAnnotations
    from mmdet.registry import TRANSFORMS

    kind = step.get("type") if isinstance(step, Mapping) else type(step)
    if isinstance(kind, str):
        kind = TRANSFORMS.get(kind)
    return isinstance(kind, type) and issubclass(kind, (LoadAnnotations, LoadEmptyAnnotations))


def _require_files(step: Step) -> None:
    """Refuse a loader that takes something else than a file, or a decoder that is not installed."""
    from mmdet.datasets.transforms import (
        LoadImageFromNDArray,
        LoadMultiChannelImageFromFiles,
        LoadProposals,
    )

    taken = {
        LoadImageFromNDArray: "images in memory",
        LoadMultiChannelImageFromFiles: "a list of files for each image",
        LoadProposals: "proposals of another model",
    }
    for kind, what in taken.items():
        if isinstance(step, kind):
            raise ConfigError(
                f"the config's test pipeline takes {what} ({type(step).__name__}), but a study has one file for each "
                "image: let it begin with LoadImageFromFile."
            )
    backend = getattr(step, "imdecode_backend", None)
    if backend in _DECODERS and importlib.util.find_spec(backend) is None:
        raise ConfigError(
            f"the config's test pipeline decodes images by {backend} (`imdecode_backend` of {type(step).__name__}), "
            f"which is not installed: pip install {_DECODERS[backend]}"
        )


def _run(step: Step, results: Results, path: Path | str) -> Results:
    """Run a step on an image; an error names the image."""
    if "img" not in results:
        require_pixels(path)
    try:
        made = step(results)
    except MemoryError:
        raise
    except Exception as error:  # whatever a decoder raises for a damaged file, or a step for an odd image
        kind = ImageError if Path(path).exists() else ImageNotFoundError
        raise kind(_why_not(step, path, "img" in results, error)) from error
    if made is None:
        raise ImageError(_why_not(step, path, "img" in results, None))
    return made  # type: ignore[no-any-return]  # a step's results


def _why_not(step: Step, path: Path | str, is_read: bool, error: Exception | None) -> str:
    """Return the error for an image that a step of the pipeline refuses."""
    import cv2

    name, file = type(step).__name__, Path(path)
    reason = "" if error is None else said(error)
    if is_read:
        what = f"stops at it: {reason}" if reason else "drops it"
        return f"image {path}: the step {name} of the config's test pipeline {what}."
    if file.is_dir():
        return f"image {path}: is a folder."
    if not file.is_file():
        return f"image {path}: no such file."
    if error is None or isinstance(error, (AssertionError, OSError, cv2.error)):  # as decoders say it
        return f"image {path} cannot be decoded: it is damaged or not an image ({file.stat().st_size} bytes)."
    return f"image {path} cannot be read by {name} of the config's test pipeline: {reason}."


def require_pixels(path: Path | str) -> None:
    """Refuse what a loader, which opens it by its name, would wait for, or have Ghostscript run: Pillow does so."""
    begins = b""
    try:
        with suppress(FileNotFoundError, NotADirectoryError, ValueError), open_regular(path) as file:
            begins = file.read(4)  # of what is missing, the loader says so
    except OSError as error:
        raise ImageError(f"image {path}: {str(error.strerror).removeprefix('it ')}.") from error
    if begins in _POSTSCRIPT:
        raise ImageError(f"image {path} is PostScript, which is a program: give an image of pixels, as PNG.")


def _require_upright(step: Step, results: Any) -> None:
    """Refuse a step that mirrors, turns or shifts images, as MMDetection's own put it on record.

    Detectors give boxes in the frame of their input, and take back its scale alone.
    """
    matrix = results.get("homography_matrix") if isinstance(results, dict) else None
    if matrix is None:
        return
    scale = np.diag(np.diag(matrix))
    if not np.allclose(matrix, scale, atol=1e-6) or (np.diag(matrix) <= 0).any():
        raise ConfigError(
            f"the step {type(step).__name__} of the config's test pipeline mirrors, turns or shifts images, and no "
            "detector undoes that: its boxes would not lie where the true ones do. Take it out of "
            "`test_dataloader.dataset.pipeline`."
        )


def _require_bounded(step: Step, results: Any, largest: int | None) -> None:
    """Refuse a step that makes images larger than any detector takes: each one after it would make it larger still."""
    image = results.get("img") if isinstance(results, dict) else None
    size = getattr(image, "size", 0)
    if largest is not None and isinstance(size, int) and size > largest:
        raise ConfigError(
            f"the step {type(step).__name__} of the config's test pipeline makes an image of {size:,} values, over "
            f"{largest:,}: give the config as a Python file with --config, or, if you trust the file, say --trust."
        )


def _generators() -> bytes:
    """Return the states of the generators that steps usually draw from."""
    import torch

    states = np.random.get_state(), random.getstate(), torch.get_rng_state().numpy()  # noqa: NPY002  # steps use it
    return pickle.dumps(states)


def _packed(results: Any) -> dict[str, Any]:
    """Return the results themselves if a model takes them."""
    import torch

    found = results if isinstance(results, dict) else {}
    if not isinstance(found.get("inputs"), torch.Tensor) or not hasattr(
        found.get("data_samples"), "set_metainfo"
    ):
        raise ConfigError(
            "the config's test pipeline must end with PackDetInputs, for one tensor and one sample of each image: "
            "pipelines of test-time augmentation give several, which a study cannot run."
        )
    return found
