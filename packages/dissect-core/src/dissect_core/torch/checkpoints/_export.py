"""Write a variant as a checkpoint, with a record of what it is."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from ...edits import AblationReport, intervention_label
from ...plan import Variant
from ..weights import apply
from ._checkpoint import save_checkpoint
from ._state_dicts import put_state, state_dict_of, state_dict_place

RECORD = "deep_dissect"


def export(
    variant: Variant,
    source: nn.Module | Mapping[str, Any],
    path: str | Path,
    *,
    record: Mapping[str, Any] | None = None,
) -> AblationReport:
    """Write a variant as a checkpoint that every program can load that loads the original.

    Parameters
    ----------
    variant : Variant
        A variant on weights, or one that weights can express (`Variant.as_edits`): zero activations of heads, neurons
        and channels, bypassed sublayers.
    source : torch.nn.Module or mapping
        The model, or a checkpoint as `load_checkpoint` gives it. It is not changed.
    path : str or Path
        The file. It is written whole or not at all; an older one is replaced.
    record : mapping, optional
        More to keep in the checkpoint's record, as plain data, such as where the source came from.

    Returns
    -------
    AblationReport
        How many values were masked and how many changed.

    Raises
    ------
    PlanError
        If no weights do what the variant does (bypassed layers, readouts, means of activations).
    UnknownComponentError
        If the checkpoint lacks a parameter.
    CheckpointError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of, load_checkpoint
    >>> model = nn.MultiheadAttention(8, 2)
    >>> heads = {"name": "heads", "target": {"unit": "head", "components": "*"}, "select": {"by": "each"}}
    >>> variants = plan(load_spec({"name": "single heads", "ablations": [heads]}), anatomy_of(model))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = export(variants[2], model, Path(folder) / "head.pth")
    ...     checkpoint = load_checkpoint(Path(folder) / "head.pth")
    >>> report.changed, checkpoint["meta"]["deep_dissect"]["removed"]
    (32, {'': [1]})
    >>> checkpoint["state_dict"]["out_proj.weight"][:, 4:].abs().sum()
    tensor(0.)
    """
    checkpoint = {"state_dict": source.state_dict()} if isinstance(source, nn.Module) else source
    state, report = apply(state_dict_of(checkpoint), variant)
    made = {**variant_record(variant, report), **(record or {})}
    save_checkpoint(with_state(checkpoint, state, made), path)
    return report


def variant_record(variant: Variant, report: AblationReport) -> dict[str, Any]:
    """Return a description of a variant as plain data, for the record in its checkpoint."""
    return {
        "variant": variant.id,
        "unit": variant.pool.unit,
        "intervention": intervention_label(variant.intervention),
        "removed": {path: list(units) for path, units in variant.removed().items()},
        "seed": variant.seed,
        "values_changed": report.changed,
        "version": version("dissect-core"),
    }


def with_state(
    checkpoint: Mapping[str, Any],
    state: Mapping[str, Any],
    record: Mapping[str, Any],
    place: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """Return a checkpoint like the given one, with another state dict and a record of how it was made.

    Earlier records are kept in its history; results of the whole model (``test_metrics``) are dropped. A bare state
    dict becomes ``{"state_dict": ..., "meta": ...}``. The keys under which the state dict lies may be given as `place`.
    """
    place = state_dict_place(checkpoint) if place is None else place
    kept = put_state(checkpoint, place, state) if place else {"state_dict": state}
    meta = dict(kept["meta"]) if isinstance(kept.get("meta"), Mapping) else {}
    meta.pop("test_metrics", None)
    earlier = meta.get(RECORD)
    history = [*earlier.get("history", []), earlier] if isinstance(earlier, dict) else []
    meta[RECORD] = {**record, "history": history}
    return {**kept, "meta": meta}
