"""Small random models that do in their forward whatever Python lets them: a grammar for tests of prefix replay.

Each part takes and gives a tensor of shape (3, 4). Passes are deterministic, as a model puts everything that its parts
keep outside of themselves in order when it begins.
"""

from __future__ import annotations

import collections
import contextvars
import itertools
import os
import random
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

N = 4
KEPT: dict[str, Any] = {}
"""A global that parts write to and read from."""
CONTEXT: contextvars.ContextVar[bool] = contextvars.ContextVar("kept")
LOCAL = threading.local()
POOL = ThreadPoolExecutor(1)


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


class Plain(Part):
    def forward(self, x: Any) -> Any:
        return torch.relu(self.linear(x)) if self.how % 2 else self.linear(x).tanh()


class Chain(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.parts = nn.Sequential(*[part(rng, self.world, depth + 1) for _ in range(rng.randint(1, 3))])

    def forward(self, x: Any) -> Any:
        return x + self.parts(self.linear(x))


class Twice(Part):
    """The same part at two places."""

    def set_up(self, rng: random.Random, depth: int) -> None:
        self.part = part(rng, self.world, depth + 1)

    def forward(self, x: Any) -> Any:
        return self.part(self.linear(self.part(x)))


class Tied(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.other, self.third = nn.Linear(N, N), nn.Linear(N, N)
        self.third.weight = self.linear.weight
        self.other.weight.requires_grad_(self.how % 2 == 0)

    def forward(self, x: Any) -> Any:
        return self.third(self.other(self.linear(x)))


class Unasked(Part):
    """A parameter that is read without a call of its module: early, late, as a view, or by NumPy."""

    def set_up(self, rng: random.Random, depth: int) -> None:
        self.other, self.table = nn.Linear(N, N), nn.Embedding(3, N)
        self.view = self.other.weight.detach().numpy()

    def forward(self, x: Any) -> Any:
        if self.how % 4 == 0:
            x = torch.from_numpy(x.numpy() @ self.view.T)
        if self.how % 4 == 1:
            x = x + float(self.view.sum())
            return self.other(self.linear(x))
        return (
            self.linear(x + self.table.weight)
            if self.how % 4 == 2
            else self.linear(x) * self.table.weight[:1]
        )


class GivesContainer(Part):
    """A list, dict or tuple that its caller changes, or whose tensors it changes."""

    class Pair(NamedTuple):
        a: Any
        b: Any

    class Inner(nn.Module):
        def __init__(self, how: int) -> None:
            super().__init__()
            self.a, self.b, self.how = nn.Linear(N, N), nn.Linear(N, N), how

        def forward(self, x: Any) -> Any:
            a = self.a(x)
            b = self.b(a)
            if self.how % 5 == 0:
                return [a, b]
            if self.how % 5 == 1:
                return {"a": a, "b": {"c": [b]}}
            if self.how % 5 == 2:
                return GivesContainer.Pair(a, [b])
            whole = torch.cat([a, b], -1)
            return whole.chunk(2, -1) if self.how % 5 == 3 else (whole[..., ::2], [whole[..., 1::2]])

    def set_up(self, rng: random.Random, depth: int) -> None:
        self.inner, self.part = self.Inner(self.how), part(rng, self.world, depth + 1)

    def forward(self, x: Any) -> Any:
        found = self.inner(x)
        if isinstance(found, dict):
            found["b"]["c"][0] = self.part(found["b"]["c"][0])
            return self.linear(found["a"] + found["b"]["c"][0])
        if isinstance(found, list):
            found[-1] = self.part(found[-1])
            found.append(found[0] * 2)
            return self.linear(sum(found))
        a, b = found
        b = b[0] if isinstance(b, list) else b
        a.mul_(0.5)
        return self.linear(a + b + a.sum(-1, keepdim=True))


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


COUNT = {"calls": 0}


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

    def forward(self, x: Any) -> Any:
        y = self.linear(x)
        self.keep(y.tanh())
        return y * 2


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


class Catches(Part):
    class Fails(nn.Module):
        def __init__(self, how: int) -> None:
            super().__init__()
            self.linear, self.how = nn.Linear(N, N), how

        def forward(self, x: Any) -> Any:
            y = self.linear(x)
            if self.how % 2 or float(y.sum()) > 0:
                raise NotImplementedError
            return y

    def set_up(self, rng: random.Random, depth: int) -> None:
        self.fast, self.slow = self.Fails(self.how), part(rng, self.world, depth + 1)

    def forward(self, x: Any) -> Any:
        x = self.linear(x)
        try:
            return self.fast(x)
        except Exception:
            return self.slow(x)


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


class InPlace(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.relu, self.part = nn.ReLU(inplace=True), part(rng, self.world, depth + 1)

    def forward(self, x: Any) -> Any:
        y = self.linear(x)
        self.relu(y)
        z = self.part(y)
        z = z + y
        y *= 2
        return z + y


class Views(Part):
    class Wide(nn.Module):
        def __init__(self, how: int) -> None:
            super().__init__()
            self.linear, self.how = nn.Linear(N, 8 * N), how

        def forward(self, x: Any) -> Any:
            y = self.linear(x)
            how = self.how % 5
            if how == 0:
                return y[..., ::8]
            if how == 1:
                return y[..., 1::8]
            if how == 2:
                return y.t()[:N].t()
            if how == 3:
                return y[:, :1].expand(3, N)
            return y.unfold(-1, N, N // 2)[:, 1]

    def set_up(self, rng: random.Random, depth: int) -> None:
        self.wide = self.Wide(self.how)

    def forward(self, x: Any) -> Any:
        y = self.wide(x)
        return self.linear(y) + y.sum(-1, keepdim=True) + y.mean(0)


class Branches(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.part, self.other = part(rng, self.world, depth + 1), nn.Linear(N, N)

    def forward(self, x: Any) -> Any:
        x = self.linear(x)
        for _ in range(int(x.abs().sum() * 10) % 3):
            x = self.other(x).tanh()
        return self.part(x) if float(x[0, 0]) > 0 else x


class Threaded(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.other, self.third = nn.Linear(N, N), nn.Linear(N, N)

    def _run(self, x: Any) -> Any:
        with torch.no_grad():
            return self.other(x) if self.how % 2 else x @ self.other.weight

    def forward(self, x: Any) -> Any:
        x = self.linear(x)
        if self.how % 3 == 0:
            y = POOL.submit(self._run, x).result()
        else:
            found: list[Any] = []
            thread = threading.Thread(target=lambda: found.append(self._run(x)))
            thread.start()
            thread.join()
            y = found[0]
        return self.third(y) if self.how % 5 else self.other(self.third(y))


class Scripted(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        inner = nn.Sequential(nn.Linear(N, N), nn.ReLU(), nn.Linear(N, N))
        if self.how % 2:
            self.inner = torch.jit.script(inner)
        else:
            self.inner = torch.jit.trace(inner.eval(), torch.zeros(3, N), check_trace=False)

    def forward(self, x: Any) -> Any:
        return self.linear(self.inner(x))


class Checkpointed(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.part = part(rng, self.world, depth + 1)

    def forward(self, x: Any) -> Any:
        return self.linear(checkpoint(self.part, x, use_reentrant=False))


class Mapped(Part):
    """vmap, or another transform of functorch."""

    def set_up(self, rng: random.Random, depth: int) -> None:
        self.inner = nn.Sequential(nn.Linear(N, N), nn.Tanh())

    def forward(self, x: Any) -> Any:
        if self.how % 2:
            return self.linear(torch.func.vmap(self.inner)(x))
        state = {name: p * 2 for name, p in self.inner.named_parameters()}
        return self.linear(torch.func.functional_call(self.inner, state, (x,)))


class Inference(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.inner = nn.Sequential(nn.Linear(N, N), nn.Tanh())

    def forward(self, x: Any) -> Any:
        with torch.inference_mode():
            y = self.inner(x)
        return self.linear(y.clone())


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


KINDS: tuple[type[Part], ...] = (
    Chain,
    Twice,
    Tied,
    Unasked,
    GivesContainer,
    Fills,
    Keeps,
    Keeps,
    Hooked,
    Catches,
    Draws,
    InPlace,
    Views,
    Branches,
    Threaded,
    Scripted,
    Checkpointed,
    Mapped,
    Inference,
    Lazy,
)


def part(rng: random.Random, world: World, depth: int) -> Part:
    """A random part; deeper ones are plain more often."""
    kind = Plain if rng.random() < 0.25 + 0.35 * depth else rng.choice(KINDS)
    return kind(rng, world, depth)


def kinds_in(model: nn.Module) -> list[str]:
    """Names of the parts of a model, for messages."""
    return [f"{type(m).__name__}({m.how})" for m in model.modules() if isinstance(m, Part)]
