"""Prefix replay of models that do in their forward what makes replay hard: still bit for bit a full pass."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core.torch.replay import ReplayWarning  # noqa: E402
from replays import check, images, linear, rows_of  # noqa: E402


class Plain(nn.Module):
    """Base for models that do what replay must see."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = linear(), linear(), linear()


class InPlace(Plain):
    """Results and arguments are changed after they were handed on."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        self.relu(x)  # its result is not used, its effect is
        y = self.second(x)
        y += x
        x *= 2
        return self.third(y) + x


class Twice(Plain):
    """One module is called several times, and two share a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.third.weight = self.first.weight

    def forward(self, x: Any) -> Any:
        x = self.second(self.first(self.second(x)))
        return self.third(self.second(x))


class Unseen(Plain):
    """Parameters are read without a call, as views, and as items."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Embedding(3, 4)
        self.scale = nn.Parameter(torch.rand(2, 4))

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        gain = self.scale[0] if float(self.scale.sum()) > 0 else self.scale[1]
        x = self.second(x) * gain
        queries = self.query.weight.unsqueeze(0).expand(len(x), -1, -1)
        return self.third(x.unsqueeze(1) + queries)


class Keeps(Plain):
    """A module leaves something for another, which does not ask it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(linear())
        self.inner.register_forward_hook(self._note)
        self.memory: list[Any] = []

    def _note(self, _module: Any, _args: Any, result: Any) -> None:
        self.memory = [result]

    def forward(self, x: Any) -> Any:
        return self.third(self.second(self.inner(self.first(x))) + self.memory[0])


class Counting(nn.Module):
    """Counts its calls, and gives another result each time."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = linear()
        self.calls = 0

    def forward(self, x: Any) -> Any:
        self.calls = (self.calls + 1) % 2
        return self.linear(x) * (1 + self.calls)


class Stateful(Plain):
    """A module whose results depend on how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.counting = Counting()

    def forward(self, x: Any) -> Any:
        return self.third(self.counting(self.counting(self.first(x))))


class Branching(Plain):
    """What is called depends on what was computed."""

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        for _ in range(int(x.abs().sum() * 10) % 3):
            x = self.second(x)
        return self.third(x)


class Structured(Plain):
    """Modules that hand on dicts, tuples and views of one another."""

    class Splits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = linear()

        def forward(self, x: Any) -> Any:
            x = self.linear(x)
            return {"halves": x.chunk(2, -1), "whole": [x, x]}

    class Labels(nn.Module):
        def forward(self, x: Any) -> Any:
            return x, {"n": len(x), "name": "x", "none": None}

    def __init__(self) -> None:
        super().__init__()
        self.splits = self.Splits()
        self.labels = self.Labels()

    def forward(self, x: Any) -> Any:
        found = self.splits(self.first(x))
        found["halves"][0].mul_(3)  # changes the whole, too
        y, said = self.labels(self.second(found["whole"][1]))
        return self.third(y) * said["n"]


class Random(Plain):
    """Draws numbers, as dropout in training does."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Any) -> Any:
        torch.manual_seed(3)
        self.dropout.train()
        return self.third(self.dropout(self.second(self.dropout(self.first(x)))))


@pytest.mark.parametrize("made", [InPlace, Twice, Unseen, Keeps, Stateful, Branching, Structured, Random])
def test_whatever_a_forward_does(made: Any) -> None:
    torch.manual_seed(1)
    model = made()
    state = getattr(getattr(model, "counting", None), "calls", None)
    with warnings.catch_warnings():
        if made in (Stateful, Branching, Random):
            warnings.simplefilter("ignore", ReplayWarning)  # said once, see test_torch_replay_unseen
        replay = check(model, images(2, 4, n=4), rows_of(model))
    assert state == getattr(getattr(model, "counting", None), "calls", None)
    if made in (Unseen, Branching, Structured):
        assert replay.counts.replayed > 0


def test_a_row_of_every_parameter_without_a_call() -> None:
    torch.manual_seed(0)
    model = Unseen()
    variants = rows_of(model)
    assert {v.ablation for v in variants} >= {"query.weight", "scale"}
    check(model, images(2, 4), variants)
