"""Which adapter opens what somebody names: a bundled detector, a checkpoint, a folder, or a name of a zoo."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from dissect_core.detectors import Detector, bundled_detector, model_of
from dissect_core.spec import DetectorSpec

from ..errors import UnknownNameError

__all__ = ["BUNDLED", "CHECKPOINTS", "label_of", "named_detector"]

BUNDLED: Mapping[str, tuple[str, str]] = {
    "demo:dino": ("DINO", "bundled · 1.1 M parameters · 36 heads · AP50 .923"),
    "demo:detr": ("DETR", "bundled · 1.2 M parameters · 72 heads · AP50 .821"),
    "demo:deformable_detr": ("Deformable DETR", "bundled · 1.1 M parameters · 36 heads · AP50 .915"),
}
"""Bundled detectors of dissect-mmdet by their checkpoint: name, and what they are (a test compares it with them)."""

CHECKPOINTS = (".pth", ".pt", ".safetensors", ".ckpt")
_PACKAGES = {"mmdet": "dissect-mmdet", "transformers": "dissect-transformers"}


def label_of(detector: Detector | None, options: Mapping[str, object]) -> str:
    """Return a short name of a detector for people: of a bundled one its own, else its file's, or its model's class.

    Parameters
    ----------
    detector : Detector or None
        Where it is open.
    options : mapping
        Those that it is opened with.

    Examples
    --------
    >>> label_of(None, {"checkpoint": "demo:dino"}), label_of(None, {"checkpoint": "runs/epoch_12.pth"})
    ('DINO', 'epoch_12.pth')
    """
    named = next((str(options[key]) for key in ("checkpoint", "model") if options.get(key)), "")
    if named in BUNDLED:
        return BUNDLED[named][0]
    if named:
        return Path(named).name
    if detector is None:
        return ""
    model = model_of(detector)
    return type(detector if model is None else model).__name__


def named_detector(text: str, installed: Collection[str]) -> DetectorSpec:
    """Return how to open what a text names; nothing is read or imported.

    Parameters
    ----------
    text : str
        ``demo:dino``; a checkpoint of MMDetection; a folder or a name on the Hub of Transformers; or a name of
        MMDetection's zoo.
    installed : collection of str
        Names of the adapters that are installed.

    Raises
    ------
    UnknownNameError
        If nothing is named, there is no such file, or the adapter that would open it is not installed.

    Examples
    --------
    >>> named_detector("dino-4scale_r50_8xb2-12e_coco", ["mmdet"]).options
    {'model': 'dino-4scale_r50_8xb2-12e_coco'}
    >>> named_detector("PekingU/rtdetr_r50vd", ["mmdet"])
    Traceback (most recent call last):
    dissect_widgets.errors.UnknownNameError: 'PekingU/rtdetr_r50vd' needs the adapter transformers, which is not \
installed: `pip install dissect-transformers`.
    """
    text = text.strip()
    if not text:
        raise UnknownNameError("Name a checkpoint, a folder, or a model of a zoo.")
    if text.startswith("demo:"):
        return bundled_detector(text)
    path = Path(text).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise UnknownNameError(
                f"{text!r} is a folder without config.json, which a model of Transformers has. Give the checkpoint in "
                "it."
            )
        adapter, option = "transformers", "model"
    elif path.suffix.lower() in CHECKPOINTS:
        if not path.is_file():
            raise UnknownNameError(f"There is no file {text}.")
        adapter, option = "mmdet", "checkpoint"
    elif path.is_file():
        raise UnknownNameError(f"{text!r} must end with {', '.join(CHECKPOINTS)} to be a checkpoint.")
    elif "/" in text:
        if text.startswith(("/", ".", "~")) or text.count("/") > 1:
            raise UnknownNameError(f"There is no file or folder {text}.")
        adapter, option = "transformers", "model"
    else:
        adapter, option = "mmdet", "model"
    if adapter not in installed:
        raise UnknownNameError(
            f"{text!r} needs the adapter {adapter}, which is not installed: `pip install {_PACKAGES[adapter]}`."
        )
    return DetectorSpec(adapter=adapter, options={option: text})
