"""Replayed variants against full passes: a helper of the tests."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from dissect_core.plan import plan
from dissect_core.spec import load_spec
from dissect_core.torch import anatomy_of
from dissect_core.torch.replay import PrefixReplay


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
