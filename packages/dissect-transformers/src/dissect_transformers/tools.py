"""What programs ask of a model of Transformers beyond an open detector: entry point of ``dissect.tools``."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dissect_core import Anatomy, CheckpointError
from dissect_core.detectors import (
    AdapterTools,
    Detector,
    DetectorContents,
    DetectorRequest,
    open_detector,
)

from ._runtime import quiet
from .detector import TransformersDetector
from .errors import ModelError, said

__all__ = ["TransformersCheckpoint", "TransformersTools"]

RECORD = "deep_dissect.json"
"""File beside a copy's weights that says what was done to them."""


@dataclass(frozen=True)
class TransformersCheckpoint:
    """A model's folder, of which copies with other weights can be written.

    Attributes
    ----------
    detector : TransformersDetector
        The open detector. It is not changed.
    """

    detector: TransformersDetector
    origin: Mapping[str, Any] = field(init=False)

    told = ""

    def __post_init__(self) -> None:
        weights = sorted(self.path.glob("*.safetensors")) if self.path.is_dir() else []
        digest = sha256()
        for file in weights:
            digest.update(file.read_bytes())
        origin = {
            "source": self.detector.checkpoint,
            "source_sha256": digest.hexdigest() if weights else "",
            "version": version("dissect-transformers"),
        }
        object.__setattr__(self, "origin", origin)

    @property
    def path(self) -> Path:
        """The folder that it was read from, or the id on the Hub."""
        return Path(self.detector.source)

    @property
    def anatomy(self) -> Anatomy:
        """What there is to ablate, by the model's names."""
        return self.detector.anatomy

    @property
    def weights(self) -> Mapping[str, Any]:
        """Weights by the model's names."""
        state: Mapping[str, Any] = self.detector.model.state_dict()
        return state

    @property
    def loaded(self) -> str:
        """What was loaded, as one line."""
        return loaded_of(self.detector)

    def write(self, weights: Mapping[str, Any], record: Mapping[str, Any], target: Path) -> None:
        """Write a folder with these weights, the config, the image processor and a record: whole or not at all.

        Parameters
        ----------
        weights : mapping of str to Tensor
            By the model's names.
        record : mapping
            What was done, as plain data; it is written to ``deep_dissect.json``.
        target : Path
            The folder; one that this wrote before is replaced.

        Raises
        ------
        CheckpointError
            If it cannot be written.
        """
        if target.exists() and not (target / RECORD).is_file():
            raise CheckpointError(
                f"{target} must be a new folder, or one with {RECORD} that was written before."
            )
        model = copy.deepcopy(self.detector.model)
        model.load_state_dict(dict(weights))
        try:
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name[:40]}-") as beside:
                made = Path(beside) / "made"
                with quiet():
                    model.save_pretrained(made)
                    self.detector.processor.save_pretrained(made)
                text = json.dumps(dict(record), indent=2, default=str)
                (made / RECORD).write_text(f"{text}\n", encoding="utf-8")
                if target.exists():
                    shutil.move(target, Path(beside) / "before")
                made.rename(target)
        except OSError as error:
            raise CheckpointError(f"{target} cannot be written: {said(error)}") from error


class TransformersTools(AdapterTools):
    """What the command asks of models of Transformers.

    Examples
    --------
    >>> from dissect_core.detectors import adapter_tools
    >>> adapter_tools("transformers").checkpoint_suffix
    ''
    """

    checkpoint_suffix = ""
    """Copies are folders, as ``save_pretrained`` writes them."""

    def contents(self, request: DetectorRequest) -> DetectorContents:
        """Return what a detector is made of."""
        detector = _opened(request)
        anatomy = detector.anatomy
        return DetectorContents(anatomy, loaded_of(detector), note=" ".join(anatomy.notes))

    def checkpoint(
        self, request: DetectorRequest, *, detector: Detector | None = None, with_model: bool = False
    ) -> TransformersCheckpoint:
        """Read a model of which copies with other weights are to be written.

        The model is always built: names in its files may be older than the model's.
        """
        return TransformersCheckpoint(
            detector if isinstance(detector, TransformersDetector) else _opened(request)
        )


def loaded_of(detector: TransformersDetector) -> str:
    """Say in one line what was loaded: all of it, as nothing else is opened."""
    n_entries = len(detector.model.state_dict())
    return (
        f"{detector.checkpoint}: all of the model's {n_entries:,} entries loaded" if detector.source else ""
    )


def _opened(request: DetectorRequest) -> TransformersDetector:
    detector = open_detector(request)
    if not isinstance(detector, TransformersDetector):
        raise ModelError(f"`request` must ask for a detector of Transformers, got {type(detector).__name__}.")
    return detector
