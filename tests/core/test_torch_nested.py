"""Tensors nested in containers, and in subclasses of these, which torch's own walker takes for leaves."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import ActivationSite, ZeroActivation  # noqa: E402
from dissect_core.torch import intervened  # noqa: E402
from dissect_core.torch.activations import floats_in, map_parts, map_tensors, parts_in, tensors_in  # noqa: E402


class Sample(dict[str, Any]):
    """A dict of one's own, with an attribute, as many repositories return."""

    size: tuple[int, int] = (0, 0)


class Pair(tuple[Any, ...]):
    pass


Point = namedtuple("Point", "x y")


def nested() -> tuple[Any, list[Any]]:
    tensors = [torch.tensor([float(i)]) for i in range(6)]
    sample = Sample(a=tensors[0], b=[tensors[1], "text", None])
    sample.size = (4, 6)
    return {
        "sample": sample,
        "pair": Pair((tensors[2], 7)),
        "point": Point(tensors[3], (tensors[4],)),
        "ordered": OrderedDict(z=tensors[5], a=torch.tensor([8])),
    }, tensors


def test_every_tensor_is_met_once_in_order() -> None:
    value, floats = nested()
    assert all(a is b for a, b in zip(floats_in(value), floats, strict=True))
    assert len(list(tensors_in(value))) == len(floats) + 1
    parts = list(parts_in(value))
    assert parts[0] is value
    assert parts[1] is value["sample"]
    assert "text" in [part for part in parts if isinstance(part, str)]


def test_the_copy_is_of_the_same_classes_and_the_original_stays() -> None:
    value, floats = nested()
    new = map_tensors(lambda tensor: tensor + 10, value)
    assert [float(x) for x in floats_in(new)] == [float(x) + 10 for x in floats]
    assert type(new["sample"]) is Sample
    assert new["sample"].size == (4, 6)
    assert type(new["pair"]) is Pair
    assert type(new["point"]) is Point
    assert list(new["ordered"]) == ["z", "a"]
    assert new["sample"]["b"][1:] == ["text", None]
    assert new["ordered"]["a"] is value["ordered"]["a"]
    assert all(a is b for a, b in zip(floats_in(value), floats, strict=True))
    assert value["sample"]["a"] is floats[0]


def test_containers_can_be_replaced_whole() -> None:
    value, _ = nested()
    new = map_parts(lambda part: "gone" if isinstance(part, Pair) else None, value)
    assert new["pair"] == "gone"
    assert new["point"].x is value["point"].x


def test_why_torchs_walker_does_not_do() -> None:
    """The reason for a walker of our own: should this fail, torch's has learnt it, and ours can go."""
    from torch.utils._pytree import tree_leaves

    sample, pair = Sample(a=torch.ones(1)), Pair((torch.ones(1),))
    assert [type(leaf) for leaf in tree_leaves([sample, pair])] == [Sample, Pair]


def test_interventions_reach_into_subclasses() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x: Any) -> Any:
            return self.inner(x)["a"] * 1

    class Inner(nn.Module):
        def forward(self, x: Any) -> Any:
            return Sample(a=x + 1)

    model = Model()
    with intervened(model, ActivationSite("inner", "component"), ZeroActivation()) as report:
        assert not model(torch.ones(2, 3)).any()
    assert report.masked == 6
