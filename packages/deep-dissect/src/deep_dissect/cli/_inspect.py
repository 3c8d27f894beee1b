"""``deep-dissect inspect``: what a detector is made of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
from rich.tree import Tree

from dissect_core import Anatomy, AttentionLayout, Component, select_components
from dissect_core.detectors import DetectorContents, adapter_tools
from dissect_core.text import cut

from ._console import Console, note, print_whole
from ._opening import Opening, opens_detector

LISTED_AT_MOST = 3
"""Most paths of blocks that are named for a role or unit."""


@opens_detector(argument="optional", leave_out=["device", "classes"])
def inspect(
    opening: Opening,
    match: Annotated[
        list[str] | None,
        typer.Option("--match", "-m", help="Show only components of this name or glob; can be repeated."),
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", "-d", min=1, help="Fold what lies deeper than this many levels.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a tree.")] = False,
) -> None:
    """Show what a detector is made of: components, roles, blocks and units.

    Components come as a tree with shapes, parameters and attention heads; then the roles that studies aim at, and the
    units that each has.
    """
    request = opening.request()
    contents = adapter_tools(request.named.adapter).contents(request)
    if match:
        chosen = tuple(select_components(contents.anatomy.components, match))
        contents = replace(contents, anatomy=replace(contents.anatomy, components=chosen))
    note(contents.loaded)
    asked = request.options.get("checkpoint") or request.options.get("model")
    name = str(opening.source or asked or request.named.adapter)
    if as_json:
        typer.echo(json.dumps(to_dict(name, contents), indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    if contents.warning:
        console.print(f"warning: {contents.warning}")
    print_whole(_tree(name.replace("\\", "/").rpartition("/")[2], contents.anatomy, depth))
    if not match and contents.anatomy.roles:
        print_whole(_roles(contents.anatomy))
    if not match and contents.anatomy.groups:
        print_whole(_units(contents.anatomy))
    note(contents.note)


def to_dict(name: str, contents: DetectorContents) -> dict[str, Any]:
    """Return what is shown as plain data, for JSON."""
    anatomy = contents.anatomy
    return {
        "checkpoint": name,
        "n_parameters": sum(component.n_parameters for component in anatomy.components),
        "note": contents.note or None,
        **({"missing_weights": dict(contents.missing)} if contents.missing else {}),
        "components": [
            {
                "name": c.name,
                "shape": list(c.shape),
                "dtype": c.dtype,
                "n_parameters": c.n_parameters,
                "n_heads": c.n_heads,
                "role": c.role,
            }
            for c in anatomy.components
        ],
        "attention": {
            block: {"kind": layout.kind, "n_heads": layout.n_heads, "embed_dims": layout.embed_dims}
            for block, layout in anatomy.attention.items()
        },
        "roles": list(anatomy.roles),
        "blocks": [
            {
                "path": block.path,
                "kind": block.kind,
                "roles": list(block.roles),
                "layer": block.layer,
                "n_parameters": block.n_parameters,
            }
            for block in anatomy.blocks
        ],
        "units": [
            {"unit": group.unit, "path": group.path, "count": group.n_units} for group in anatomy.groups
        ],
    }


def _roles(anatomy: Anatomy) -> Table:
    """Return a table of the roles and of the blocks that have them."""
    table = _table(
        "role", "kind", Column("blocks", justify="right"), Column("parameters", justify="right"), "which"
    )
    for role in anatomy.roles:
        blocks = [block for block in anatomy.blocks if role in block.roles]
        if not blocks:
            continue
        kinds = ", ".join(dict.fromkeys(block.kind for block in blocks))
        named = ", ".join(cut(block.path) for block in blocks[:LISTED_AT_MOST])
        more = ", …" if len(blocks) > LISTED_AT_MOST else ""
        total = sum(block.n_parameters for block in blocks)
        table.add_row(cut(role), kinds, f"{len(blocks):,}", f"{total:,}", named + more)
    return table


def _units(anatomy: Anatomy) -> Table:
    """Return a table of the units other than single values: heads, neurons, channels, queries and so on."""
    table = _table("unit", Column("places", justify="right"), Column("units", justify="right"), "which")
    counts: dict[str, list[tuple[str, int]]] = {}
    for path, layout in anatomy.attention.items():
        counts.setdefault("head", []).append((path, layout.n_heads))
    for group in anatomy.groups:
        counts.setdefault(group.unit, []).append((group.path, group.n_units))
    for unit, places in counts.items():
        sizes = Counter(size for _, size in places)
        named = ", ".join(cut(path) for path, _ in places[:LISTED_AT_MOST])
        more = ", …" if len(places) > LISTED_AT_MOST else ""
        each = " + ".join(f"{many} × {size:,}" if many > 1 else f"{size:,}" for size, many in sizes.items())
        table.add_row(unit, f"{len(places):,}", each, named + more)
    return table


def _table(*columns: Column | str) -> Table:
    return Table(
        *(Column(each, no_wrap=True) if isinstance(each, str) else each for each in columns),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )


def _tree(name: str, anatomy: Anatomy, depth: int | None) -> Tree:
    """Group dotted names into a tree; a folded branch says how much it holds."""
    root = Tree(f"{cut(name)}  {_amount(anatomy.components)}")
    _grow(root, anatomy.components, anatomy.attention, prefix="", depth=depth)
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
