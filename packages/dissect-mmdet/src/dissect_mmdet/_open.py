"""Opening a trained model: config, checkpoint, fit, device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dissect_core.torch import state_dict_of

from ._bundled import real_checkpoint
from ._checkpoints import load_mmdet_checkpoint
from ._config import checked_config, config_of_checkpoint, load_config
from ._detector import MMDetDetector
from ._fit import MIN_MATCH, Fit, compare_state, require_fit
from ._models import available_device, build_model, class_names_of
from ._runtime import require_mmdet
from .errors import ConfigError


def open_mmdet(
    *,
    config: Path | str | Any | None = None,
    checkpoint: Path | str,
    device: str = "cpu",
    trust: bool = False,
    min_match: float = MIN_MATCH,
) -> MMDetDetector:
    """Open a trained MMDetection model for ablation.

    Parameters
    ----------
    config : Path, str or mmengine Config, optional
        Left out, the config that MMEngine stored in the checkpoint is used, if it is made of literals only.
    checkpoint : Path or str
        Read with ``weights_only=True`` unless `trust`; ``"demo:detr"``, ``"demo:deformable_detr"`` and
        ``"demo:dino"`` are the bundled ones.
    device : str
        For instance ``"cpu"`` or ``"cuda:0"``.
    trust : bool
        Let the checkpoint run code while it is read. Only for files of your own.
    min_match : float
        Smallest share of state-dict entries that must match, in [0, 1].

    Returns
    -------
    MMDetDetector

    Raises
    ------
    ConfigError, CheckpointFitError, DeviceError, MissingDependencyError, dissect_core.CheckpointError
        See their messages: each names the file, the rule and the remedy.

    Examples
    --------
    >>> detector = open_mmdet(checkpoint="demo:detr")
    >>> detector.class_names
    ('circle', 'square', 'triangle', 'star', 'ring', 'cross')
    """
    require_mmdet()
    checkpoint = real_checkpoint(checkpoint)
    place = available_device(device)
    loaded = load_mmdet_checkpoint(checkpoint, trust=trust)
    resolved, source = resolve_config(loaded, config)
    if resolved is None:
        raise ConfigError(
            f"checkpoint {checkpoint} holds no config that can be read safely: give one with --config."
        )
    weights = state_dict_of(loaded)
    model, fit = fitted_model(resolved, weights, checkpoint=checkpoint, source=source, min_match=min_match)
    model.load_state_dict(weights, strict=False)
    names = class_names_of(loaded, resolved, model)
    model.cfg = resolved
    model.dataset_meta = {"classes": names}
    return MMDetDetector(model.to(place).eval(), resolved, names, fit)


def resolve_config(loaded: dict[str, Any], config: Path | str | Any | None) -> tuple[Any | None, str]:
    """The config given, else the one inside a checkpoint, and where it came from, for messages."""
    if config is None:
        return config_of_checkpoint(loaded), "the config inside the checkpoint"
    if isinstance(config, (str, Path)):
        return load_config(config), f"config {config}"
    return checked_config(config, "the given config"), "the given config"


def fitted_model(
    config: Any,
    weights: Mapping[str, Any],
    *,
    checkpoint: Path | str,
    source: str,
    min_match: float = MIN_MATCH,
) -> tuple[Any, Fit]:
    """A model with random weights that the checkpoint's weights fit, or `CheckpointFitError`."""
    model: Any = build_model(config)  # MMDetection reads attributes of it that torch's types do not know
    fit = compare_state(model.state_dict(), weights)
    require_fit(fit, checkpoint=str(checkpoint), config=source, min_match=min_match)
    return model, fit
