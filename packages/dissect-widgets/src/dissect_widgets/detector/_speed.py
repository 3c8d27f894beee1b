"""How long a detector takes for an image here, and when in a pass each of its modules is called first."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dissect_core.detectors import Detector, model_of

__all__ = ["Speed", "first_image", "speed_of"]

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm")

PASSES = 3
SIZE = 480, 640
"""Height and width of the picture that is timed, as most of COCO's are."""


class Speed(NamedTuple):
    """How fast a detector is on this machine.

    Attributes
    ----------
    seconds : float
        For an image, in a full pass.
    begins : dict of str to float
        Share of a pass that is over when a module is called first, by its path; empty for detectors without a torch
        model, which are always run in full.
    """

    seconds: float
    begins: Mapping[str, float] = {}  # of a named tuple; never changed

    def left_out(self, places: Mapping[tuple[str, ...], int]) -> float:
        """Return the share of all passes that prefix replay need not run, about.

        Parameters
        ----------
        places : mapping of tuple of str to int
            How many variants change which places of the model; the baseline changes none, and runs in full.

        Examples
        --------
        >>> Speed(0.5, {"decoder": 0.8}).left_out({(): 1, ("decoder",): 3})
        0.6
        """
        total = sum(places.values())
        saved = sum(n * min(map(self._begin, paths), default=0.0) for paths, n in places.items())
        return round(saved / total, 6) if total else 0.0

    def _begin(self, path: str) -> float:
        """Return when a module, or the one that holds a parameter, is called first; 0 where that was not seen."""
        while path:
            if path in self.begins:
                return self.begins[path]
            path = path.rpartition(".")[0]
        return 0.0


def speed_of(detector: Detector, image: Path | None = None) -> Speed:
    """Time passes over an image; the fastest of a few counts. Nothing else may run the detector meanwhile.

    Parameters
    ----------
    detector : Detector
    image : Path, optional
        A random picture of COCO's usual size if left out.
    """
    if image is not None:
        return Speed(min(_timed(detector, image) for _ in range(PASSES)), _begins(detector, image))
    picture = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random"
        write = getattr(detector, "write_picture", None)  # of those that read other files than PNG
        path = write(picture, path) if callable(write) else _as_png(picture, path)
        seconds = min(_timed(detector, path) for _ in range(PASSES))
        return Speed(seconds, _begins(detector, path))


def _as_png(pixels: NDArray[np.uint8], path: Path) -> Path:
    from PIL import Image

    path = path.with_suffix(".png")
    Image.fromarray(pixels).save(path)
    return path


def _timed(detector: Detector, path: Path) -> float:
    start = time.perf_counter()
    for batch in detector.prepare([path]):
        detector.predict_batch(batch)
    return time.perf_counter() - start


def _begins(detector: Detector, path: Path) -> dict[str, float]:
    model = model_of(detector)
    if not hasattr(model, "named_modules"):
        return {}
    first: dict[str, float] = {}

    def noted(name: str) -> Any:
        def note(*_: Any) -> None:
            first.setdefault(name, time.perf_counter())

        return note

    hooks = [module.register_forward_pre_hook(noted(name)) for name, module in model.named_modules() if name]
    try:
        batches: Iterable[Any] = list(detector.prepare([path]))
        start = time.perf_counter()
        for batch in batches:
            detector.predict_batch(batch)
        end = time.perf_counter()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: (moment - start) / (end - start) for name, moment in first.items()} if end > start else {}


def first_image(folder: str) -> Path | None:
    """Return an image of a folder, to time a detector on; None if there is none."""
    try:
        files = sorted(Path(folder).expanduser().iterdir()) if folder else []
    except OSError:
        return None
    return next((file for file in files if file.suffix.lower() in IMAGE_ENDINGS), None)
