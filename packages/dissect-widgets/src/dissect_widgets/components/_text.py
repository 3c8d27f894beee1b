"""The state of the component browser as plain text and as HTML. No widgets in here."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from dissect_core import Component, near_matches
from dissect_core.anatomy import unit_kind
from dissect_core.text import visible
from dissect_eval.study import block_names

from ..base import counted, html_text
from ._model import BrowserModel
from ._rows import TreeRow
from ._tree import ComponentNode

_NAMES_LISTED = 200
_WRAP = 'style="overflow-wrap:anywhere"'


def shape_text(component: Component) -> str:
    """Return the shape of a component in words.

    Parameters
    ----------
    component : Component
        The component.

    Returns
    -------
    str
        Its extents with a multiplication sign between them, ``"scalar"`` where there are none.

    Examples
    --------
    >>> shape_text(Component("query_embedding.weight", (100, 256), "float32"))
    '100 × 256'
    """
    return " × ".join(map(str, component.shape)) or "scalar"


def component_text(component: Component) -> str:
    """Describe a component, for the row that has its name; not escaped.

    Parameters
    ----------
    component : Component
        The component.

    Returns
    -------
    str
        Shape, type, number of parameters, and role, heads and further names where there are any.

    Examples
    --------
    >>> component_text(Component("a.weight", (8, 4), "float32", role="encoder.self_attn", n_heads=2))
    '8 × 4, float32, 32 parameters, role encoder.self_attn, 2 heads'
    """
    parts = [shape_text(component), component.dtype, counted(component.n_parameters, "parameter")]
    if component.role is not None:
        parts.append(f"role {component.role}")
    if component.n_heads is not None:
        parts.append(counted(component.n_heads, "head"))
    if component.aliases:
        parts.append(f"also named {' and '.join(component.aliases)}")
    return ", ".join(parts)


def block_text(node: ComponentNode, n_selected: int) -> str:
    """Describe a block, for the row that has its name.

    Parameters
    ----------
    node : ComponentNode
        The block.
    n_selected : int
        How many of the components below it are selected.

    Returns
    -------
    str
        Numbers of components, parameters, heads and selected components.

    Examples
    --------
    >>> from dissect_widgets.components import component_tree
    >>> tree = component_tree([Component("attn.weight", (8, 4), "float32", n_heads=2)])
    >>> block_text(tree.children[0], n_selected=1)
    '1 component, 32 parameters, 2 heads per attention block, 1 selected'
    """
    parts = [counted(node.n_components, "component"), counted(node.n_parameters, "parameter")]
    if node.heads:
        noun = "head" if node.heads == (1,) else "heads"
        parts.append(f"{' or '.join(map(str, node.heads))} {noun} per attention block")
    if n_selected:
        parts.append(f"{n_selected:,} selected")
    return ", ".join(parts)


def status_text(model: BrowserModel) -> str:
    """Sum up a browser's state in a line.

    Parameters
    ----------
    model : BrowserModel
        The state.

    Returns
    -------
    str
        How many components there are, how many were found, are selected, and are shown; not escaped.

    Examples
    --------
    >>> from dissect_core import Component
    >>> model = BrowserModel([Component("query.weight", (5, 4), "float32")], selection=["query.weight"])
    >>> status_text(model)
    '1 component, 20 parameters. Selected: 1 component, 20 parameters.'
    >>> model.search("query.wieght")
    >>> status_text(model)
    "No component matches 'query.wieght'; near matches: query.weight. Selected: 1 component, 20 parameters."
    """
    tree, pattern = model.shown_tree, model.view.search
    total = (
        f"{counted(model.tree.n_components, 'component')}, {counted(model.tree.n_parameters, 'parameter')}"
    )
    if not pattern:
        found = total
    elif tree.n_components:
        verb = "matches" if tree.n_components == 1 else "match"
        found = f"{tree.n_components:,} of {total}, {verb} '{visible(pattern)}'"
    else:
        near = near_matches(pattern, (component.name for component in model.components), n=3)
        remedy = f"; near matches: {', '.join(map(visible, near))}" if near else ""
        found = f"No component matches '{visible(pattern)}'{remedy}"
    n, n_heads = len(model.selection), sum(map(len, model.heads.values()))
    parts = [f"{counted(n, 'component')}, {counted(model.n_selected_parameters(), 'parameter')}"] if n else []
    chosen = "; ".join([*parts, *([counted(n_heads, "head")] if n_heads else [])]) or "none"
    rows, n_hidden = model.rows()
    shown = f" Showing {len(rows):,} of {counted(len(rows) + n_hidden, 'row')}." if n_hidden else ""
    return f"{found}. Selected: {chosen}.{shown}"


def selection_html(
    names: Sequence[str],
    heads: Mapping[str, Sequence[int]] | None = None,
    *,
    among: Iterable[str] = (),
    limit: int | None = _NAMES_LISTED,
) -> str:
    """List the selected components, folded away, and the selected heads.

    Parameters
    ----------
    names : sequence of str
        Names of the selected components.
    heads : mapping of str to sequence of int, optional
        Selected heads by their attention block.
    among : iterable of str, optional
        Paths of all attention blocks: the names that are shown tell them apart.
    limit : int or None, default 200
        How many to list; the number left out is shown. None lists all.

    Returns
    -------
    str
        HTML; all names escaped.

    Examples
    --------
    >>> print(selection_html(["a.weight", "b.weight", "c.weight"], limit=2))
    <details><summary>3 components selected</summary><ul style="overflow-wrap:anywhere"><li>a.weight</li><li>b.weight</li></ul><p>and 1 more, not listed here</p></details>
    """  # noqa: E501
    if heads:
        blocks = block_names((*among, *heads))
        told = [
            f"{blocks[path].text} \N{MIDDLE DOT} head {head}" for path, some in heads.items() for head in some
        ]
        chips = " ".join(f'<span class="dd-chip">{html_text(text)}</span>' for text in told)
        return (
            f"<p>{counted(len(told), 'head')} selected: {chips}</p>"
            f"{selection_html(names, limit=limit) if names else ''}"
        )
    if not names:
        return "<p>No component selected</p>"
    listed = names if limit is None else names[:limit]
    items = "".join(f"<li>{html_text(name)}</li>" for name in listed)
    n_left = len(names) - len(listed)
    rest = f"<p>and {n_left:,} more, not listed here</p>" if n_left else ""
    summary = f"{counted(len(names), 'component')} selected"
    return f"<details><summary>{summary}</summary><ul {_WRAP}>{items}</ul>{rest}</details>"


def totals_html(model: BrowserModel, notes: Sequence[str] = ()) -> str:
    """Return what the model has in all, as a line of chips, with remarks below.

    Parameters
    ----------
    model : BrowserModel
    notes : sequence of str
        Remarks on the model; escaped here.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> totals_html(BrowserModel([Component("w", (5, 4), "float32")]))
    '<p><span class="dd-chip">1 component</span> <span class="dd-chip">20 parameters</span></p>'
    """
    anatomy = model.anatomy
    units = Counter({"head": sum(layout.n_heads for layout in anatomy.attention.values())})
    for group in anatomy.groups:
        units[group.unit] += group.n_units
    n_layers = sum(block.kind == "layer" for block in anatomy.blocks)
    told = [
        counted(model.tree.n_components, "component"),
        counted(model.tree.n_parameters, "parameter"),
        *([counted(n_layers, "layer")] if n_layers else []),
        *(unit_kind(unit).counted(n) for unit, n in units.items() if n),
    ]
    chips = " ".join(f'<span class="dd-chip">{text}</span>' for text in told)
    remarks = "".join(
        f'<p class="dd-warning">{html_text(note)}</p>' for note in dict.fromkeys([*anatomy.notes, *notes])
    )
    return f"<p>{chips}</p>{remarks}"


def chosen_html(model: BrowserModel) -> str:
    """Return what is known of the block or component that is looked at, as HTML; empty if none is."""
    path = model.chosen
    node = next((one for one in model.tree.walk() if one.path == path), None) if path else None
    if node is None:
        return ""
    told = []
    if node.component is not None:
        told.append(component_text(node.component))
    if node.children:
        told.append(block_text(node, 0))
    roles = next((block.roles for block in model.anatomy.blocks if block.path == path), ())
    if roles:
        told.append(f"roles {', '.join(roles)}")
    lines = "".join(f"<p>{html_text(text)}</p>" for text in told)
    return f"<div {_WRAP}><h4>{html_text(path)}</h4>{lines}</div>"


def snapshot_html(model: BrowserModel) -> str:
    """Return a browser's state as plain HTML, which needs no kernel and no widgets.

    Parameters
    ----------
    model : BrowserModel
        The state.

    Returns
    -------
    str
        A table of the rows that the browser shows, and the names of all selected components. What is not
        shown is counted.

    Examples
    --------
    >>> from dissect_core import Component
    >>> page = snapshot_html(BrowserModel([Component("query.<b>", (5, 4), "float32")]))
    >>> "query.&lt;b&gt;" in page, "<b>" in page
    (True, False)
    """
    rows, n_hidden = model.rows()
    selected = set(model.selection)
    counts = model.n_selected_in_blocks()
    body = "".join(_snapshot_row(row, row.node.path in selected, counts[row.node.path]) for row in rows)
    if n_hidden:
        body += f'<tr><td colspan="3">{n_hidden:,} further rows are not shown</td></tr>'
    head = "".join(f'<th scope="col">{title}</th>' for title in ("Component", "Selected", "Details"))
    chosen = selection_html(model.selection, model.heads, among=model.anatomy.attention, limit=None)
    return (
        '<section aria-label="Component browser">'
        f"<p {_WRAP}>{html_text(status_text(model))}</p>"
        f"<table><caption>Components of the model</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>{chosen}</section>"
    )


def _snapshot_row(row: TreeRow, is_selected: bool, n_selected: int) -> str:
    node = row.node
    if row.kind == "more":
        where = f"in {html_text(node.path)}" if node.path else "at the top level"
        return f'<tr><td colspan="3">{row.n_more:,} more {where} are not shown</td></tr>'
    if row.kind == "block":
        chosen, detail = f"{n_selected:,} of {node.n_components:,}", block_text(node, 0)
    else:
        chosen = "yes" if is_selected else "no"
        detail = "" if node.component is None else component_text(node.component)
    indent = f'style="padding-left:{min(row.depth, 10)}rem;text-align:left;overflow-wrap:anywhere"'
    return (
        f'<tr><th scope="row" {indent}>{html_text(node.path)}</th>'
        f"<td>{chosen}</td><td {_WRAP}>{html_text(detail)}</td></tr>"
    )
