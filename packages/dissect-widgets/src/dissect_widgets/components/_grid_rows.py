"""Rows of the tree and of the table of roles, as cells. No widgets in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set as AbstractSet

from dissect_core.anatomy import Anatomy, Block, is_inside
from dissect_core.text import visible

from ..base import counted
from ..front import Cell, Column, GridRow
from ._model import BrowserModel
from ._rows import PAGE_SIZE, RowKind, TreeRow
from ._text import shape_text

__all__ = ["ROLE_COLUMNS", "TREE_COLUMNS", "parameters_text", "role_rows", "row_ids", "tree_rows"]

TREE_COLUMNS = (
    Column("check", "", "check", label="Selected"),
    Column("name", "Block or parameter"),
    Column("heads", "Heads", "dots", help="A click selects a head"),
    Column("role", "Role", aside=True),
    Column("parameters", "Parameters", "number"),
    Column("share", "", "bar", label="Share of the model", aside=True),
)
ROLE_COLUMNS = (
    Column("check", "", "check", label="Selected"),
    Column("role", "Role"),
    Column("blocks", "Blocks", "number"),
    Column("heads", "Heads", "number"),
    Column("parameters", "Parameters", "number"),
    Column("share", "", "bar", label="Share of the model", aside=True),
)
DOTS = 32
"""Heads that a closed block shows as dots; beyond, they are counted."""


def row_ids(rows: Sequence[TreeRow]) -> dict[str, TreeRow]:
    """Return rows by ids for a grid: a path, or a path with a sign before it where another row has the path already.

    Examples
    --------
    >>> from dissect_core import Component
    >>> rows, _ = BrowserModel(Component(f"{i}", (4,), "float32") for i in range(60)).rows()
    >>> list(row_ids(rows))[-2:]
    ['49', '+']
    """
    signs: Mapping[RowKind, str] = {"block": "", "component": "", "more": "+"}
    found: dict[str, TreeRow] = {}
    for row in rows:
        key = f"{signs[row.kind]}{row.node.path}"
        while key in found:
            key = f"={key}"
        found[key] = row
    return found


def tree_rows(model: BrowserModel, rows: Mapping[str, TreeRow]) -> list[GridRow]:
    """Return the rows of the tree as a grid shows them."""
    counts, selected = model.n_selected_in_blocks(), set(model.selection)
    total = max(1, model.tree.n_parameters)
    kinds = {block.path: block for block in model.anatomy.blocks}
    return [_tree_row(key, row, model, kinds, counts, selected, total) for key, row in rows.items()]


def _tree_row(
    key: str,
    row: TreeRow,
    model: BrowserModel,
    kinds: Mapping[str, Block],
    counts: Counter[str],
    selected: AbstractSet[str],
    total: int,
) -> GridRow:
    node, shown = row.node, visible(row.node.path)
    if row.kind == "more":
        where = f"in {shown}" if node.path else "at the top level"
        text = f"Show {min(PAGE_SIZE, row.n_more):,} more of {row.n_more:,} left {where}"
        cells: tuple[Cell, ...] = (None, {"text": text, "look": "faint"}, [], "", "", None)
        return GridRow(key, cells, text, row.depth, open=False)
    is_block = row.kind == "block"
    n_parameters = node.n_parameters if is_block or node.component is None else node.component.n_parameters
    share = n_parameters / total
    size: Cell = {"share": share, "text": f"{share:.1%} of the model"}
    number: Cell = {"text": parameters_text(n_parameters), "title": counted(n_parameters, "parameter")}
    block = kinds.get(node.path)
    if is_block:
        n = counts[node.path]
        on = True if n and n == node.n_components else None if n else False
        is_layer = block is not None and block.kind == "layer" and node.name.isdecimal()
        name = f"layer {node.name}" if is_layer else visible(node.name)
        note = f"{n:,} of {node.n_components:,} selected" if n else ""
        role = block.roles[0] if block is not None and block.roles else ""
    else:
        component = node.component
        on, name = node.path in selected, visible(node.name)
        note = shape_text(component) if component is not None else ""
        role = (component.role or "") if component is not None else ""
    is_open = node.path in model.expanded if is_block else None
    told = {"text": name, "note": note, "title": shown}
    role_cell: Cell = {"text": visible(role), "look": "faint"}
    cells = ({"on": on, "label": f"Select {shown}"}, told, _dots(row, model), role_cell, number, size)
    return GridRow(key, cells, shown, row.depth, is_open)


def _dots(row: TreeRow, model: BrowserModel) -> Cell:
    """Return the heads of an attention block as dots; of a closed block, those of all attention blocks in it."""
    if row.kind != "block":
        return []
    path = row.node.path
    is_closed = path not in model.expanded
    inside = [one for one in model.anatomy.attention if one == path or (is_closed and is_inside(one, path))]
    if sum(model.anatomy.attention[one].n_heads for one in inside) > DOTS:
        return []
    dots = []
    for one in inside:
        on = model.heads.get(one, ())
        where = visible(one)
        for head in range(model.anatomy.attention[one].n_heads):
            dot = {"id": f"{one}:{head}", "label": f"{where} · head {head}", "on": head in on}
            dots.append({**dot, "apart": head == 0 and one != inside[0]})
    return dots


def role_rows(model: BrowserModel) -> list[GridRow]:
    """Return a row for each role of the model, with its blocks, heads and parameters."""
    anatomy, total = model.anatomy, max(1, model.tree.n_parameters)
    selected, sizes = set(model.selection), model.sizes
    rows = []
    for role in anatomy.roles:
        names = model.of_role(role)
        blocks = [block for block in anatomy.blocks if role in block.roles]
        n_heads = _n_heads(anatomy, blocks)
        n = sum(sizes[name] for name in names)
        has = sum(name in selected for name in names)
        on = True if names and has == len(names) else None if has else False
        share = n / total
        check: Cell = {"on": on, "label": f"Select {visible(role)}"} if names else None
        cells: tuple[Cell, ...] = (
            check,
            {"text": visible(role)},
            f"{len(blocks):,}",
            f"{n_heads:,}" if n_heads else None,
            {"text": parameters_text(n), "title": counted(n, "parameter")},
            {"share": share, "text": f"{share:.1%} of the model"},
        )
        rows.append(GridRow(role, cells, visible(role)))
    return rows


def _n_heads(anatomy: Anatomy, blocks: Sequence[Block]) -> int:
    return sum(
        layout.n_heads
        for path, layout in anatomy.attention.items()
        if any(is_inside(path, block.path) for block in blocks)
    )


def parameters_text(n: int) -> str:
    """Return a number of parameters, short.

    Examples
    --------
    >>> parameters_text(256), parameters_text(65_792), parameters_text(41_300_000)
    ('256', '65.8 k', '41.3 M')
    """
    if n < 10_000:
        return f"{n:,}"
    for unit, size in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        if n < 999.95 * size:
            return f"{n / size:.1f} {unit}"
    return f"{n / 1e12:,.1f} T"
