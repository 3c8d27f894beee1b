"""``deep-dissect inspect``: what a checkpoint is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.tree import Tree

from dissect_core import AttentionLayout, Component, select_components
from dissect_core.text import cut
from dissect_core.torch import attention_layouts, components_of
from dissect_mmdet.configs import import_modules
from dissect_mmdet.detector import MMDetDetector, _open
from dissect_mmdet.weights import Fit, FoundWeights, _checkpoints, find_weights, require_finite

from ._console import Console
from ._loaded import say_loaded
from ._options import (
    AllowMissingOption,
    CheckpointArgument,
    ConfigOption,
    CustomImportsOption,
    TrustOption,
    WeightsPrefixOption,
)

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def inspect(
    checkpoint: CheckpointArgument,
    config: ConfigOption = None,
    match: Annotated[
        list[str] | None,
        typer.Option("--match", "-m", help="Show only components of this name or glob; can be repeated."),
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", "-d", min=1, help="Fold what lies deeper than this many levels.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a tree.")] = False,
    allow_missing: AllowMissingOption = False,
    weights_prefix: WeightsPrefixOption = "",
    custom_imports: CustomImportsOption = None,
    trust: TrustOption = False,
) -> None:
    """Show what a detector is made of: components, roles, blocks and units."""
    loaded = _checkpoints.load_mmdet_checkpoint(checkpoint, trust=trust)
    found = read_components(
        checkpoint,
        loaded,
        config,
        allow_missing=allow_missing,
        weights_prefix=weights_prefix,
        custom_imports=custom_imports or (),
        trust=trust,
    )
    if match:
        found = found._replace(components=select_components(found.components, match))
    say_loaded(found)
    if as_json:
        typer.echo(json.dumps(found.to_dict(checkpoint), indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    if found.fit is not None and found.fit.warning:
        console.print(f"warning: {found.fit.warning}", markup=False)
    console.print(_tree(checkpoint, found, depth), markup=False)
    if found.note:
        Console(stderr=True, soft_wrap=True).print(found.note, markup=False)


class Contents(NamedTuple):
    """What `inspect` shows: components, attention blocks by module path, a remark, and where the weights were.

    `fit` is how they fitted the model, where there is one.
    """

    components: Sequence[Component]
    attention: Mapping[str, AttentionLayout]
    note: str
    weights: FoundWeights
    fit: Fit | None

    @property
    def n_parameters(self) -> int:
        """Sum over the components."""
        return sum(component.n_parameters for component in self.components)

    def to_dict(self, checkpoint: Path) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return {
            "checkpoint": str(checkpoint),
            "n_parameters": self.n_parameters,
            "note": self.note or None,
            **({"missing_weights": self.fit.record()} if self.fit is not None and self.fit.warning else {}),
            "components": [
                {
                    "name": c.name,
                    "shape": list(c.shape),
                    "dtype": c.dtype,
                    "n_parameters": c.n_parameters,
                    "n_heads": c.n_heads,
                }
                for c in self.components
            ],
            "attention": {
                block: {"kind": layout.kind, "n_heads": layout.n_heads, "embed_dims": layout.embed_dims}
                for block, layout in self.attention.items()
            },
        }


def read_components(
    checkpoint: Path,
    loaded: dict[str, Any],
    config: Path | None,
    *,
    allow_missing: bool = False,
    weights_prefix: str = "",
    custom_imports: Sequence[str] = (),
    trust: bool = False,
) -> Contents:
    """Components from the live model where its config is known, else from the checkpoint's tensors alone."""
    import_modules(custom_imports)
    resolved, source = _open.resolve_config(loaded, config, trust=trust, custom_imports=custom_imports)
    if resolved is None:
        found = find_weights(loaded, prefix=weights_prefix, source=str(checkpoint))
        require_finite(found.state, str(checkpoint))
        note = "Attention heads are not shown: their number is not in the weights. Give the model's --config."
        if found.prefix:
            note = f"`{found.prefix}` is taken off every name. {note}"
        if found.note:
            note = f"These are {found.note}. {note}"
        return Contents(components_of_weights(found.state), {}, note, found, None)
    model, fit, found = _open.fitted_model(
        resolved,
        loaded,
        checkpoint=checkpoint,
        source=source,
        allow_missing=allow_missing,
        weights_prefix=weights_prefix,
    )
    # Weights do not matter to what is read of them.
    notes = MMDetDetector(model.eval(), resolved, (), fit).anatomy.notes
    return Contents(components_of(model), attention_layouts(model), " ".join(notes), found, fit)


def components_of_weights(weights: Mapping[str, Any]) -> list[Component]:
    """Components of a state dict, for want of a live model: names, shapes and types, no heads.

    Only parameters are components. A state dict also holds the statistics of batch norms: they are left out,
    because a glob over a backbone would else zero variances, which removes nothing and breaks everything.
    """
    return [
        Component(name, tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for name, value in weights.items()
        if name.rsplit(".", 1)[-1] not in STATISTICS
    ]


def _tree(checkpoint: Path, found: Contents, depth: int | None) -> Tree:
    """Group dotted names into a tree; a folded branch says how much it holds."""
    root = Tree(f"{checkpoint.name}  {_amount(found.components)}")
    _grow(root, found.components, found.attention, prefix="", depth=depth)
    return root


def _grow(
    branch: Tree,
    components: Sequence[Component],
    attention: Mapping[str, AttentionLayout],
    *,
    prefix: str,
    depth: int | None,
) -> None:
    groups: dict[str, list[Component]] = {}
    for component in components:
        groups.setdefault(component.name[len(prefix) :].split(".", 1)[0], []).append(component)
    for head, members in groups.items():
        path = f"{prefix}{head}"
        if len(members) == 1 and members[0].name == path:
            shape = " × ".join(map(str, members[0].shape)) or "scalar"
            branch.add(f"{cut(head)}  {shape}")
            continue
        layout = attention.get(path)
        heads = f", {layout.n_heads} heads of {layout.embed_dims // layout.n_heads}" if layout else ""
        child = branch.add(f"{cut(head)}  {_amount(members)}{heads}")
        if depth is None or depth > 1:
            _grow(child, members, attention, prefix=f"{path}.", depth=None if depth is None else depth - 1)


def _amount(components: Sequence[Component]) -> str:
    total = sum(component.n_parameters for component in components)
    plural = "" if len(components) == 1 else "s"
    return f"({len(components)} component{plural}, {total:,} parameters)"
