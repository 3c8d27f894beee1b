"""Small random models that do in their forward whatever Python lets them: a grammar for tests of prefix replay.

Each part takes and gives a tensor of shape (3, 4). Passes are deterministic, as a model puts everything that its parts
keep outside of themselves in order when it begins.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

import random_habits
import random_parts
from random_world import KEPT, N, Part, World, part

SOURCES = (random_habits, random_parts)  # to import them puts their parts among those that are drawn


@dataclass
class Found:
    """What a model gives, if it gives an object."""

    boxes: Any
    more: dict[str, Any]


class Model(nn.Module):
    """Some parts in a row, between two linear layers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = random.Random(seed)
        torch.manual_seed(seed)
        self.world, self.how = World(), rng.randrange(100)
        self.first = nn.Linear(N, N)
        self.parts = nn.ModuleList([part(rng, self.world, 0) for _ in range(rng.randint(1, 4))])
        self.last = nn.Linear(N, N)

    def forward(self, x: Any) -> Any:
        self.world.begin()
        x = self.first(x)
        for each in self.parts:
            x = each(x)
        x = self.last(x)
        if self.how % 3 == 0:
            return {"boxes": x, "n": len(x), "kept": [x.sum(), KEPT["last"]]}
        return Found(x, {"count": self.world.plain.step}) if self.how % 3 == 1 else x


def kinds_in(model: nn.Module) -> list[str]:
    """Names of the parts of a model, for messages."""
    return [f"{type(m).__name__}({m.how})" for m in model.modules() if isinstance(m, Part)]
