"""Parts of random models that compute in unusual ways, and leave nothing behind."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from random_world import N, Part, kind, part

POOL = ThreadPoolExecutor(1)


@kind
class Chain(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.parts = nn.Sequential(*[part(rng, self.world, depth + 1) for _ in range(rng.randint(1, 3))])

    def forward(self, x: Any) -> Any:
        return x + self.parts(self.linear(x))


@kind
class Twice(Part):
    """The same part at two places."""

    def set_up(self, rng: random.Random, depth: int) -> None:
        self.part = part(rng, self.world, depth + 1)

    def forward(self, x: Any) -> Any:
        return self.part(self.linear(self.part(x)))


@kind
class Tied(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.other, self.third = nn.Linear(N, N), nn.Linear(N, N)
        self.third.weight = self.linear.weight
        self.other.weight.requires_grad_(self.how % 2 == 0)

    def forward(self, x: Any) -> Any:
        return self.third(self.other(self.linear(x)))


@kind
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


@kind
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


@kind
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


@kind
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


@kind
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


@kind
class Branches(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.part, self.other = part(rng, self.world, depth + 1), nn.Linear(N, N)

    def forward(self, x: Any) -> Any:
        x = self.linear(x)
        for _ in range(int(x.abs().sum() * 10) % 3):
            x = self.other(x).tanh()
        return self.part(x) if float(x[0, 0]) > 0 else x


@kind
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


@kind
class Scripted(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        inner = nn.Sequential(nn.Linear(N, N), nn.ReLU(), nn.Linear(N, N))
        if self.how % 2:
            self.inner = torch.jit.script(inner)
        else:
            self.inner = torch.jit.trace(inner.eval(), torch.zeros(3, N), check_trace=False)

    def forward(self, x: Any) -> Any:
        return self.linear(self.inner(x))


@kind
class Checkpointed(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.part = part(rng, self.world, depth + 1)

    def forward(self, x: Any) -> Any:
        return self.linear(checkpoint(self.part, x, use_reentrant=False))


@kind
class Mapped(Part):
    """vmap, or another transform of functorch."""

    def set_up(self, rng: random.Random, depth: int) -> None:
        self.inner = nn.Sequential(nn.Linear(N, N), nn.Tanh())

    def forward(self, x: Any) -> Any:
        if self.how % 2:
            return self.linear(torch.func.vmap(self.inner)(x))
        state = {name: p * 2 for name, p in self.inner.named_parameters()}
        return self.linear(torch.func.functional_call(self.inner, state, (x,)))


@kind
class Inference(Part):
    def set_up(self, rng: random.Random, depth: int) -> None:
        self.inner = nn.Sequential(nn.Linear(N, N), nn.Tanh())

    def forward(self, x: Any) -> Any:
        with torch.inference_mode():
            y = self.inner(x)
        return self.linear(y.clone())
