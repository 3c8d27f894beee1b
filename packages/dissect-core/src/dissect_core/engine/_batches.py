"""Batches one after the other: loaded, run through all variants, kept."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from ..progress import Stopwatch
from ..store import _file_names, _small_files
from ..store._folder import StudyFolder
from ._images import BatchWork
from ._loading import loaded_ahead
from ._passes import Passes

_EFFECTS: pa.Schema = pa.schema(
    [
        ("id", pa.string()),
        ("output_change", pa.float64()),
        ("no_op", pa.string()),
        ("flops_saved", pa.float64()),
    ]
)


@dataclass(frozen=True)
class BatchDone:
    """A batch is finished, and kept."""

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
