"""Names of the files in a study's folder."""

import re

SPEC = "spec.yaml"
ENVIRONMENT = "environment.json"
PLAN = "plan.parquet"
IMAGES = "images.parquet"
TRUTH = "truth.json"
DETECTIONS = "detections"
EFFECTS = "effects.parquet"
LOG = "log.jsonl"
REFERENCE = "reference.npz"
OPTIMAL = "optimal"
DAMAGED = ".damaged"
"""How the names of files end that were put aside."""


def shard_name(number: int) -> str:
    """Return the name of a shard's file in the folder of detections."""
    return f"shard-{number:05d}.parquet"


def part_name(number: int, batch: int) -> str:
    """Return the name of the file with one batch of a shard that is not complete."""
    return f"part-{number:05d}-{batch:05d}.parquet"


def numbers_of(name: str) -> tuple[int, int | None] | None:
    """Return the number of a file's shard, and of its batch if it is a part; None for any other name.

    Examples
    --------
    >>> numbers_of("part-00003-00007.parquet"), numbers_of("shard-00003.parquet"), numbers_of("shard-3.parquet")
    ((3, 7), (3, None), None)
    """
    found = re.fullmatch(r"shard-([0-9]{5,10})\.parquet|part-([0-9]{5,10})-([0-9]{5,10})\.parquet", name)
    if found is None:
        return None
    shard, batch = int(found[1] or found[2]), None if found[3] is None else int(found[3])
    return (
        (shard, batch) if name == (shard_name(shard) if batch is None else part_name(shard, batch)) else None
    )
