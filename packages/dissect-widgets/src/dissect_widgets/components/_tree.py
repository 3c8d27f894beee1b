"""Components as a tree, by the dots in their names. Pure: no widgets in here."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dissect_core import Component

from ..errors import TreeError

# A name with more parts than this keeps the rest, dots and all, in its last one.
MAX_DEPTH = 64
_DOT = re.compile(r"(?<=[^.])\.(?=.)", re.DOTALL)


@dataclass(frozen=True)
class ComponentNode:
    """A component, or a block of a model that holds components; `component_tree` makes them.

    Attributes
    ----------
    name : str
        Last part of the path.
    path : str
        Dotted path from the root, ``""`` for the root itself.
    component : Component or None
        The component of that very name, if there is one.
    children : tuple of ComponentNode
        What lies directly below, in the model's order.
    n_parameters : int
        Number of values in all components here and below.
    n_components : int
        Number of components here and below.
    heads : tuple of int
        Numbers of heads that attention blocks here and below have, each number once, rising. How many such
        blocks there are is not said: names do not tell.
    """

    name: str
    path: str
    component: Component | None = None
    children: tuple["ComponentNode", ...] = field(default=(), repr=False)
    n_parameters: int = 0
    n_components: int = 0
    heads: tuple[int, ...] = ()

    def walk(self) -> Iterator["ComponentNode"]:
        """Yield this node, then everything below it, depth first and in the model's order.

        Yields
        ------
        ComponentNode
            Each node once.

        Examples
        --------
        >>> tree = component_tree([Component("a.b", (2,), "float32"), Component("c", (), "float32")])
        >>> [node.path for node in tree.walk()]
        ['', 'a', 'a.b', 'c']
        """
        yield self
        for child in self.children:
            yield from child.walk()

    def components(self) -> tuple[Component, ...]:
        """Return all components here and below.

        Returns
        -------
        tuple of Component
            Depth first, each one once.

        Examples
        --------
        >>> tree = component_tree([Component("a.b", (2,), "float32"), Component("c", (), "float32")])
        >>> [component.name for component in tree.components()]
        ['a.b', 'c']
        """
        return tuple(node.component for node in self.walk() if node.component is not None)


def name_parts(name: str) -> tuple[str, ...]:
    """Split a dotted name; no part is empty, and joining them with dots gives the name back.

    Parameters
    ----------
    name : str
        A component's name.

    Returns
    -------
    tuple of str
        At most `MAX_DEPTH` parts. Dots with nothing on one side of them stay in the part beside them.

    Examples
    --------
    >>> name_parts("encoder.layers.0.norm"), name_parts(".odd..name.")
    (('encoder', 'layers', '0', 'norm'), ('.odd', '.name.'))
    """
    return tuple(_DOT.split(name, maxsplit=MAX_DEPTH - 1))


def block_paths(name: str) -> tuple[str, ...]:
    """Return the paths of the blocks that a component of this name lies in, the outermost first.

    Parameters
    ----------
    name : str
        A component's name.

    Returns
    -------
    tuple of str
        One path for each part but the last.

    Examples
    --------
    >>> block_paths("encoder.layers.0.norm")
    ('encoder', 'encoder.layers', 'encoder.layers.0')
    """
    parts = name_parts(name)
    return tuple(".".join(parts[:n]) for n in range(1, len(parts)))


def make_node(path: str, component: Component | None, children: tuple[ComponentNode, ...]) -> ComponentNode:
    """Make a node, with the sums over its own component and its children.

    Parameters
    ----------
    path : str
        Dotted path of the node.
    component : Component or None
        The node's own component.
    children : tuple of ComponentNode
        What lies directly below.

    Returns
    -------
    ComponentNode
        The node.

    Examples
    --------
    >>> make_node("a.b", Component("a.b", (2, 3), "float32", n_heads=8), ()).heads
    (8,)
    """
    own = () if component is None else (component,)
    heads = {c.n_heads for c in own if c.n_heads is not None}
    return ComponentNode(
        name=name_parts(path)[-1],
        path=path,
        component=component,
        children=children,
        n_parameters=sum(c.n_parameters for c in own) + sum(child.n_parameters for child in children),
        n_components=len(own) + sum(child.n_components for child in children),
        heads=tuple(sorted(heads.union(*(child.heads for child in children)))),
    )


def component_tree(components: Iterable[Component]) -> ComponentNode:
    """Arrange components as a tree.

    Parameters
    ----------
    components : iterable of Component
        Components of one model.

    Returns
    -------
    ComponentNode
        The root, whose path is ``""``. Nodes stand in the order in which the components name them first.

    Raises
    ------
    TreeError
        If a name is empty, or there twice.

    Examples
    --------
    >>> tree = component_tree([
    ...     Component("encoder.attn.weight", (12, 4), "float32", n_heads=2),
    ...     Component("encoder.attn.bias", (12,), "float32", n_heads=2),
    ...     Component("query.weight", (5, 4), "float32"),
    ... ])
    >>> [(node.path, node.n_components, node.n_parameters, node.heads) for node in tree.children]
    [('encoder', 2, 60, (2,)), ('query', 1, 20, ())]
    """
    known: dict[str, Component] = {}
    below: dict[str, dict[str, None]] = {"": {}}  # path -> paths of its children, in order
    for component in components:
        if not component.name:
            raise TreeError("`components` must have names, got one that is empty. Name it, or leave it out.")
        if component.name in known:
            raise TreeError(
                f"`components` must have different names, got {component.name!r} twice. "
                "Give a tied parameter once, with its other names as `aliases`."
            )
        known[component.name] = component
        parent = ""
        for path in (*block_paths(component.name), component.name):
            below[parent].setdefault(path)
            below.setdefault(path, {})
            parent = path

    def grown(path: str) -> ComponentNode:
        return make_node(path, known.get(path), tuple(grown(child) for child in below[path]))

    return grown("")


def block_level(tree: ComponentNode) -> frozenset[str]:
    """Return the paths of the nodes to open so that a model's blocks are seen, and nothing inside them.

    Blocks are numbered nodes that hold something, such as the layers of an encoder. Every list of blocks is
    opened unless it lies in a block itself; so is a chain of only children below the root.

    Parameters
    ----------
    tree : ComponentNode
        Root of a tree.

    Returns
    -------
    frozenset of str
        Paths; the root, which is always open, is not among them.

    Examples
    --------
    >>> names = ["encoder.layers.0.ffn.0.weight", "encoder.layers.1.ffn.0.weight", "head.weight"]
    >>> sorted(block_level(component_tree(Component(name, (2,), "float32") for name in names)))
    ['encoder', 'encoder.layers']
    """
    opened: set[str] = set()

    def holds_blocks(node: ComponentNode) -> bool:
        blocks = [child.name.isdecimal() and bool(child.children) for child in node.children]
        deeper = [
            holds_blocks(child) for child, block in zip(node.children, blocks, strict=True) if not block
        ]
        if any(blocks) or any(deeper):
            opened.add(node.path)
            return True
        return False

    holds_blocks(tree)
    node = tree
    while len(node.children) == 1 and node.children[0].children:
        node = node.children[0]
        opened.add(node.path)
    return frozenset(opened - {""})
