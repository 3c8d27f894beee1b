"""The attention blocks of a live model, recognised by what they are made of."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping

from torch import nn

from ...anatomy import (
    AttentionLayout,
    HeadPart,
    HeadSlice,
    deformable_layout,
    multihead_layout,
    stacked_layout,
)

# Names of the linear layers that make queries, keys and values. A block may have several that are added, or joined head
# by head (Conditional DETR), and may name the block as well (DAB-DETR's `self_attn_query_content_proj`).
_OF_BLOCK, _OF_WHAT = r"((self|cross|encoder)_attn_)?", r"(_?(content|pos|pos_sine))?"
_PROJECTIONS: Mapping[HeadPart, re.Pattern[str]] = {
    "query": re.compile(rf"{_OF_BLOCK}(q|query){_OF_WHAT}(_proj)?"),
    "key": re.compile(rf"{_OF_BLOCK}(k|key){_OF_WHAT}(_proj)?"),
    "value": re.compile(rf"{_OF_BLOCK}(v|value)(_proj)?"),
}
_OUTPUTS = ("out_proj", "o_proj", "output_proj")
_HEADS = ("num_heads", "n_heads", "num_attention_heads", "attention_heads")
_HEAD_WIDTHS = ("head_dim", "attention_head_size")


def attention_layouts(model: nn.Module) -> dict[str, AttentionLayout]:
    """Find the attention blocks of a model and how their heads lie in their parameters.

    Recognised are

    - `torch.nn.MultiheadAttention` and its subclasses, with one stacked projection or three;
    - modules with ``in_proj_weight``, ``out_proj`` and ``num_heads`` as that has them: what `simplify` makes of it;
    - multi-scale deformable attention: any module with linear layers ``sampling_offsets`` and ``attention_weights``,
      with ``value_proj`` and ``output_proj`` (MMCV, the Deformable DETR repository, RT-DETR, RF-DETR) or without
      (D-FINE, DEIMv2), and the numbers ``num_heads``, ``num_levels`` and ``num_points`` (or ``n_heads``, ...);
      of points there may be a number for each level;
    - modules with linear layers for queries, keys and values (``q_proj``, ``query``, ``qcontent_proj``,
      ``self_attn_query_content_proj``, ...) and one behind them (``out_proj``, ``o_proj``, ``output_proj``), which may
      lie in a child (DAB-DETR), or the first three in one child and the last in another (YOLOS, ViT), with the number
      of heads (``num_heads``, ``num_attention_heads``, ...) or the width of one (``head_dim``);
    - modules with ``num_heads`` and a linear layer ``qkv`` three times as wide as its input, followed by a square
      ``proj`` or ``out_proj``, as in ViT and Swin (windows do not matter: a head is one in all of them).

    Parameters
    ----------
    model : torch.nn.Module
        Any module, on any device. Heads and widths are read from it; nothing is assumed about them.

    Returns
    -------
    dict of str to AttentionLayout
        By the block's path in the model (``"encoder.layers.0.self_attn.attn"``; ``""`` for the model itself),
        in the order of ``model.named_modules()``. A block whose weights are computed rather than stored
        (parametrized, quantized) is left out, as there is nothing to mask; so is one that `simplify` has made narrower
        than its own forward can be.

    Examples
    --------
    >>> layout = attention_layouts(nn.TransformerEncoderLayer(16, 4))["self_attn"]
    >>> layout.kind, layout.embed_dims, layout.n_heads
    ('fused', 16, 4)
    """
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters(remove_duplicate=False)}
    layouts = {}
    for path, module in model.named_modules():
        if any(getattr(one, "heads_cut", False) for one in (module, *module.children())):
            continue
        for recognise in _RECOGNISERS:
            layout = recognise(module, f"{path}." if path else "")
            if layout is not None and all(shapes.get(s.parameter) == s.shape for s in layout.slices):
                layouts[path] = layout
                break
    return layouts


def _multihead(module: nn.Module, prefix: str) -> AttentionLayout | None:
    if not isinstance(module, nn.MultiheadAttention):
        return None
    return multihead_layout(
        module.embed_dim,
        module.num_heads,
        prefix=prefix,
        bias=module.in_proj_bias is not None,
        key_dims=module.kdim,
        value_dims=module.vdim,
        bias_kv=module.bias_k is not None,
    )


def _packed(module: nn.Module, prefix: str) -> AttentionLayout | None:
    """Return the layout of a block like torch's with fewer heads than fit its width, as `simplify` leaves it."""
    stacked, output = getattr(module, "in_proj_weight", None), getattr(module, "out_proj", None)
    n_heads = _number(module, _HEADS)
    if not isinstance(stacked, nn.Parameter) or not isinstance(output, nn.Linear) or n_heads is None:
        return None
    inner = output.in_features
    if stacked.ndim != 2 or len(stacked) != 3 * inner or inner % n_heads:
        return None
    width = inner // n_heads
    shapes = [(f"{prefix}in_proj_weight", tuple(stacked.shape))]
    bias = getattr(module, "in_proj_bias", None)
    shapes += [] if bias is None else [(f"{prefix}in_proj_bias", tuple(bias.shape))]
    slices = [
        HeadSlice(name, shape, part, 0, i * inner, width)
        for name, shape in shapes
        for i, part in enumerate(_PROJECTIONS)
    ]
    weight = f"{prefix}out_proj.weight"
    slices.append(HeadSlice(weight, tuple(output.weight.shape), "output", 1, 0, width))
    return AttentionLayout("fused", output.out_features, n_heads, tuple(slices))


def _deformable(module: nn.Module, prefix: str) -> AttentionLayout | None:
    linear = _linears(module, ("sampling_offsets", "attention_weights", "value_proj", "output_proj"))
    n_heads, n_levels = _number(module, _HEADS), _number(module, ("num_levels", "n_levels"))
    if not {"sampling_offsets", "attention_weights"} <= linear.keys() or n_heads is None or n_levels is None:
        return None
    points = _points(module, n_levels)
    if points is None or ("value_proj" in linear) != ("output_proj" in linear):
        return None
    biases = {linear[name].bias is not None for name in linear if name != "output_proj"}
    values = (
        linear["value_proj"].out_features
        if "value_proj" in linear
        else linear["sampling_offsets"].in_features
    )
    if values % n_heads or len(biases) != 1:
        return None
    return deformable_layout(
        linear["output_proj"].out_features if "output_proj" in linear else values,
        n_heads,
        n_levels,
        points[0] if len(set(points)) == 1 else points,
        prefix=prefix,
        value_dims=values,
        bias=biases.pop(),
        projected="output_proj" in linear,
    )


def _points(module: nn.Module, n_levels: int) -> tuple[int, ...] | None:
    """Return the sampling points of each level."""
    for name in ("num_points", "n_points"):
        value = getattr(module, name, None)
        if isinstance(value, int) and value > 0:
            return (value,) * n_levels
        if (
            isinstance(value, (list, tuple))
            and len(value) == n_levels
            and all(isinstance(n, int) and n > 0 for n in value)
        ):
            return tuple(value)
    return None


def _separate(module: nn.Module, prefix: str) -> AttentionLayout | None:
    for holder, output in _projections(module):
        linears = _direct_linears(module, holder)
        parts = {part: _named(linears, pattern) for part, pattern in _PROJECTIONS.items()}
        if not all(parts.values()):
            continue
        behind = module.get_submodule(output)
        values = {linears[name].out_features for name in parts["value"]}
        owners = (module, module.get_submodule(holder), module.get_submodule(output.rpartition(".")[0]))
        if not isinstance(behind, nn.Linear) or values != {behind.in_features}:
            continue
        n_heads = _n_heads(owners, behind.in_features)
        widths = [linears[name].out_features for names in parts.values() for name in names]
        if n_heads is None or any(width % n_heads for width in widths):
            continue
        slices = [
            where
            for part, names in parts.items()
            for name in names
            for where in _rows(f"{prefix}{name}", linears[name], part, n_heads)
        ]
        weight = f"{prefix}{output}.weight"
        slices.append(
            HeadSlice(weight, tuple(behind.weight.shape), "output", 1, 0, behind.in_features // n_heads)
        )
        return AttentionLayout("separate", behind.out_features, n_heads, tuple(slices))
    return None


def _projections(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield where the query, key and value layers of a block may lie, and its output layer: paths in the module."""
    outputs = [name for name in _OUTPUTS if isinstance(getattr(module, name, None), nn.Linear)]
    if len(outputs) == 1:
        yield "", outputs[0]
        return
    children = [(name, child) for name, child in module.named_children() if not isinstance(child, nn.Linear)]
    alone = {name: inner for name, child in children if len(inner := list(_inside(child))) == 1}
    for name, (output,) in alone.items():
        if output in _OUTPUTS:
            yield "", f"{name}.{output}"
        elif output == "dense":
            yield from ((holder, f"{name}.{output}") for holder, _ in children if holder != name)


def _inside(module: nn.Module) -> Iterator[str]:
    """Yield the paths of all that holds parameters in a module; an empty one if it does so itself."""
    return (
        path
        for path, inner in module.named_modules()
        if next(inner.parameters(recurse=False), None) is not None
    )


def _direct_linears(module: nn.Module, holder: str) -> dict[str, nn.Linear]:
    inner = module.get_submodule(holder)
    prefix = f"{holder}." if holder else ""
    return {
        f"{prefix}{name}": child for name, child in inner.named_children() if isinstance(child, nn.Linear)
    }


def _named(linears: Collection[str], pattern: re.Pattern[str]) -> list[str]:
    return [name for name in linears if pattern.fullmatch(name.rpartition(".")[2])]


def _rows(name: str, linear: nn.Linear, part: HeadPart, n_heads: int) -> Iterator[HeadSlice]:
    shape = tuple(linear.weight.shape)
    yield HeadSlice(f"{name}.weight", shape, part, 0, 0, shape[0] // n_heads)
    if linear.bias is not None:
        yield HeadSlice(f"{name}.bias", shape[:1], part, 0, 0, shape[0] // n_heads)


def _n_heads(owners: Collection[nn.Module], width: int) -> int | None:
    """Return the number of heads: as one of some modules says it, else by the width of a head."""
    for owner in owners:
        if (n := _number(owner, _HEADS)) is not None:
            return n
    each = next((n for owner in owners if (n := _number(owner, _HEAD_WIDTHS)) is not None), None)
    return None if each is None or width % each else width // each


def _stacked(module: nn.Module, prefix: str) -> AttentionLayout | None:
    linear = _linears(module, ("qkv", "proj", "out_proj"))
    n_heads = _number(module, _HEADS)
    outputs = [name for name in ("proj", "out_proj") if name in linear]
    if n_heads is None or "qkv" not in linear or len(outputs) != 1:
        return None
    embed_dims = linear["qkv"].in_features
    square = linear[outputs[0]].in_features == linear[outputs[0]].out_features == embed_dims
    if linear["qkv"].out_features != 3 * embed_dims or not square or embed_dims % n_heads:
        return None
    bias = linear["qkv"].bias is not None
    return stacked_layout(embed_dims, n_heads, output=outputs[0], prefix=prefix, bias=bias)


_RECOGNISERS: tuple[Callable[[nn.Module, str], AttentionLayout | None], ...] = (
    _multihead,
    _packed,
    _deformable,
    _separate,
    _stacked,
)
"""From a module and the prefix of its parameters to its layout, or None; the first that gives one counts.

A new kind of attention block is one more function here, and a layout (`dissect_core.anatomy`) if none fits it.
"""


def _linears(module: nn.Module, names: tuple[str, ...]) -> dict[str, nn.Linear]:
    children = {name: getattr(module, name, None) for name in names}
    return {name: child for name, child in children.items() if isinstance(child, nn.Linear)}


def _number(module: nn.Module, names: Collection[str]) -> int | None:
    for name in names:
        value = getattr(module, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return None
