"""Detectors that make trouble on a cluster, for tests; in a module that workers can import."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import studies
from dissect_core.detectors import ImageDetections
from dissect_core.spec import RayExecution
from toy_detector import ToyDetector


class SlowToy(ToyDetector):
    """Takes its time, so that things can happen to its worker on the way."""

    def __init__(self, seconds: float = 0.02) -> None:
        super().__init__()
        self.seconds = seconds

    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        time.sleep(self.seconds)
        return super().predict_batch(batch)


class Deadly(ToyDetector):
    """Its process dies when it reads an image with nothing in it, as a decoder may on a crafted file."""

    def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Any]:
        if any(not Path(image).stat().st_size for image in images):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().prepare(images, batch_size)


class Fussy(ToyDetector):
    """Stops at images that are black in a corner."""

    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        if any(not image[0, 0].any() for image in batch):
            raise RuntimeError("no such\nluck")
        return super().predict_batch(batch)


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


class Cramped(ToyDetector):
    """On one worker, the first to write a file, batches of two images do not fit the accelerator."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        self.mark = mark

    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        if len(batch) > 1 and self._is_cramped():
            raise OutOfMemoryError("CUDA out of memory")
        return super().predict_batch(batch)

    def _is_cramped(self) -> bool:
        try:
            with self.mark.open("x") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            return self.mark.read_text() == str(os.getpid())
        return True


class Uncopied(ToyDetector):
    """Cannot be handed to a worker."""

    def __reduce__(self) -> Any:
        raise TypeError("I hold an open file")


class Elsewhere(ToyDetector):
    """Differs in every process, as a detector does whose files are not the same on all nodes."""

    @property
    def facts(self) -> dict[str, Any]:
        return {"files": os.getpid()}


if __name__ == "__main__":  # a study of its own, for tests that kill who leads it
    image_folder, target, address = sys.argv[1:4]
    print("ready", flush=True)
    studies.run_toy(
        sorted(Path(image_folder).glob("*.ppm")),
        target,
        SlowToy(0.25),
        execution=RayExecution(engine="ray", address=address, workers=2),
    )
