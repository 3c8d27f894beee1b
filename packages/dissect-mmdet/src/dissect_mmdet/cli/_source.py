"""A checkpoint from which ``deep-dissect ablate`` writes ablated ones, each with a record of what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from dissect_core import (
    AblationReport,
    CheckpointError,
    Edit,
    Intervention,
    Mask,
    Mean,
    Noise,
    Shuffle,
    Zero,
)
from dissect_core.plan import Variant
from dissect_core.torch import edit_state, export, save_checkpoint, state_dict_of, with_state

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
        self._require_free(target, force=force)
        edits = [Edit(name, mask, INTERVENTIONS[intervention]) for name, mask in masks.items()]
        state, report = edit_state(self.weights, edits, seed=record.get("seed", 0), variant=variant)
        made = {
            "variant": variant,
            **self.origin,
            "intervention": intervention,
            "values_changed": report.changed,
            "seed": 0,  # of shuffle and noise, where nothing else is drawn
            **record,
        }
        self._save(target, lambda: save_checkpoint(with_state(self.checkpoint, state, made), target))
        _say(target, report)

    def export(self, variant: Variant, target: Path, *, force: bool) -> None:
        """Write a variant of a plan."""
        self._require_free(target, force=force)
        reports = []
        self._save(
            target,
            lambda: reports.append(export(variant, self.checkpoint, target, record=self.origin)),
        )
        _say(target, reports[0])

    @property
    def origin(self) -> dict[str, Any]:
        """What every record says of where a checkpoint comes from."""
        return {
            "source": self.path.name,
            "source_sha256": self.sha256,
            "version": version("dissect-mmdet"),
        }

    def _require_free(self, target: Path, *, force: bool) -> None:
        if target.exists() and (not force or target.samefile(self.path)):
            raise DissectMMDetError(
                f"{target} exists already: choose another --out, or --force to overwrite results."
            )

    def _save(self, target: Path, save: Callable[[], object]) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DissectMMDetError(
                f"--out {target.parent} cannot be made: {error.strerror}. Choose another folder."
            ) from error
        try:
            save()
        except (OSError, CheckpointError) as error:
            raise DissectMMDetError(
                f"--out {target.parent}: {str(error).rstrip('.')}. Choose another."
            ) from error


def _say(target: Path, report: AblationReport) -> None:
    typer.echo(f"{target}  ({report.changed:,} of {report.masked:,} masked values changed)")
    if report.is_no_op:
        Console(stderr=True, soft_wrap=True).print(
            f"note: {target.name} is a no-op: nothing changed.", markup=False
        )
