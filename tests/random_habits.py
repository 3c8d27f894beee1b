"""Parts of random models that fill what they are given, keep something, hook, or draw numbers."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import torch
from torch import nn

from random_world import CONTEXT, KEPT, LOCAL, N, Part, World, kind, part


@kind
class Fills(Part):
    """Layers that put their results into something they are given."""

    class Memory:
        def __init__(self) -> None:
            self.kept: Any = None

        def put(self, x: Any) -> None:
            self.kept = x if self.kept is None else self.kept + x

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(N, N)

        def forward(self, x: Any, memory: Any, *, more: Any = None) -> Any:
            x = self.linear(x)
            if isinstance(memory, list):
                memory.append(x)
            elif isinstance(memory, dict):
                memory.setdefault("x", []).append(x)
            elif isinstance(memory, np.ndarray):
                memory += x.numpy()
            elif isinstance(memory, set):
                memory.add(float(x.sum()))
            elif isinstance(memory, torch.Tensor):
                memory.add_(x)
            else:
                memory.put(x)
            return x.relu()

    def set_up(self, rng: random.Random, depth: int) -> None:
        self.layers = nn.ModuleList([self.Layer() for _ in range(2)])

    def forward(self, x: Any) -> Any:
        made: list[Any] = [
            [],
            {},
            np.zeros((3, N), dtype=np.float32),
            set(),
            torch.zeros(3, N),
            self.Memory(),
        ]
        memory = made[self.how % 6]
        for layer in self.layers:
            x = layer(x, memory) if self.how % 2 else layer(x, memory=memory)
        kept = (
            sum(memory)
            if isinstance(memory, (list, set))
            else sum(memory["x"])
            if isinstance(memory, dict)
            else torch.from_numpy(memory)
            if isinstance(memory, np.ndarray)
            else memory.kept
            if isinstance(memory, self.Memory)
            else memory
        )
        return self.linear(x + kept)


@kind
class Keeps(Part):
    """Leaves something where others, or its own next call, find it."""

    calls = 0

    def set_up(self, rng: random.Random, depth: int) -> None:
        self.own: Any = torch.zeros(3, N)
        self.own_items: dict[str, Any] = {"k": torch.zeros(3, N)}
        self.slot = _Slotted()
        self.register_buffer("noted", torch.zeros(3, N))
        cell = torch.zeros(3, N)

        def put(value: Any) -> None:
            nonlocal cell
            cell = value

        self.put, self.get = put, lambda: cell
        self.part, self.again = part(rng, self.world, depth + 1), nn.Linear(N, N)
        self.inner = _Keeper(self)

    def keep(self, y: Any) -> None:
        w = self.world
        how = self.how % 19
        if how == 0:
            self.own = y
        elif how == 1:
            self.own_items["k"] = y
        elif how == 2:
            self.slot.value = y
        elif how == 3:
            self.noted.copy_(y)
        elif how == 4:
            self.put(y)
        elif how == 5:
            KEPT["last"] = y
        elif how == 6:
            w.items[1] = y
        elif how == 7:
            w.named["inner"]["list"][0] = y
        elif how == 8:
            w.queue.append(y)
        elif how == 9:
            w.plain.last = y
        elif how == 10:
            w.array[:] = y[0].numpy()
        elif how == 11:
            type(self).calls = (type(self).calls + 1) % 7
        elif how == 12:
            w.plain.step += 1
        elif how == 13:
            w.tensor.add_(y)
        elif how == 14:
            w.items[0] += 1
        elif how == 15:
            KEPT["count"] += 1
        elif how == 16:
            CONTEXT.set(float(y.sum()) > 0)
        elif how == 17:
            LOCAL.value = int(y.abs().sum() * 100) % 3
        else:
            os.environ["DISSECT_TEST_KEPT"] = str(int(y[0, 0] > 0))

    def kept(self) -> Any:
        w = self.world
        return [
            lambda: self.own,
            lambda: self.own_items["k"],
            lambda: self.slot.value,
            lambda: self.noted,
            lambda: self.get(),
            lambda: KEPT["last"],
            lambda: w.items[1],
            lambda: w.named["inner"]["list"][0],
            lambda: w.queue[0],
            lambda: w.plain.last,
            lambda: torch.from_numpy(w.array.copy()),
            lambda: type(self).calls,
            lambda: w.plain.step,
            lambda: w.tensor,
            lambda: w.items[0],
            lambda: KEPT["count"],
            lambda: CONTEXT.get(),
            lambda: LOCAL.value,
            lambda: int(os.environ["DISSECT_TEST_KEPT"]),
        ][self.how % 19]()

    def forward(self, x: Any) -> Any:
        type(self).calls = 0
        y = self.inner(x) + self.kept()
        y = self.part(y)
        if self.how % 3:
            y = self.inner(self.again(y)) + self.kept()
        return self.linear(y)


class _Slotted:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = torch.zeros(3, N)


class _Keeper(nn.Module):
    def __init__(self, owner: Keeps) -> None:
        super().__init__()
        self.linear = nn.Linear(N, N)
        self.keep = owner.keep
        # What is in order again at the beginning of each pass may be kept for some images only.
        self.always = owner.how % 2 == 0 or owner.how % 19 < 5

    def forward(self, x: Any) -> Any:
        y = self.linear(x)
        if self.always or float(y[0, 0]) > 0:
            self.keep(y.tanh())
        return y * 2


@kind
class Hooked(Part):
    """Hooks that note, change or end what a part gives."""

    class StopError(Exception):
        pass

    def set_up(self, rng: random.Random, depth: int) -> None:
        self.inner = nn.Sequential(nn.Linear(N, N), nn.ReLU(), part(rng, self.world, depth + 1))
        self.middle, self.noted = nn.Linear(N, N), {}
        how = self.how % 4

        def hook(_module: Any, _args: Any, result: Any) -> Any:
            self.noted["x"] = result
            if how == 1:
                return result * 1.5
            if how == 2:
                raise self.StopError
            return None

        if how == 3:
            self.inner[0].register_forward_pre_hook(lambda _m, args: (args[0] + 1,))
        self.inner[0].register_forward_hook(hook)

    def forward(self, x: Any) -> Any:
        try:
            y = self.inner(x)
        except self.StopError:
            y = self.noted["x"]
        y = self.middle(y) + self.noted["x"]
        try:
            y = self.inner(y)
        except Exception:
            y = y + 1
        return self.linear(y + self.noted["x"])


@kind
class Draws(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.first, self.noise = nn.Linear(N, N), _Noise(self.world, self.how)

    def forward(self, x: Any) -> Any:
        return self.linear(self.noise(self.first(self.noise(x))))


class _Noise(nn.Module):
    def __init__(self, world: World, how: int) -> None:
        super().__init__()
        self.scale, self.world, self.how = nn.Linear(N, N), world, how

    def forward(self, x: Any) -> Any:
        w = self.world
        drawn = [
            lambda: torch.rand(N),
            lambda: torch.from_numpy(np.random.randn(N)).float(),  # noqa: NPY002
            lambda: random.random(),
            lambda: torch.rand(N, generator=w.generator),
            lambda: float(w.numpy.random()),
            lambda: w.python.random(),
            lambda: next(w.numbers),
            lambda: nn.functional.dropout(torch.ones(N), 0.5),
        ][self.how % 8]()
        return self.scale(x) + drawn


@kind
class Lazy(Part):
    """A cache by shape, filled on first use with what no parameter goes into; and a generator that is used up."""

    def set_up(self, rng: random.Random, depth: int) -> None:
        self.cache: dict[Any, Any] = {}
        self.steps = _Steps()

    def forward(self, x: Any) -> Any:
        if x.shape not in self.cache:
            self.cache[x.shape] = torch.arange(N).float()
        for y in self.steps(self.linear(x)):
            x = x + y
        return x + self.cache[x.shape]


class _Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(N, N), nn.Linear(N, N)

    def forward(self, x: Any) -> Any:
        yield self.a(x)
        yield self.b(x)
