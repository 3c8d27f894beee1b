"""The components of a live model."""

from collections.abc import Hashable

import torch
from torch import Tensor, nn

from ...anatomy import Component
from ._attention import attention_layouts


def components_of(model: nn.Module) -> tuple[Component, ...]:
    """List the parameters of a model as components.

    Parameters
    ----------
    model : torch.nn.Module
        Any module, on any device.

    Returns
    -------
    tuple of Component
        In the fixed order of ``model.named_parameters()``. Tied parameters, which share their values, appear
        once, under their first name, with the others as `aliases`. `n_heads` is given for parameters that
        belong to an attention block (see `attention_layouts`), its output bias included.

    Examples
    --------
    >>> [(c.name, c.shape, c.n_heads) for c in components_of(nn.MultiheadAttention(8, 2, bias=False))]
    [('in_proj_weight', (24, 8), 2), ('out_proj.weight', (8, 8), 2)]
    """
    heads = {block: layout.n_heads for block, layout in attention_layouts(model).items()}
    names: dict[Hashable, list[str]] = {}
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name, parameter in parameters.items():
        names.setdefault(identity(parameter), []).append(name)
    return tuple(
        Component(
            name=first,
            shape=tuple(parameters[first].shape),
            dtype=str(parameters[first].dtype).removeprefix("torch."),
            n_heads=next((n for name in (first, *aliases) for n in _heads_around(name, heads)), None),
            aliases=tuple(aliases),
        )
        for first, *aliases in names.values()
    )


def _heads_around(name: str, heads: dict[str, int]) -> list[int]:
    """Return the numbers of heads of the blocks that a parameter lies in, the innermost first."""
    parts = name.split(".")
    blocks = (".".join(parts[:i]) for i in range(len(parts) - 1, -1, -1))
    return [heads[block] for block in blocks if block in heads]


def identity(tensor: Tensor) -> Hashable:
    """Return a key that two tensors share exactly if they are the same view of the same memory (tied weights)."""
    if tensor.layout != torch.strided or tensor.is_meta or tensor.numel() == 0:
        return id(tensor)
    return tensor.device, tensor.dtype, tensor.data_ptr(), tuple(tensor.shape), tensor.stride()
