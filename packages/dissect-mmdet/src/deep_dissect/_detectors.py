"""Detectors as Deep Dissect 1.0 uses them: opened with MMEngine's prints, run image by image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dissect_mmdet import ImageError, MMDetDetector, open_mmdet


def open_detector(config: Path | str, checkpoint: Path | str, device: str) -> MMDetDetector:
    """Open a detector, printing what MMEngine prints when it loads a checkpoint."""
    print(f"Loads checkpoint by local backend from path: {checkpoint}")
    detector = open_mmdet(config=config, checkpoint=checkpoint, device=device)
    # MMEngine names every entry that the model lacks, and no counters of batches among the missing.
    unexpected = detector.fit.ignored + detector.fit.unexpected
    missing = [name for name in detector.fit.missing if "num_batches_tracked" not in name]
    lines = ["The model and loaded state dict do not match exactly\n"]
    if unexpected:
        lines.append(f"unexpected key in source state_dict: {', '.join(unexpected)}\n")
    if missing:
        lines.append(f"missing keys in source state_dict: {', '.join(missing)}\n")
    if len(lines) > 1:
        print("\n".join(lines))
    return detector


def predict_one(detector: MMDetDetector, path: Path | str) -> Any:
    """Run a detector on one image, for its detection sample."""
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
        raise ImageError(f"no images: {content!r} names none.")
    return [Path(folder) / name for name in names]
