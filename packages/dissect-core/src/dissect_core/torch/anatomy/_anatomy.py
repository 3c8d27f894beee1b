"""Reading the anatomy of a live model: its parts, and the roles that they play."""

import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from torch import nn

from ...anatomy import Anatomy, AttentionLayout, Block, Component, UnitGroup, unit_kind
from ._attention import attention_layouts
from ._components import components_of
from ._queries_read import only_read
from ._recognise import Recognised, attention_blocks, feed_forward_blocks, layers, owner, parent, upwards
from ._recognise_units import convolutions, norms, queries
from ._role_rules import REGIONS, RoleRule, said_roles

_NAMED_AT_MOST = 3


class UnrecognisedAttentionWarning(UserWarning):
    """A part of a model looks like attention and is not recognised, so that its heads cannot be removed."""


def anatomy_of(
    model: nn.Module,
    *,
    roles: Iterable[RoleRule] = (),
    run: Callable[[], object] | None = None,
    part: str = "",
) -> Anatomy:
    """Read from a live model what there is to aim at: components, blocks with their roles, and units.

    Blocks are recognised by what they are made of:

    - attention blocks, as in `attention_layouts`: the outermost module that holds nothing else;
    - feed-forward blocks: linear layer, activation, linear layer, wider inside than outside and as wide at the
      end as at the start; or linear layers named ``linear1`` and ``linear2`` or ``fc1`` and ``fc2``. Where a
      layer holds these beside its attention, the block's path is the second one's;
    - convolutions, each with the norm defined behind it in the same module; norms;
    - layers: members of a list that hold attention or feed-forward blocks, directly or in lists;
    - object queries: embeddings and matrices named so (``query_embedding``, ``query_embed``, ...).

    In a layer the first attention block is self-attention and any further one cross-attention, unless names say
    otherwise. A stack of layers with cross-attention is a decoder, one with self-attention only an encoder.
    ``backbone``, ``neck`` and ``head`` follow from the conventional names of a model's attributes. A block bears
    the role with its region and the one without: ``decoder.self_attn`` and ``self_attn``.

    Parameters
    ----------
    model : torch.nn.Module
        Any module, on any device, ``"meta"`` included.
    roles : iterable of RoleRule
        Rules that know more roles. They go before installed ones (entry points ``dissect.roles``), of which a
        broken one is reported by a `RuntimeWarning`.
    run : callable, optional
        Runs the model once in evaluation, over any image. Of query embeddings, only rows that this pass reads are
        queries then: of group queries, those of one group. Left out, every row is one. It is not called where there
        are no queries.
    part : str, optional
        Path of the only module that detects, such as the teacher of a model with a student: blocks are looked for in
        it alone. Everything else is components, without a role.

    Returns
    -------
    Anatomy
        Components in the order of ``model.named_parameters()``, each with the most specific role of the blocks
        it lies in; blocks in the model's order; `notes` tell of rows that are no queries.

    Notes
    -----
    Transposed convolutions are no blocks, and a convolution with a frozen norm that keeps its shift in a buffer
    is one without channels.

    Examples
    --------
    >>> anatomy = anatomy_of(nn.Transformer(16, 4, 2, 3, 32, batch_first=True))
    >>> [block.path for block in anatomy.select_blocks("decoder.cross_attn")][0]
    'decoder.layers.0.multihead_attn'
    >>> {(group.unit, group.n_units) for group in anatomy.groups}
    {('neuron', 32)}
    >>> anatomy.component("encoder.layers.1.linear1.weight").role
    'encoder.ffn'
    """
    components = components_of(model)
    modules = _modules_of(model, part)
    layouts = {path: layout for path, layout in attention_layouts(model).items() if path in modules}
    found = _Blocks(model, modules, components, layouts, said_roles(modules, roles, part))
    blocks = [found.described(block) for block in found.blocks]
    bearing = {
        part: block.roles[0]
        for recognised, block in zip(found.blocks, blocks, strict=True)
        for part in recognised.parts or (recognised.path,)
        if block.roles
    }
    _warn_of_others(modules, layouts)
    groups, notes = only_read(model, [group for block in found.blocks for group in block.groups], run)
    with_roles = tuple(replace(component, role=_role(component, bearing)) for component in components)
    return Anatomy(with_roles, tuple(blocks), layouts, groups, notes)


def _modules_of(model: nn.Module, part: str) -> dict[str, nn.Module]:
    """Return the modules of a part of a model, and those around it, by path."""
    around = set(upwards(part))
    return {
        path: module
        for path, module in model.named_modules()
        if not part or path in around or path.startswith(f"{part}.")
    }


class _Blocks:
    """The blocks of a model as recognised, in the model's order.

    They are found in steps, each of which builds on the ones before: layers are what holds attention and feed-forward
    blocks, and the kinds of these say whether a stack of layers is an encoder or a decoder.

    Parameters
    ----------
    model : torch.nn.Module
    modules : mapping of str to torch.nn.Module
        Those that blocks are looked for in.
    components : sequence of Component
    layouts : mapping of str to AttentionLayout
    said : mapping of str to tuple of str
        Roles that names and rules give to modules.
    """

    def __init__(
        self,
        model: nn.Module,
        modules: Mapping[str, nn.Module],
        components: Sequence[Component],
        layouts: Mapping[str, AttentionLayout],
        said: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._model, self._said = model, said
        self._parameters = dict(model.named_parameters(remove_duplicate=False))
        names = {name: c.name for c in components for name in (c.name, *c.aliases)}
        blocks = list(attention_blocks(modules, layouts))
        blocks += feed_forward_blocks(modules, names, {owner(block.path, modules) for block in blocks})
        self._stacked = layers(modules, blocks)
        self._regions, self._owners = _regions(modules, self._stacked, blocks, said)
        blocks += [Recognised(path, "layer", "layer") for path in self._stacked]
        blocks += convolutions(modules, names)
        blocks += norms(modules)
        blocks += queries(
            modules, names, {path for path, given in said.items() if "query_embedding" in given}
        )
        known = {block.path for block in blocks}
        named = dict.fromkeys((*said, *self._owners))
        chosen = {} if _have_queries(blocks) else self._queries_chosen()
        blocks += [
            Recognised(path, "module", "", groups=chosen.get(path, ())) for path in named if path not in known
        ]
        order = {path: i for i, path in enumerate(modules)}
        self.blocks = sorted(
            blocks, key=lambda block: order.get(block.path, order.get(parent(block.path), 0))
        )

    def _queries_chosen(self) -> dict[str, tuple[UnitGroup, ...]]:
        """Return the queries of a decoder that takes them from the image (two-stage): in activations only."""
        decoders = [path for path, kind in self._owners.items() if kind == "decoder"]
        config = getattr(self._model, "config", None)
        numbers = [getattr(config, name, None) for name in ("two_stage_num_proposals", "num_queries")]
        n = next((n for n in numbers if isinstance(n, int) and n > 0), None)
        if len(decoders) != 1 or n is None:
            return {}
        return {decoders[0]: (UnitGroup(decoders[0], "query", n, ()),)}

    def described(self, found: Recognised) -> Block:
        """Return a block with its roles, its layer, and the size of its parameters."""
        around = list(upwards(found.path))
        region = next((self._regions[path] for path in around if path in self._regions), None)
        own = [found.word] if found.word else [self._owners[found.path]] if found.path in self._owners else []
        if region and found.word and found.word != "query_embedding":
            own.insert(0, f"{region}.{found.word}")
        index = next((self._stacked[path] for path in around if path in self._stacked), None)
        values = [p for part in found.parts or (found.path,) for p in self._values(part)]
        roles = tuple(dict.fromkeys((*self._said.get(found.path, ()), *own)))
        return Block(found.path, found.kind, roles, index, sum(value.numel() for value in values))

    def _values(self, path: str) -> Iterator[nn.Parameter]:
        if path in self._parameters:
            yield self._parameters[path]
        else:
            yield from self._model.get_submodule(path).parameters()


def _have_queries(blocks: Iterable[Recognised]) -> bool:
    return any(unit_kind(group.unit).activation == "rows" for block in blocks for group in block.groups)


def _warn_of_others(modules: Mapping[str, nn.Module], attention: Collection[str]) -> None:
    """Warn of modules that are called attention, hold linear layers, and are not recognised."""
    known = {path for found in attention for path in upwards(found)}
    others: dict[str, str] = {}
    for path, module in modules.items():
        name = type(module).__name__
        inside = any(path == found or path.startswith(f"{found}.") for found in (*attention, *others))
        if inside or path in known or not re.search(r"attention|attn", name, re.IGNORECASE):
            continue
        if any(isinstance(inner, nn.Linear) for inner in module.modules()):
            others[path] = name
    if others:
        listed = ", ".join(f"{path} ({name})" for path, name in list(others.items())[:_NAMED_AT_MOST])
        more = f", and {len(others) - _NAMED_AT_MOST} more" if len(others) > _NAMED_AT_MOST else ""
        warnings.warn(
            f"{len(others)} of the model's modules look like attention and are not recognised: {listed}{more}. They "
            "have no heads, and roles such as `self_attn` leave them out; as components they can be removed whole.",
            UnrecognisedAttentionWarning,
            stacklevel=3,
        )


def _regions(
    modules: Mapping[str, nn.Module],
    stacked: Mapping[str, int],
    blocks: Sequence[Recognised],
    said: Mapping[str, tuple[str, ...]],
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the region that each named module and each stack of layers is, and the modules that own a stack."""
    regions = {path: role for path, roles in said.items() for role in roles if role in REGIONS}
    words: dict[str, set[str]] = {}
    for block in blocks:
        if (path := owner(block.path, modules)) in stacked:
            words.setdefault(parent(path), set()).add(block.word)
    kinds: dict[str, str] = {}
    for stack, found in words.items():
        around = next((regions[path] for path in upwards(stack) if path in regions), "")
        seen = "decoder" if "cross_attn" in found else "encoder" if "self_attn" in found else ""
        # What a path says wins over what its blocks suggest; of two names, the inner one.
        seen = next((name for name in reversed(stack.split(".")) if name in ("encoder", "decoder")), seen)
        # A stack in a backbone is part of it; in a neck or head it is an encoder or decoder of its own.
        kinds[stack] = around if around in ("backbone", "encoder", "decoder") else seen
    owned: dict[str, set[str]] = {}
    for stack, kind in kinds.items():
        owned.setdefault(owner(stack, modules), set()).add(kind)
    owners = {
        path: kind
        for path, (kind, *others) in ((path, sorted(found)) for path, found in owned.items())
        if path and path not in regions and kind in ("encoder", "decoder") and not others
    }
    return {**regions, **{stack: kind for stack, kind in kinds.items() if kind}, **owners}, owners


def _role(component: Component, bearing: Mapping[str, str]) -> str | None:
    """Return the most specific role around a parameter, under the first of its names that has one."""
    for name in (component.name, *component.aliases):
        for path in upwards(name):
            if path in bearing:
                return bearing[path]
    return None
