"""Words and numbers that panels show. Names come from checkpoints and are not trusted."""

from html import escape

from dissect_core import Component
from dissect_core.text import visible

from ..components._tree import ComponentNode


def html_text(text: str) -> str:
    """Text that an HTML page shows as it is: made visible, then escaped.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        HTML that holds no tag, safe inside an element or a quoted attribute.

    Examples
    --------
    >>> html_text("<b>'a' & b</b>")
    '&lt;b&gt;&#x27;a&#x27; &amp; b&lt;/b&gt;'
    """
    return escape(visible(text), quote=True)


def counted(n: int, noun: str) -> str:
    """Number and noun, the noun in the plural where there is not exactly one.

    Parameters
    ----------
    n : int
        How many.
    noun : str
        Singular of a noun that takes an s.

    Returns
    -------
    str
        For instance ``"1,200 parameters"``.

    Examples
    --------
    >>> counted(1, "component"), counted(1200, "parameter")
    ('1 component', '1,200 parameters')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def shape_text(component: Component) -> str:
    """Shape of a component in words.

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
    """What a row says about a component, beside its name; not escaped.

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
    """What a row says about a block, beside its name.

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
    >>> from dissect_widgets import component_tree
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


def fitted(detector: object) -> str:
    """How much of its checkpoint fitted, of a detector that tells it; else nothing.

    >>> fitted(object())
    ''
    """
    describe = getattr(getattr(detector, "fit", None), "describe", None)
    return visible(str(describe())) if callable(describe) else ""
