"""A checkpoint from which ``deep-dissect ablate`` writes ablated ones, each with a record of what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

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
from dissect_core.torch import apply, edit_state, save_checkpoint, variant_record, with_state
from dissect_mmdet.errors import DissectMMDetError
from dissect_mmdet.weights import Fit, FoundWeights, _checkpoints, find_weights, require_finite, share_tied

from ._console import Console, echo
from ._inspect import components_of_weights

INTERVENTIONS: dict[str, Intervention] = {
    "zero": Zero(),
    "mean": Mean(),
    "shuffle": Shuffle(),
    "noise": Noise(),
}


class Source:
    """A loaded checkpoint from which ablated ones are written."""

    def __init__(
        self,
        path: Path,
        *,
        trust: bool,
        weights_prefix: str = "",
        model: torch.nn.Module | None = None,
        fit: Fit | None = None,
    ) -> None:
        self.path = path
        self.sha256 = sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        self.checkpoint = _checkpoints.load_mmdet_checkpoint(path, trust=trust)
        self.weights_prefix = weights_prefix
        own = None if model is None else model.state_dict()
        self.take(find_weights(self.checkpoint, own, weights_prefix, source=str(path)), fit)
        if own is None:
            require_finite(self.found.state, str(path))
        else:
            share_tied(own, self.found.state)

    def take(self, found: FoundWeights, fit: Fit | None) -> None:
        """Ablate these of the checkpoint's weights, which fitted a model so."""
        self.found, self.fit = found, fit

    def say_which(self) -> None:
        """Say on standard error which weights of the file are ablated, where that is no matter of course."""
        parts = [f"`{self.found.prefix}` taken off every name"] * bool(self.found.prefix)
        if self.found.note:
            parts.append(self.found.note)
        if parts:
            _note(f"{self.path}: {'; '.join(parts)}")

    @property
    def components(self) -> list[Component]:
        """What there is to ablate, by the model's names."""
        return components_of_weights(self.found.state)

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
        state, report = edit_state(self.found.state, edits, seed=record.get("seed", 0), variant=variant)
        made = {
            "variant": variant,
            **self.origin,
            "intervention": intervention,
            "values_changed": report.changed,
            "seed": 0,  # of shuffle and noise, where nothing else is drawn
            **record,
        }
        self._put(target, state, made)
        _say(target, report)

    def export(self, variant: Variant, target: Path, *, force: bool) -> None:
        """Write a variant of a plan."""
        self._require_free(target, force=force)
        state, report = apply(self.found.state, variant)
        self._put(target, state, {**variant_record(variant, report), **self.origin})
        _say(target, report)

    @property
    def origin(self) -> dict[str, Any]:
        """What every record says of where a checkpoint comes from."""
        return {
            "source": self.path.name,
            "source_sha256": self.sha256,
            "version": version("dissect-mmdet"),
            **({"weights_prefix": self.weights_prefix} if self.weights_prefix else {}),
            **({"missing_weights": self.fit.record()} if self.fit is not None and self.fit.warning else {}),
        }

    def _put(self, target: Path, state: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Write the checkpoint with other weights in it, under the names that it has for them."""
        whole = self.found.written(self.checkpoint, state)
        made = with_state(self.checkpoint, whole, record, self.found.place)
        self._save(target, lambda: save_checkpoint(made, target))

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
    echo(f"{target}  ({report.changed:,} of {report.masked:,} masked values changed)")
    if report.is_no_op:
        _note(f"note: {target.name} is a no-op: nothing changed.")


def _note(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False)
