"""Damage to a study's folder, as storage and strangers do it, and the numbers that must not follow from it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import studies
import toy_split
from dissect_core.spec import StudySpec
from dissect_core.store import Study
from dissect_eval import GroundTruth
from dissect_eval.study import Settings, measure

NOT_READ = (".lock", ".jsonl")
"""What of a folder gives no numbers."""


def small_study(folder: Path) -> Path:
    """A finished study with a truth, in some shards."""
    (folder / "data").mkdir()
    split = toy_split.write_split(folder / "data", 6)
    truth = GroundTruth.from_coco(split.annotations)
    return studies.run_toy(split.paths, folder / "study", spec=small_spec(), truth=truth).path


def small_spec() -> StudySpec:
    """Seven variants."""
    return studies.toy_spec(ablations=studies.SPEC["ablations"][:1])


def numbers(folder: Path) -> Any:
    """All that is measured of a study, and all that it says of its variants and images."""
    study = Study.open(folder)
    found = measure(study, settings=Settings(n_replicates=0))
    rows = [(row.variant, row.metric, row.category_id, repr(row.value)) for row in found.table]
    effects = None if study.effects is None else study.effects.to_pylist()
    shown = {variant: repr(study.found(variant)) for variant in study.variants}
    about = (study.spec.identity, study.plan.to_pylist(), study.images, study.class_names, study.progress())
    return rows, effects, shown, about, [sorted(map(repr, row.items())) for row in found.variants]


def damage(folder: Path, rng: random.Random) -> str:
    """Damage one file, or exchange two; says what was done."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in NOT_READ)
    path = rng.choice(files)
    content = bytearray(path.read_bytes())
    how = rng.choice(("flip", "flip", "flip", "overwrite", "truncate", "extend", "move", "swap", "delete"))
    at = rng.randrange(len(content))
    if how == "flip":
        content[at] ^= 1 << rng.randrange(8)
    elif how == "overwrite":
        n = rng.choice((1, 4, 64))
        content[at : at + n] = rng.randbytes(len(content[at : at + n]))
    elif how == "truncate":
        del content[at:]
    elif how == "extend":
        content[at:at] = rng.randbytes(rng.choice((1, 8)))
    elif how == "move":  # bytes of the file to another place of it
        other = rng.randrange(len(content))
        content[at : at + 16] = content[other : other + len(content[at : at + 16])]
    elif how == "swap":
        other_file = rng.choice([one for one in files if one.suffix == path.suffix])
        theirs = other_file.read_bytes()
        other_file.write_bytes(bytes(content))
        content[:] = theirs
    else:
        path.unlink()
        return f"{how} {path.name}"
    path.write_bytes(bytes(content))
    return f"{how} {path.name} at {at}"
