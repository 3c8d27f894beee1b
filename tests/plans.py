"""A small model on paper, and plans for it."""

from __future__ import annotations

from typing import Any

from dissect_core import Component
from dissect_core.anatomy import Anatomy, Block, feed_forward_group, multihead_layout, query_group
from dissect_core.plan import Variant, plan
from dissect_core.spec import load_spec

N_LAYERS, WIDTH, HEADS, HIDDEN, QUERIES = 3, 16, 4, 24, 10


def anatomy(
    n_layers: int = N_LAYERS, width: int = WIDTH, heads: int = HEADS, hidden: int = HIDDEN
) -> Anatomy:
    """An encoder of some layers with attention and FFN, and a query embedding."""
    components: list[Component] = []
    blocks: list[Block] = []
    attention, groups = {}, []
    for i in range(n_layers):
        layer = f"encoder.layers.{i}"
        path, ffn = f"{layer}.self_attn", f"{layer}.ffn"
        layout = multihead_layout(width, heads, prefix=f"{path}.")
        attention[path] = layout
        shapes = {s.parameter: s.shape for s in layout.slices} | {f"{path}.out_proj.bias": (width,)}
        components += [
            Component(n, shape, "float32", role="encoder.self_attn") for n, shape in shapes.items()
        ]
        first, second = (f"{ffn}.0.weight", (hidden, width)), (f"{ffn}.1.weight", (width, hidden))
        components += [
            Component(n, s, "float32", role="ffn") for n, s in (first, (f"{ffn}.0.bias", (hidden,)), second)
        ]
        groups.append(feed_forward_group(ffn, first, f"{ffn}.0.bias", second))
        blocks += [
            Block(layer, "layer", ("encoder.layer",), i),
            Block(path, "attention", ("encoder.self_attn", "self_attn"), i),
            Block(ffn, "ffn", ("encoder.ffn", "ffn"), i),
        ]
    query = ("query_embedding.weight", (QUERIES, width))
    components.append(Component(*query, "float32", role="query_embedding"))
    groups.append(query_group("query_embedding", [query]))
    return Anatomy(tuple(components), tuple(blocks), attention, tuple(groups))


def planned(target: dict[str, Any], select: dict[str, Any], seed: int = 0, **more: Any) -> list[Variant]:
    """Variants of a study of one ablation, without the baseline."""
    scores = more.pop("scores", None)
    study = {k: more.pop(k) for k in ("max_variants",) if k in more}
    ablation = {"name": "a", "target": target, "select": select, **more}
    return plan(load_spec({"name": "s", "seed": seed, "ablations": [ablation], **study}), anatomy(), scores)[
        1:
    ]


HEADS_OF_ALL = {"unit": "head", "components": "encoder.self_attn"}
ROWS = {"unit": "row", "components": "query_embedding.weight"}
