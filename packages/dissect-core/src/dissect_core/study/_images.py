"""One batch of images through all variants, whatever its images and the accelerator's memory do."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..detectors import Detector
from ..plan import Variant
from ._loading import Loaded, load
from ._passes import Passes, References
from ._rows import Row, is_finite
from ._task import OnBadImage


@dataclass
class BatchWork:
    """What running one batch takes.

    Attributes
    ----------
    detector : Detector
    passes : Passes
    variants : sequence of Variant
        In the plan's order.
    references : callable
        Activations that a variant needs.
    paths : sequence of Path
        All images of the study.
    on_bad_image : {"fail", "skip"}
    log : callable
        ``log(event, **fields)``.
    """

    detector: Detector
    passes: Passes
    variants: Sequence[Variant]
    references: References
    paths: Sequence[Path]
    on_bad_image: OnBadImage
    log: Callable[..., None]

    def rows(self, loaded: Loaded) -> Generator[str, None, list[Row]]:
        """Run a batch: yields the id of each variant that is done, gives a row for each variant and image."""
        rows = [
            Row(number, image, "bad image", 0, 0, None)
            for image, _ in loaded.bad
            for number in range(len(self.variants))
        ]
        for image, reason in loaded.bad:
            self.log("bad image", image=image, file=str(self.paths[image]), reason=reason)
        if loaded.batch is None:
            return rows
        try:
            return rows + (yield from self._found(loaded.images, loaded.batch))
        except RuntimeError as error:
            if not _is_out_of_memory(error) or len(loaded.images) < 2:
                raise
        # Outside of the handler: what the failed pass holds on the device is let go first.
        _empty_cache()
        half = (len(loaded.images) + 1) // 2
        self.log("out of memory", images=len(loaded.images), now=half)
        for images in (loaded.images[:half], loaded.images[half:]):
            rows += yield from self.rows(load(self.detector, self.paths, images, self.on_bad_image))
        return rows

    def _found(self, images: Sequence[int], batch: Any) -> Generator[str, None, list[Row]]:
        numbers = {variant.id: number for number, variant in enumerate(self.variants)}
        rows = []
        for outcome in self.passes.over(batch, self.variants, self.references, images[0]):
            number = numbers[outcome.variant.id]
            for image, found in zip(images, outcome.found, strict=True):
                status: Literal["ok", "not finite"] = "ok" if is_finite(found) else "not finite"
                rows.append(Row(number, image, status, outcome.masked, outcome.changed, found))
            yield outcome.variant.id
        return rows


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an accelerator's memory is used up; torch is not imported for detectors that need none."""
    return type(error).__name__ == "OutOfMemoryError"


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
