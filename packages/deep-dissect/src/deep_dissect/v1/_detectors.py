"""Detectors as Deep Dissect 1.0 uses them: opened with MMEngine's prints, run image by image."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._mmdet import mmdet

MIN_MATCH = 0.9
"""Share of entries that must match."""


def open_detector(config: Path | str | Any, checkpoint: Path | str, device: str) -> Any:
    """Open a detector, printing what MMEngine prints when it loads a checkpoint.

    As in version 1.0 a few entries may be missing: they are printed. Random numbers stand in for them, here those of a
    fixed seed, and a warning says so. A checkpoint mostly of another model, or with other shapes, is refused.
    """
    print(f"Loads checkpoint by local backend from path: {checkpoint}")
    detector = mmdet.open_mmdet(config=config, checkpoint=checkpoint, device=device, allow_missing=True)
    fit = detector.fit
    if fit.reshaped or fit.share < MIN_MATCH:
        raise mmdet.CheckpointFitError(
            f"checkpoint {checkpoint} does not fit config {config}: {fit.problems()}. Give the config that the "
            "checkpoint was trained with."
        )
    # MMEngine names every entry that the model lacks, and no counters of batches among the missing.
    unexpected, missing = fit.ignored + fit.unexpected, fit.missing
    lines = ["The model and loaded state dict do not match exactly\n"]
    if unexpected:
        lines.append(f"unexpected key in source state_dict: {', '.join(unexpected)}\n")
    if missing:
        lines.append(f"missing keys in source state_dict: {', '.join(missing)}\n")
    if len(lines) > 1:
        print("\n".join(lines))
    if fit.warning:
        warnings.warn(f"{checkpoint}: {fit.warning}", stacklevel=3)
    return detector


def init_detector(
    config: Path | str | Any,
    checkpoint: Path | str | None = None,
    palette: str = "none",
    device: str = "cuda:0",
    cfg_options: dict[str, Any] | None = None,
) -> Any:
    """Open a detector as MMDetection's function of this name does, its checkpoint read without running code.

    Parameters
    ----------
    config : Path, str or mmengine Config
        A config is a program: use only those that you trust.
    checkpoint : Path or str, optional
        Left out, the weights are random.
    palette : str
        Name of the colours that MMDetection's own drawings use.
    device : str
    cfg_options : dict, optional
        What to change in the config, by dotted name.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, with ``cfg`` and ``dataset_meta``, for `inference_detector`.
    """
    read = mmdet.load_config(config) if isinstance(config, (str, Path)) else config
    if cfg_options is not None:
        read.merge_from_dict(cfg_options)
    if checkpoint is None:
        mmdet.use_registries()
        from mmdet.apis import init_detector as without_checkpoint

        return without_checkpoint(read, None, palette, device)
    model: Any = open_detector(read, checkpoint, device).model
    if palette != "none":
        model.dataset_meta["palette"] = palette
    return model


def inference_detector(model: Any, imgs: Any, *arguments: Any, **options: Any) -> Any:
    """Run a detector over images by MMDetection's function of this name, which takes the same arguments."""
    mmdet.use_registries()
    from mmdet.apis import inference_detector as of_mmdet

    return of_mmdet(model, imgs, *arguments, **options)


def predict_one(detector: Any, path: Path | str) -> Any:
    """Run a detector on one image and return its detection sample."""
    (batch,) = detector.prepare([path])
    (sample,) = detector.predict_samples(batch)
    return sample


def image_files(content: Sequence[str] | str, folder: Path | str) -> list[Path]:
    """List the images that are named, or that lie in a folder."""
    if isinstance(content, (str, os.PathLike)):
        names = sorted(path.name for path in Path(content).iterdir())
    else:
        names = list(content)
    if not names:
        raise mmdet.ImageError(f"no images: {content!r} names none.")
    return [Path(folder) / name for name in names]
