"""A checkpoint from which ``deep-dissect ablate`` writes ablated ones, each with a record of what was done."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from dissect_core import CheckpointError, Intervention, Mask, Mean, Noise, Shuffle, Zero
from dissect_core.torch import ablate_state, save_checkpoint, state_dict_of

from .. import _checkpoints
from ..errors import DissectMMDetError
from ._inspect import components_of_weights

INTERVENTIONS: dict[str, Intervention] = {
    "zero": Zero(),
    "mean": Mean(),
    "shuffle": Shuffle(),
    "noise": Noise(),
}


class Source:
    """A loaded checkpoint from which ablated ones are written."""

    def __init__(self, path: Path, *, trust: bool) -> None:
        self.path = path
        self.sha256 = sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        self.checkpoint = _checkpoints.load_mmdet_checkpoint(path, trust=trust)
        self.weights = state_dict_of(self.checkpoint)
        self.components = components_of_weights(self.weights)

    def write(
        self,
        target: Path,
        masks: Mapping[str, Mask],
        variant: str,
        record: dict[str, Any],
        intervention: str,
        *,
        force: bool,
    ) -> None:
        """Write one variant and say what it changed; refuses to overwrite and warns of a no-op."""
        # What is not the default is part of the name: runs that differ in it do not meet.
        marks = [
            f"_seed{record['seed']}" if record.get("seed") else "",
            f"_{intervention}" * (intervention != "zero"),
        ]
        target = target.with_name(f"{target.stem}{''.join(marks)}{target.suffix}")
        if target.exists() and (not force or target.samefile(self.path)):
            raise DissectMMDetError(
                f"{target} exists already: choose another --out, or --force to overwrite results."
            )
        state, report = ablate_state(
            self.weights, masks, INTERVENTIONS[intervention], seed=record.get("seed", 0), variant=variant
        )
        meta = dict(self.checkpoint.get("meta") or {})
        meta.pop("test_metrics", None)  # those of the whole model
        earlier = meta.get("deep_dissect")
        meta["deep_dissect"] = {
            "variant": variant,
            "source": self.path.name,
            "source_sha256": self.sha256,
            "version": version("dissect-mmdet"),
            "history": [*earlier.get("history", []), earlier] if isinstance(earlier, dict) else [],
            "intervention": intervention,
            "values_changed": report.changed,
            "seed": 0,  # of shuffle and noise, where nothing else is drawn
            **record,
        }
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DissectMMDetError(
                f"--out {target.parent} cannot be made: {error.strerror}. Choose another folder."
            ) from error
        try:
            save_checkpoint({**self.checkpoint, "meta": meta, "state_dict": state}, target)
        except (OSError, CheckpointError) as error:
            raise DissectMMDetError(
                f"--out {target.parent}: {str(error).rstrip('.')}. Choose another."
            ) from error
        typer.echo(f"{target}  ({report.changed:,} of {report.masked:,} masked values changed)")
        if report.is_no_op:
            Console(stderr=True, soft_wrap=True).print(
                f"note: {target.name} is a no-op: nothing changed.", markup=False
            )
