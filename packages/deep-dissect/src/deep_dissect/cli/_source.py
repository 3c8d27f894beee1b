"""A checkpoint from which ablated ones are written, each with a record of what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dissect_core import (
    AblationReport,
    CheckpointError,
    Component,
    Edit,
    Intervention,
    Mask,
    Mean,
    Noise,
    Shuffle,
    Zero,
)
from dissect_core.plan import Variant

from ..errors import FrontDoorError
from ._console import echo, note

if TYPE_CHECKING:
    from dissect_core.detectors import WritableCheckpoint

INTERVENTIONS: dict[str, Intervention] = {
    "zero": Zero(),
    "mean": Mean(),
    "shuffle": Shuffle(),
    "noise": Noise(),
}


class Source:
    """A checkpoint from which ablated ones are written.

    Parameters
    ----------
    checkpoint : WritableCheckpoint
        From the adapter's tools.
    suffix : str
        Ending of what is written; empty where these are folders.
    """

    def __init__(self, checkpoint: WritableCheckpoint, suffix: str) -> None:
        self.checkpoint = checkpoint
        self.suffix = suffix

    @property
    def components(self) -> tuple[Component, ...]:
        """Components that can be ablated, by the model's names."""
        return self.checkpoint.anatomy.components

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
        """Write one variant and say what it changed; refuse to overwrite, and note a no-op.

        `target` comes without an ending.
        """
        from dissect_core.torch import edit_state

        # Settings other than the default are part of the name, so that runs with others write other files.
        marks = [
            f"_seed{record['seed']}" if record.get("seed") else "",
            f"_{intervention}" * (intervention != "zero"),
        ]
        target = target.with_name(f"{target.name}{''.join(marks)}{self.suffix}")
        self._require_free(target, force=force)
        edits = [Edit(name, mask, INTERVENTIONS[intervention]) for name, mask in masks.items()]
        state, report = edit_state(
            self.checkpoint.weights, edits, seed=record.get("seed", 0), variant=variant
        )
        made = {
            "variant": variant,
            **self.checkpoint.origin,
            "intervention": intervention,
            "values_changed": report.changed,
            "seed": 0,  # of shuffle and noise, where nothing else is drawn
            **record,
        }
        self._save(target, lambda: self.checkpoint.write(state, made, target))
        _say(target, report)

    def export(self, variant: Variant, target: Path, *, force: bool) -> None:
        """Write a variant of a plan."""
        from dissect_core.torch import apply
        from dissect_core.torch.checkpoints import variant_record

        self._require_free(target, force=force)
        state, report = apply(self.checkpoint.weights, variant)
        record = {**variant_record(variant, report), **self.checkpoint.origin}
        self._save(target, lambda: self.checkpoint.write(state, record, target))
        _say(target, report)

    def _require_free(self, target: Path, *, force: bool) -> None:
        if target.exists() and (not force or target.samefile(self.checkpoint.path)):
            raise FrontDoorError(
                f"{target} exists already: choose another --out, or --force to overwrite results."
            )

    def _save(self, target: Path, save: Callable[[], object]) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FrontDoorError(
                f"--out {target.parent} cannot be made: {error.strerror}. Choose another folder."
            ) from error
        try:
            save()
        except (OSError, CheckpointError) as error:
            raise FrontDoorError(
                f"--out {target.parent}: {str(error).rstrip('.')}. Choose another."
            ) from error


def _say(target: Path, report: AblationReport) -> None:
    echo(f"{target}  ({report.changed:,} of {report.masked:,} masked values changed)")
    if report.is_no_op:
        note(f"note: {target.name} is a no-op: nothing changed.")
