"""Replayed variants against full passes: a helper of the tests."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from dissect_core.plan import plan
from dissect_core.spec import load_spec
from dissect_core.torch import anatomy_of
from dissect_core.torch.replay import PrefixReplay, ReplayWarning


def variants_of(model: Any, *ablations: tuple[str, Any], **more: Any) -> list[Any]:
    listed = [
        {
            "name": f"{unit} {i}",
            "target": {"unit": unit, "components": components},
            "select": {"by": "each"},
            **more,
        }
        for i, (unit, components) in enumerate(ablations)
    ]
    return plan(load_spec({"name": "s", "ablations": listed}), anatomy_of(model))


def linear(n: int = 4) -> Any:
    return nn.Linear(n, n)


def rows_of(model: Any) -> list[Any]:
    """A variant for the first row of every weight, and the baseline."""
    names = [n for n, p in model.named_parameters() if p.ndim == 2]
    more = {"select": {"by": "indices", "indices": 0}}
    ablations = [
        {"name": n.replace("/", "_"), "target": {"unit": "row", "components": n}, **more} for n in names
    ]
    return plan(load_spec({"name": "s", "ablations": ablations}), anatomy_of(model))


def check(
    model: Any, batches: list[Any], variants: list[Any], reference: Any = None, **options: Any
) -> PrefixReplay[Any, Any]:
    """Every variant on every batch, replayed and in full."""
    model.eval()
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model), **options)
    for batch in batches:
        with torch.no_grad():
            plain = model(batch)
        with replay.on(batch, variants) as one:
            assert torch.equal(one.baseline, plain)
            for variant in one.order:
                found, report = one.run_with_report(variant, reference)
                assert torch.equal(found, one.run_in_full(variant, reference)), variant.id
                assert report.is_no_op == (variant.n_units == 0)
        with torch.no_grad():
            assert torch.equal(model(batch), plain)
    assert not any("forward" in vars(module) for module in model.modules())
    assert replay.counts.passes == len(batches) * len(variants)
    assert replay.counts.full == 0
    return replay


def images(*shape: int, n: int = 3) -> list[Any]:
    return [torch.randn(*shape, generator=torch.Generator().manual_seed(i)) for i in range(n)]


class Chain(nn.Module):
    """Three layers, the middle one with a habit."""

    def __init__(self, middle: Any) -> None:
        super().__init__()
        self.first, self.middle, self.again, self.last = linear(), middle, linear(), linear()
        self.begin: Any = lambda: None

    def forward(self, x: Any) -> Any:
        self.begin()
        x = self.middle(self.again(self.middle(self.first(x))))
        return self.last(x)


class Doing(nn.Module):
    """A linear layer that does something with its result."""

    def __init__(self, do: Any) -> None:
        super().__init__()
        self.linear, self.do = linear(), do

    def forward(self, x: Any) -> Any:
        return self.do(self.linear(x))


def told(model: Any, n_batches: int = 2) -> tuple[list[str], PrefixReplay[Any, Any]]:
    """Warnings of a replay that was compared with full passes, and the replay."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        replay = check(model.eval(), images(3, 4, n=n_batches), rows_of(model))
    return [str(one.message) for one in said if one.category is ReplayWarning], replay


def warned(replay: PrefixReplay[Any, Any], match: str, *, compare: bool = True) -> None:
    """Run every variant, which warns, and compare it with a full pass."""
    variants = rows_of(replay._session.model)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with replay.on(images(2, 4)[0], variants) as one:
            for variant in one.order:
                found = one.run(variant)
                assert not compare or torch.equal(found, one.run_in_full(variant))
    (message,) = [str(each.message) for each in said if each.category is ReplayWarning]
    assert match in message
    assert replay.counts.replayed == 0
