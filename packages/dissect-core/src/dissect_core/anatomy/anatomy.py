"""What a model is made of: everything that a study can aim at, as plain data.

`dissect_core.torch.anatomy_of` reads it from a live model. A plan needs nothing else, so it is made without
torch, and is the same wherever it is made.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from .attention import AttentionLayout
from .components import Component, unknown_component
from .groups import UnitGroup

BlockKind: TypeAlias = Literal["layer", "attention", "ffn", "conv", "norm", "module"]


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
        What is remarkable, for people: rows of a query embedding that evaluation does not read, say.

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
        """The component of this name or alias."""
        for component in self.components:
            if name == component.name or name in component.aliases:
                return component
        raise unknown_component(name, [c.name for c in self.components])

    def select_blocks(
        self, patterns: str | Iterable[str], kinds: Sequence[BlockKind] | None = None
    ) -> tuple[Block, ...]:
        """Blocks by role, exact path or glob over paths, in the model's order, each one once.

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
        candidates = [block for block in self.blocks if kinds is None or block.kind in kinds]
        chosen: set[str] = set()
        for pattern in (patterns,) if isinstance(patterns, str) else tuple(patterns):
            found = [b.path for b in candidates if pattern in b.roles or pattern == b.path]
            found = found or [b.path for b in candidates if fnmatchcase(b.path, pattern)]
            if not found:
                names = [b.path for b in candidates]
                known = sorted({role for b in candidates for role in b.roles})
                raise unknown_component(pattern, [*known, *names], what=" or ".join(kinds or ("block",)))
            chosen.update(found)
        return tuple(block for block in candidates if block.path in chosen)
