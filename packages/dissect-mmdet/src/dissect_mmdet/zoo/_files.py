"""Which files a detector is opened from: the user's own, bundled ones, or those of a model of the zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from dissect_core.errors import DetectorOptionError
from dissect_core.text import quoted

from ..bundled import real_checkpoint
from ._download import download
from ._index import find_entry


class ModelFiles(NamedTuple):
    """Where a model of the zoo lies.

    Attributes
    ----------
    config, checkpoint : Path
        An MMDetection config in the installed mmdet, and a checkpoint for it in the folder for caches.
    """

    config: Path
    checkpoint: Path


def model_files(name: str) -> ModelFiles:
    """Return config and checkpoint of a model of the zoo; weights that are not here are downloaded.

    Parameters
    ----------
    name : str
        As ``deep-dissect models`` lists it, or an alias.

    Raises
    ------
    UnknownModelError
        If there is no such model, or it cannot be opened; near matches are named.
    DownloadError
        If its weights are not here and cannot be downloaded, or what came is not what the zoo says.
    """
    entry = find_entry(name)
    if entry.config is None:  # which `find_entry` has refused
        raise DetectorOptionError(f"`model` {quoted(name)} has no config.")
    return ModelFiles(entry.config, download(entry.weights, entry.name))


def given_files(checkpoint: Path | str | None, config: Any, model: str | None) -> tuple[Path, Any]:
    """Return the checkpoint and the config that a detector is opened with, one of them or a model given by name.

    Parameters
    ----------
    checkpoint : Path, str or None
        A file, or the name of a bundled one, ``"demo:detr"``.
    config : Path, str, mmengine Config or None
        One that is given comes before the zoo's.
    model : str or None
        Name of a model of the zoo.

    Raises
    ------
    DetectorOptionError
        If neither or both of `checkpoint` and `model` are given.

    Examples
    --------
    >>> given_files("demo:dino", None, None)[0].name
    'dino.pth'
    >>> given_files(None, None, None)
    Traceback (most recent call last):
    dissect_core.errors.DetectorOptionError: The detector 'mmdet' needs 'checkpoint', a file, or 'model', ...
    """
    if model is None and checkpoint is None:
        raise DetectorOptionError(
            "The detector 'mmdet' needs 'checkpoint', a file, or 'model', the name of one of MMDetection's zoo, which "
            "`deep-dissect models` lists."
        )
    if model is None:
        return real_checkpoint(str(checkpoint)), config
    if checkpoint is not None:
        raise DetectorOptionError(
            f"The detector 'mmdet' takes 'checkpoint' or 'model', got both, {quoted(str(checkpoint))} and "
            f"{quoted(model)}: leave one of them out, and give 'config' for a checkpoint of your own."
        )
    files = model_files(model)
    return files.checkpoint, files.config if config is None else config
