"""The attention blocks of a live model, recognised by what they are made of."""

from collections.abc import Callable

from torch import nn

from ...anatomy import AttentionLayout, deformable_layout, multihead_layout, separate_layout, stacked_layout

_QUERY = ("q_proj", "qcontent_proj", "qpos_proj", "qpos_sine_proj")
_KEY = ("k_proj", "kcontent_proj", "kpos_proj")
_VALUE = ("v_proj",)


def attention_layouts(model: nn.Module) -> dict[str, AttentionLayout]:
    """Find the attention blocks of a model and how their heads lie in their parameters.

    Recognised are

    - `torch.nn.MultiheadAttention` and its subclasses, with one stacked projection or three;
    - multi-scale deformable attention: any module with the linear layers ``sampling_offsets``,
      ``attention_weights``, ``value_proj`` and ``output_proj`` and the numbers ``num_heads``, ``num_levels``
      and ``num_points`` (or ``n_heads``, ...), as in MMCV, the Deformable DETR repository and Transformers;
    - modules with ``num_heads`` and square linear layers ``v_proj``, ``out_proj`` and ``q_proj``, ``k_proj``
      or the several query and key layers of MMDetection's Conditional DETR;
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
        (parametrized, quantized) is left out, as there is nothing to mask.

    Examples
    --------
    >>> layout = attention_layouts(nn.TransformerEncoderLayer(16, 4))["self_attn"]
    >>> layout.kind, layout.embed_dims, layout.n_heads
    ('fused', 16, 4)
    """
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters(remove_duplicate=False)}
    layouts = {}
    for path, module in model.named_modules():
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


def _deformable(module: nn.Module, prefix: str) -> AttentionLayout | None:
    linear = _linears(module, ("sampling_offsets", "attention_weights", "value_proj", "output_proj"))
    n_heads, n_levels, n_points = (_number(module, name) for name in ("heads", "levels", "points"))
    if len(linear) != 4 or n_heads is None or n_levels is None or n_points is None:
        return None
    values = linear["value_proj"].out_features
    if values % n_heads:
        return None
    return deformable_layout(
        linear["output_proj"].out_features,
        n_heads,
        n_levels,
        n_points,
        prefix=prefix,
        value_dims=values,
        bias=linear["value_proj"].bias is not None,
    )


def _separate(module: nn.Module, prefix: str) -> AttentionLayout | None:
    linear = _linears(module, (*_QUERY, *_KEY, *_VALUE, "out_proj"))
    n_heads = _number(module, "heads")
    parts = [[name for name in names if name in linear] for names in (_QUERY, _KEY, _VALUE)]
    if n_heads is None or not all(parts) or "out_proj" not in linear:
        return None
    embed_dims = linear["out_proj"].out_features
    if embed_dims % n_heads:
        return None
    query, key, value = parts
    bias = linear["v_proj"].bias is not None
    return separate_layout(embed_dims, n_heads, query=query, key=key, value=value, prefix=prefix, bias=bias)


def _stacked(module: nn.Module, prefix: str) -> AttentionLayout | None:
    linear = _linears(module, ("qkv", "proj", "out_proj"))
    n_heads = _number(module, "heads")
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


def _number(module: nn.Module, what: str) -> int | None:
    for name in (f"num_{what}", f"n_{what}"):
        value = getattr(module, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return None
