"""The anatomy of a model: all parts that a study can aim at, as plain data.

`dissect_core.torch.anatomy_of` reads it from a live model. A plan needs nothing else, so it is made without
torch, and is the same wherever it is made.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..errors import SelectionError
from ..names import unknown_component
from ..text import quoted
from ._attention import AttentionLayout
from ._groups import UnitGroup
from ._select import Selector, is_inside

BlockKind: TypeAlias = Literal["layer", "attention", "ffn", "conv", "norm", "module"]


@dataclass(frozen=True)
class Component:
    """One named parameter of a model: something that can be ablated.

    Attributes
    ----------
    name : str
        Name of the parameter, as in the model's state dict (``"encoder.layers.0.linear1.weight"``).
    shape : tuple of int
        Shape of the parameter; ``()`` for a scalar.
    dtype : str
        Type of its values, ``"float32"`` for instance.
    role : str or None
        The part that it plays in a detector (``"encoder.self_attn"``), where that is known.
    n_heads : int or None
        Number of heads of the attention block that the component belongs to, if it belongs to one.
    aliases : tuple of str
        Further names under which a model holds the very same parameter (tied weights).

    Examples
    --------
    >>> Component("query_embedding.weight", (100, 256), "float32").n_parameters
    25600
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str | None = None
    n_heads: int | None = None
    aliases: tuple[str, ...] = ()

    @property
    def n_parameters(self) -> int:
        """Number of values in the component: the product of its shape, 1 for a scalar."""
        return math.prod(self.shape)


def select_components(
    components: Sequence[Component], patterns: str | Iterable[str], *, expect: int | None = None
) -> tuple[Component, ...]:
    """Choose components by exact name or glob.

    Parameters
    ----------
    components : sequence of Component
        What there is to choose from.
    patterns : str or iterable of str
        Names or globs. A pattern that is a component's name, or an alias of it, selects that component only;
        otherwise it is a case-sensitive glob over names and aliases (`fnmatch`), in which ``*`` also matches
        dots.
    expect : int, optional
        How many components the selection must contain: a guard against a glob that says more, or less, than
        was meant.

    Returns
    -------
    tuple of Component
        Selected components in the order of `components`, each one once.

    Raises
    ------
    UnknownComponentError
        If a pattern matches nothing; near matches are named.
    SelectionError
        If there is no pattern, or the number of selected components is not `expect`.

    Examples
    --------
    >>> components = [Component(f"layers.{i}.weight", (4, 4), "float32") for i in range(6)]
    >>> [c.name for c in select_components(components, ["layers.5.*", "layers.0.weight"])]
    ['layers.0.weight', 'layers.5.weight']
    >>> len(select_components(components, "layers.*.weight", expect=6))
    6
    """
    wanted = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    aliases = {alias: c.name for c in components for alias in c.aliases}
    names = Selector([c.name for c in components], aliases=aliases).select(wanted)
    selected = tuple(c for c in components if c.name in names)
    if expect is not None and len(selected) != expect:
        raise SelectionError(
            f"{', '.join(map(repr, wanted))} must select {expect} components (`expect`), "
            f"got {len(selected)}: {_listed(selected)}. Correct the pattern or `expect`."
        )
    return selected


def _listed(components: Sequence[Component], limit: int = 8) -> str:
    names = [quoted(c.name) for c in components[:limit]]
    return ", ".join([*names, f"and {len(components) - limit} more"] if len(components) > limit else names)


@dataclass(frozen=True)
class Block:
    """A module that can be aimed at as a whole.

    Attributes
    ----------
    path : str
        Its path in the model (``"encoder.layers.0.self_attn"``). Object queries may be a bare parameter, by its name.
        A feed-forward block whose two linear layers lie side by side in a layer has the second one's path: what
        that gives is what the block gives.
    kind : {"layer", "attention", "ffn", "conv", "norm", "module"}
        What it is. A layer holds sublayers (attention, ffn) and adds their results to its input.
    roles : tuple of str
        What it does in a detector, from specific to general (``"encoder.self_attn"``, ``"self_attn"``); a role
        stands for all blocks that bear it.
    layer : int or None
        Index in its stack of the layer that it is or lies in.
    n_parameters : int
        Values in all its parameters.
    """

    path: str
    kind: BlockKind
    roles: tuple[str, ...] = ()
    layer: int | None = None
    n_parameters: int = 0


@dataclass(frozen=True)
class Anatomy:
    """Components, blocks and units of a model.

    Attributes
    ----------
    components : tuple of Component
        Every parameter, with the most specific role of the blocks that it lies in.
    blocks : tuple of Block
        Modules with a meaning, in the model's own order.
    attention : mapping of str to AttentionLayout
        Layout of each attention block, by the path of the module that holds its projections: the block's, or that
        of a module inside it (``"encoder.layers.0.self_attn.attn"`` in MMCV's wrapper).
    groups : tuple of UnitGroup
        Neurons, channels, queries, levels and points (heads follow from `attention`).
    notes : tuple of str
        Remarks for people, for instance on rows of a query embedding that evaluation does not read.

    Examples
    --------
    >>> anatomy = Anatomy(
    ...     (Component("encoder.layers.0.norm.weight", (4,), "float32", role="norm"),),
    ...     (Block("encoder.layers.0", "layer", ("encoder.layer",), 0, 4),),
    ... )
    >>> [block.path for block in anatomy.select_blocks("encoder.layer")]
    ['encoder.layers.0']
    >>> anatomy.roles
    ('encoder.layer', 'norm')
    """

    components: tuple[Component, ...]
    blocks: tuple[Block, ...] = ()
    attention: Mapping[str, AttentionLayout] = field(default_factory=dict)
    groups: tuple[UnitGroup, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles that any block or component bears, sorted."""
        of_blocks = {role for block in self.blocks for role in block.roles}
        return tuple(sorted(of_blocks | {c.role for c in self.components if c.role}))

    def component(self, name: str) -> Component:
        """Return the component of this name or alias."""
        for component in self.components:
            if name == component.name or name in component.aliases:
                return component
        raise unknown_component(name, [c.name for c in self.components])

    def select_blocks(
        self, patterns: str | Iterable[str], kinds: Sequence[BlockKind] | None = None
    ) -> tuple[Block, ...]:
        """Return blocks chosen by role, exact path or glob over paths, in the model's order, each one once.

        Parameters
        ----------
        patterns : str or iterable of str
            A role selects every block that bears it. ``*`` in a glob matches dots too.
        kinds : sequence of str, optional
            Only blocks of these kinds.

        Raises
        ------
        UnknownComponentError
            If a pattern matches nothing; near matches are named.
        """
        chosen = self.blocks_by(kinds).select(patterns)
        return tuple(
            block for block in self.blocks if block.path in chosen and (kinds is None or block.kind in kinds)
        )

    def blocks_by(self, kinds: Sequence[BlockKind] | None = None) -> Selector:
        """Return the selector of blocks of some kinds, or of all: by role, path, or glob over paths."""
        among = [block for block in self.blocks if kinds is None or block.kind in kinds]
        return Selector(
            [block.path for block in among],
            lambda role: [block.path for block in among if role in block.roles],
            sorted({role for block in among for role in block.roles}),
            what=" or ".join(kinds or ("block",)),
        )

    def paths_by(self, paths: Sequence[str], what: str) -> Selector:
        """Return the selector of some paths in the model: also by role or path of a block in which they lie."""

        def inside(word: str) -> list[str]:
            around = [block.path for block in self.blocks if word in block.roles or word == block.path]
            return [path for path in paths if any(is_inside(path, block) for block in around)]

        return Selector(paths, inside, self.roles if paths else (), what=what)

    def components_by(self) -> Selector:
        """Return the selector of components: by name, alias, role, block around them, or glob over names."""
        names = [component.name for component in self.components]
        within = self.paths_by(names, "component")

        def bearing(word: str) -> list[str]:
            return [*within.stands_for(word), *(c.name for c in self.components if c.role == word)]

        aliases = {alias: c.name for c in self.components for alias in c.aliases}
        return Selector(names, bearing, self.roles, aliases)
