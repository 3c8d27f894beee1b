"""Batches one after the other: loaded, run through all variants whatever their images do, and kept."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from ..detectors import Detector
from ..errors import BadImageError, DissectError
from ..plan import Variant
from ..progress import Stopwatch
from ..store import _file_names, _small_files
from ..store._folder import StudyFolder
from ..store._rows import Row, is_finite
from ._computing import in_precision
from ._loading import Files, Loaded, loaded_ahead
from ._passes import Passes, References

_EFFECTS: pa.Schema = pa.schema(
    [
        ("id", pa.string()),
        ("output_change", pa.float64()),
        ("no_op", pa.string()),
        ("flops_saved", pa.float64()),
    ]
)


@dataclass
class BatchWork:
    """Runs one batch of images through all variants, whatever its images and the accelerator's memory do.

    Attributes
    ----------
    detector : Detector
    passes : Passes
    variants : sequence of Variant
        In the plan's order.
    references : callable
        Activations that a variant needs.
    files : Files
        All images of the study.
    log : callable
        ``log(event, **fields)``.
    """

    detector: Detector
    passes: Passes
    variants: Sequence[Variant]
    references: References
    files: Files
    log: Callable[..., None]

    def rows(self, loaded: Loaded) -> Generator[str, None, list[Row]]:
        """Run a batch: yields the id of each variant that is done, gives a row for each variant and image."""
        rows = [
            Row(number, image, "bad image", 0, 0, None)
            for image, _ in loaded.bad
            for number in range(len(self.variants))
        ]
        for image, reason in loaded.bad:
            self.log("bad image", image=image, file=str(self.files.paths[image]), reason=reason)
        if loaded.batch is None:
            return rows
        try:
            return rows + (yield from self._found(loaded.images, loaded.batch))
        except (DissectError, MemoryError):
            raise
        except Exception as error:
            if _is_of_the_device(error) and (not _is_out_of_memory(error) or len(loaded.images) < 2):
                raise
            stopped = error
        # Not inside the handler: there the error's traceback still keeps the failed pass's tensors on the device.
        if not _is_out_of_memory(stopped):
            rows += yield from self.rows(self._without_bad(loaded.images, stopped))
            return rows
        _empty_cache()
        half = (len(loaded.images) + 1) // 2
        self.log("out of memory", images=len(loaded.images), now=half)
        for images in (loaded.images[:half], loaded.images[half:]):
            rows += yield from self.rows(self.files.load(self.detector, images))
        return rows

    def _without_bad(self, images: Sequence[int], stopped: Exception) -> Loaded:
        """Load the batch without images on which even the intact detector fails; raise the error if there are none."""
        bad = tuple((i, fault) for i in images if (fault := self._fault(i)) is not None)
        if not bad:
            raise stopped  # only a variant fails, or all images together do
        if self.files.on_bad == "fail":
            raise BadImageError(self.files.told(*bad[0])) from stopped
        good = [image for image in images if image not in dict(bad)]
        loaded = self.files.load(self.detector, good) if good else Loaded((), None)
        return replace(loaded, bad=loaded.bad + bad)

    def _fault(self, image: int) -> str | None:
        with in_precision(self.detector, self.passes.precision):
            return self.files.fault(self.detector, image, run=True)

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


@dataclass(frozen=True)
class BatchDone:
    """Event: a batch is finished and written."""

    number: int


def run_batches(
    work: BatchWork, folder: StudyFolder, numbers: Sequence[int], ahead: int, clock: Stopwatch
) -> Generator[str | BatchDone, None, None]:
    """Run batches, in ascending order, and keep what they give.

    Yields
    ------
    str or BatchDone
        The id of a variant after each of its passes, and each batch that is finished.
    """
    images = [folder.detections.batches[number] for number in numbers]
    shards = [number // folder.detections.shard_batches for number in numbers]
    with closing(loaded_ahead(work.detector, work.files, images, ahead)) as ahead_of:
        for i, loaded in enumerate(ahead_of):
            clock.stop("waiting for images")
            rows = yield from work.rows(loaded)
            clock.start()
            _keep_effects(folder, work.passes)  # first, so that they are always those of the first batch
            folder.detections.write_batch(numbers[i], rows)
            if shards[i : i + 1] != shards[i + 1 : i + 2]:
                folder.detections.join(shards[i])
            clock.stop("writing")
            yield BatchDone(numbers[i])


def _keep_effects(folder: StudyFolder, passes: Passes) -> None:
    """Write what variants change in the outputs of what they ablate, once."""
    effects = passes.effects
    if effects and not folder.record.has(_file_names.EFFECTS):
        rows = [effects[name] for name in sorted(effects)]
        columns = {field.name: [getattr(row, field.name) for row in rows] for field in _EFFECTS}
        folder.record.keep(_file_names.EFFECTS, _small_files.encode_table(pa.table(columns, schema=_EFFECTS)))
    effects.clear()  # kept now: not to be asked for after every batch


def _is_of_the_device(error: Exception) -> bool:
    """Return whether the accelerator failed: out of memory, or with an error that stays until the process ends."""
    return _is_out_of_memory(error) or type(error).__name__ == "AcceleratorError"


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether an accelerator's memory is used up, without importing torch for detectors that need none."""
    return type(error).__name__ == "OutOfMemoryError"


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
