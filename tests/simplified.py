"""Variants of given units of a live model, the size of what is left, and a model of unknown make.

A helper of the tests; needs torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from dissect_core.plan import plan
from dissect_core.spec import load_spec
from dissect_core.torch import anatomy_of


def variant_of(
    model: Any,
    unit: str,
    units: Iterable[int] | None,
    components: Any = "*",
    interventions: Any = None,
    **more: Any,
) -> Any:
    """The variant that removes these units of the pool of a model's blocks; without units the baseline."""
    select = {"by": "all"} if units is None else {"by": "indices", "indices": sorted(units)}
    ablation = {"name": "a", "target": {"unit": unit, "components": components, **more}, "select": select}
    if interventions is not None:
        ablation["interventions"] = interventions
    return plan(load_spec({"name": "s", "ablations": [ablation]}), anatomy_of(model))[
        0 if units is None else 1
    ]


def size(model: Any) -> int:
    """Values of all parameters, counted one by one."""
    return sum(len(parameter.detach().flatten()) for parameter in model.parameters())


def run(model: Any, x: Any) -> Any:
    return model(x)


class Attention(nn.Module):
    """Attention as many repositories write it, with a linear layer for each projection."""

    def __init__(self, copes: bool = True, width: int = 8) -> None:
        super().__init__()
        self.num_heads, self.embed_dim, self.copes = 4, width, copes
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(width, width))

    def forward(self, x: Any) -> Any:
        batch, length, _ = x.shape
        width = self.embed_dim // self.num_heads if self.copes else 2
        heads = self.num_heads if self.copes else 4
        split = [
            p(x).view(batch, length, heads, width).transpose(1, 2)
            for p in (self.q_proj, self.k_proj, self.v_proj)
        ]
        mixed = nn.functional.scaled_dot_product_attention(*split)
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, length, -1))


class Layer(nn.Module):
    """A layer of one's own, with linear layers beside the attention; `reads` looks at the hidden features, too."""

    def __init__(self, copes: bool = True, reads: bool = False) -> None:
        super().__init__()
        self.self_attn = Attention(copes)
        self.linear1, self.linear2, self.reads = nn.Linear(8, 12), nn.Linear(12, 8), reads

    def forward(self, src: Any) -> Any:
        x = src + self.self_attn(src)
        hidden = self.linear1(x).relu()
        x = x + self.linear2(hidden)
        return x + hidden.sum(-1, keepdim=True) if self.reads else x


class Stack(nn.Module):
    """Layers that are called in turn."""

    def __init__(self, *layers: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return {"features": x, "count": torch.tensor(len(self.layers))}


def shaken(model: Any) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model.double().eval()
