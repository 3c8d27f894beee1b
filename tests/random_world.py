"""What the parts of a random model share: the world outside of them, and how a part is chosen."""

from __future__ import annotations

import collections
import contextvars
import itertools
import os
import random
import threading
import types
from typing import Any

import numpy as np
import torch
from torch import nn

N = 4
KEPT: dict[str, Any] = {}
"""A global that parts write to and read from."""
CONTEXT: contextvars.ContextVar[bool] = contextvars.ContextVar("kept")
LOCAL = threading.local()


class World:
    """What the parts of one model share, beside the global: plain objects, containers, generators."""

    def __init__(self) -> None:
        self.plain = types.SimpleNamespace()
        self.generator = torch.Generator()
        self.numpy = np.random.default_rng(0)
        self.python = random.Random(0)
        self.begin()

    def begin(self) -> None:
        """Put all in order, as at the beginning of each pass."""
        zero = torch.zeros(3, N)
        self.items: list[Any] = [0, zero]
        self.named = {"count": 0, "last": zero, "inner": {"list": [zero]}}
        self.queue = collections.deque([zero], maxlen=2)
        self.array = np.zeros(N, dtype=np.float32)
        self.numbers = itertools.count(1)
        self.plain.step, self.plain.last = 0, zero
        self.tensor = zero.clone()
        KEPT.clear()
        KEPT.update(count=0, last=zero)
        CONTEXT.set(False)
        LOCAL.value = 0
        os.environ["DISSECT_TEST_KEPT"] = "0"
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002  (models of others do)
        random.seed(0)
        self.generator.manual_seed(0)
        self.numpy = np.random.default_rng(0)
        self.python.seed(0)


class Part(nn.Module):
    """A linear layer with a habit."""

    def __init__(self, rng: random.Random, world: World, depth: int) -> None:
        super().__init__()
        self.linear = nn.Linear(N, N)
        self.world, self.how = world, rng.randrange(100)
        self.set_up(rng, depth)

    def set_up(self, rng: random.Random, depth: int) -> None:
        """Make what else it needs."""

    def forward(self, x: Any) -> Any:
        return self.linear(x)


KINDS: list[type[Part]] = []


def kind(one: type[Part]) -> type[Part]:
    """Let a kind of part be among those that are drawn."""
    KINDS.append(one)
    return one


class Plain(Part):
    """A linear layer and what comes after it."""

    def forward(self, x: Any) -> Any:
        return torch.relu(self.linear(x)) if self.how % 2 else self.linear(x).tanh()


def part(rng: random.Random, world: World, depth: int) -> Part:
    """A random part; deeper ones are plain more often."""
    chosen = Plain if rng.random() < 0.25 + 0.35 * depth else rng.choice(KINDS)
    return chosen(rng, world, depth)
