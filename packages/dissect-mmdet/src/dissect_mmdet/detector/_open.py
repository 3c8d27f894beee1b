"""Opening a trained model: config, checkpoint, fit, device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dissect_core.detectors import harmless_options

from .._runtime import require_mmdet
from ..configs import STORED, checked_config, config_of_checkpoint, import_modules, load_config
from ..errors import ConfigError
from ..weights import (
    SEED,
    Fit,
    FoundWeights,
    class_names_of,
    find_weights,
    load_mmdet_checkpoint,
    put_weights,
    unused_names,
)
from ..zoo import given_files
from ._detector import MMDetDetector
from ._models import available_device, build_model, fixed_chance


@harmless_options("checkpoint", "model", "device", "allow_missing", "weights_prefix", "classes")
def open_mmdet(
    checkpoint: Path | str | None = None,
    *,
    model: str | None = None,
    config: Path | str | Any | None = None,
    device: str = "cpu",
    trust: bool = False,
    allow_missing: bool = False,
    weights_prefix: str = "",
    classes: Sequence[str] | str | None = None,
    custom_imports: Sequence[str] = (),
) -> MMDetDetector:
    """Open a trained MMDetection model for ablation.

    Parameters
    ----------
    checkpoint : Path or str, optional
        Read with ``weights_only=True`` unless `trust`, or a ``.safetensors`` file; ``"demo:detr"``,
        ``"demo:deformable_detr"`` and ``"demo:dino"`` are the bundled ones. What training wrappers put before all
        names (``module.``, ``_orig_mod.``, ``teacher.``, …) is taken off where the rest is what the model has.
    model : str, optional
        Instead of a checkpoint: the name of a model of MMDetection's zoo, such as ``"detr_r50_8xb2-150e_coco"``. Its
        config is that of the installed mmdet, unless one is given; its weights are downloaded once into the folder for
        caches, and checked.
    config : Path, str or mmengine Config, optional
        Left out, the config that MMEngine stored in the checkpoint is used, if it is made of literals only, and names
        only what MMDetection, MMEngine and mmcv register. One that is given beats what the checkpoint says of itself,
        names of classes too: in Python, it is a program of yours; in JSON or YAML, it is read as a stored one.
    device : str
        For instance ``"cpu"`` or ``"cuda:0"``.
    trust : bool
        Let the checkpoint run code while it is read, and its config, or one in JSON or YAML, name and import anything.
        Only for files of your own.
    allow_missing : bool
        Open a checkpoint that does not fit: random numbers of a fixed seed stand in for weights that it lacks or has in
        another shape, the same ones each time, and what the model has no place for is left out. `facts` says so, and
        with it every table and report.
    weights_prefix : str
        Which weights, of a checkpoint with several: what their names begin with (``"teacher."``), or the key
        that they lie under (``"ema."``).
    classes : sequence of str or str, optional
        Names of the classes in order; a text is taken apart at its commas. Left out, a `config` that is given names
        them, then the checkpoint.
    custom_imports : sequence of str
        Modules to import first, which register classes: whatever the config, it may name those of their packages.
        Modules are programs.

    Returns
    -------
    MMDetDetector

    Raises
    ------
    ConfigError, CheckpointFitError, DeviceError, MissingDependencyError, UnknownModelError, DownloadError
    dissect_core.CheckpointError, dissect_core.DetectorOptionError
        See their messages: each names the file, the rule and the remedy.

    Examples
    --------
    >>> detector = open_mmdet("demo:detr")
    >>> detector.class_names
    ('circle', 'square', 'triangle', 'star', 'ring', 'cross')
    """
    require_mmdet()
    import_modules(custom_imports)
    place = available_device(device)
    checkpoint, config = given_files(checkpoint, config, model)
    loaded = load_mmdet_checkpoint(checkpoint, trust=trust)
    resolved, source = resolve_config(loaded, config, trust=trust, custom_imports=custom_imports)
    if resolved is None:
        raise ConfigError(
            f"checkpoint {checkpoint} holds no config that can be read safely: give one with --config."
        )
    built, fit, _ = fitted_model(
        resolved,
        loaded,
        checkpoint=checkpoint,
        source=source,
        allow_missing=allow_missing,
        weights_prefix=weights_prefix,
    )
    names = class_names_of(
        loaded, resolved, built, source=source, config_is_given=config is not None, classes=classes
    )
    if note := unused_names(loaded, names):
        fit = replace(fit, notes=(*fit.notes, note))
    built.cfg = resolved
    built.dataset_meta = {"classes": names}
    return MMDetDetector(built.to(place).eval(), resolved, names, fit)


def resolve_config(
    loaded: dict[str, Any],
    config: Path | str | Any | None,
    *,
    trust: bool = False,
    custom_imports: Sequence[str] = (),
) -> tuple[Any | None, str]:
    """Return the config given, else the one inside a checkpoint, and where it came from, for messages."""
    if config is None:
        return config_of_checkpoint(loaded, trust=trust, custom_imports=custom_imports), STORED
    if isinstance(config, (str, Path)):
        return load_config(config, trust=trust, custom_imports=custom_imports), f"config {config}"
    return checked_config(config, "the given config"), "the given config"


def fitted_model(
    config: Any,
    loaded: dict[str, Any],
    *,
    checkpoint: Path | str,
    source: str,
    allow_missing: bool = False,
    weights_prefix: str = "",
) -> tuple[Any, Fit, FoundWeights]:
    """Return a model with a checkpoint's weights, how they fitted, and where they are in the file."""
    with fixed_chance(
        torch.device("cpu"), SEED
    ):  # whatever is random in it is the same each time, and nothing outside
        n_bytes = Path(checkpoint).stat().st_size
        # MMDetection reads attributes of it that torch's types do not know.
        model: Any = build_model(config, source=source, n_bytes=n_bytes)
    found = find_weights(loaded, model.state_dict(), weights_prefix, source=str(checkpoint))
    fit = put_weights(model, found, checkpoint=str(checkpoint), source=source, allow_missing=allow_missing)
    return model, fit, found
