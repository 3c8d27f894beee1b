"""The dose that counts: what variants change in the outputs of what they ablate, and why it may be nothing."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core.plan import plan  # noqa: E402
from dissect_core.spec import load_spec  # noqa: E402
from dissect_core.torch import (  # noqa: E402
    EffectProbe,
    ablated,
    anatomy_of,
    gather_reference,
    output_change,
    reference_sites,
)


def run(model: Any, batch: Any) -> Any:
    with torch.no_grad():
        return model(batch)


def variants_of(model: Any, target: dict[str, Any], by: str = "each", **more: Any) -> list[Any]:
    ablation = {"name": "a", "target": target, "select": {"by": by}, **more}
    return plan(load_spec({"name": "s", "ablations": [ablation]}), anatomy_of(model))


class Net(nn.Module):
    """An embedding that is read without a call, an attention block, and a branch that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.query_embed = nn.Embedding(4, 8)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.linear = nn.Linear(8, 8)
        self.unused = nn.Linear(8, 8)

    def forward(self, image: Any) -> Any:
        queries = self.query_embed.weight.expand(len(image), -1, -1)
        return self.linear(self.attn(queries, image, image)[0])


@pytest.fixture
def net() -> Any:
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture
def image() -> Any:
    return torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))


def by_hand(model: Any, path: str, variant: Any, image: Any) -> float:
    """Distance of a module's outputs over their norm."""
    outputs: list[Any] = []
    handle = model.get_submodule(path).register_forward_hook(
        lambda _module, _args, output: outputs.append(output[0] if isinstance(output, tuple) else output)
    )
    run(model, image)
    with ablated(model, variant):
        run(model, image)
    handle.remove()
    before, after = (output.double() for output in outputs)
    return float((after - before).norm() / before.norm())


def test_heads_are_measured_at_their_block(net: Any, image: Any) -> None:
    probe = EffectProbe(net, run, image)
    for variant in variants_of(net, {"unit": "head", "components": "attn"})[1:]:
        effect = probe.effect(variant)
        assert effect.paths == ("attn",)  # its output projection is never called
        outputs: list[Any] = [[], []]
        for i in (0, 1):
            handle = net.attn.register_forward_hook(
                lambda _module, _args, output, kept=outputs[i]: kept.extend(output)
            )
            with ablated(net, variant) if i else nullcontext():
                run(net, image)
            handle.remove()
        before, after = (torch.cat([part.double().flatten() for part in output]) for output in outputs)
        assert effect.output_change == pytest.approx(float((after - before).norm() / before.norm()), rel=1e-6)
        assert (effect.masked, effect.changed, effect.is_no_op) == (32, 32, False)


def test_what_is_not_called_is_measured_around_it(net: Any, image: Any) -> None:
    probe = EffectProbe(net, run, image)
    variant = variants_of(net, {"unit": "query", "components": "query_embed"})[1]
    effect = probe.effect(variant)
    assert effect.paths == ("",)
    assert effect.output_change == pytest.approx(by_hand(net, "", variant, image), rel=1e-9)
    assert effect.output_change == pytest.approx(
        output_change(net, "", run, image, ablated(net, variant)), rel=1e-12
    )


def test_all_ablated_modules_count_together(image: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)).eval()
    variant = variants_of(model, {"unit": "row", "components": "*.weight"}, by="all")[1]
    effect = EffectProbe(model, run, image).effect(variant)
    assert effect.paths == ("0", "1")
    with torch.no_grad():
        first = model[0](image)
        second, after = model[1](first), model[1].bias.expand_as(first)
        moved = (first - model[0].bias).double().square().sum() + (second - after).double().square().sum()
        norm = first.double().square().sum() + second.double().square().sum()
    assert effect.output_change == pytest.approx(math.sqrt(moved / norm), rel=1e-6)


def test_why_nothing_changed(net: Any, image: Any) -> None:
    with torch.no_grad():
        net.linear.weight[3] = 0
    probe = EffectProbe(net, run, image)
    baseline, *rows = variants_of(net, {"unit": "row", "components": "linear.weight"})
    assert probe.effect(baseline).no_op == "it is the baseline, or removes no unit."
    dead = probe.effect(rows[3])
    assert (dead.masked, dead.changed, dead.output_change) == (8, 0, 0.0)
    assert dead.no_op is not None
    assert "weights that are zero stay zero" in dead.no_op
    assert probe.effect(rows[2]).no_op is None
    unread = probe.effect(variants_of(net, {"unit": "row", "components": "unused.weight"})[1])
    assert (unread.changed, unread.output_change) == (8, 0.0)
    assert unread.no_op is not None
    assert "what was ablated does not reach it" in unread.no_op


def test_activations_are_measured_too(net: Any, image: Any) -> None:
    kinds = [{"kind": kind, "space": "activation"} for kind in ("zero", "mean", "noise")]
    variants = variants_of(net, {"unit": "head", "components": "attn"}, interventions=kinds)
    reference = gather_reference(net, [image, image + 1], run, reference_sites(variants))
    probe = EffectProbe(net, run, image)
    changes = [probe.effect(variant, reference) for variant in variants[1:]]
    assert all(c.paths == ("attn",) and c.output_change > 0 and c.masked == 2 * 4 * 4 for c in changes)
    weights = [probe.effect(v) for v in variants_of(net, {"unit": "head", "components": "attn"})[1:]]
    assert [c.output_change for c in changes[::3]] == pytest.approx([c.output_change for c in weights], 1e-5)


def test_layers_and_what_they_leave_out() -> None:
    torch.manual_seed(0)
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3).eval()
    image = torch.randn(2, 5, 8)
    probe = EffectProbe(model, run, image)
    layers = variants_of(model, {"unit": "layer", "components": "layer"})[1:]
    assert [probe.effect(v).paths for v in layers] == [(f"layers.{i}",) for i in range(3)]
    sublayers = variants_of(model, {"unit": "sublayer", "components": "self_attn"})[1:]
    for variant in (*layers, *sublayers):
        effect = probe.effect(variant)
        assert effect.output_change > 0
        assert effect.masked == effect.changed == variant.n_parameters
    assert probe.effect(sublayers[0]).output_change == 1  # the block gives zeros


def test_the_model_is_left_as_it_was(net: Any, image: Any) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    probe = EffectProbe(net, run, image)
    intact = run(net, image)
    for variant in variants_of(net, {"unit": "head", "components": "attn"}):
        probe.effect(variant)
    assert run(net, image).equal(intact)
    assert all(value.equal(before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_an_output_of_another_shape_has_no_distance() -> None:
    class Picky(nn.Module):
        """Keeps the features above zero, as a detector keeps proposals."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 3)
            self.query_embed = nn.Embedding(3, 2)

        def forward(self, image: Any) -> Any:
            found = self.linear(self.query_embed.weight + image)
            return found[found > found.mean()]

    torch.manual_seed(1)
    model = Picky().eval()
    probe = EffectProbe(model, run, torch.ones(2))
    changes = [
        probe.effect(v).output_change
        for v in variants_of(model, {"unit": "query", "components": "query_embed"})[1:]
    ]
    assert math.inf in changes


class Boxed(nn.Module):
    """A model whose results are objects, and that reads a parameter itself: there is no output of the ablated part."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Net()
        self.shift = nn.Embedding(3, 8)

    def forward(self, image: Any) -> Any:
        class Result:
            def __init__(self, tensor: Any) -> None:
                self.tensor = tensor

        return Result(self.inner(image + self.shift.weight.sum(0)))


def test_what_a_model_reads_itself_is_compared_where_its_results_come_from(image: Any) -> None:
    from dissect_core.torch.replay import PrefixReplay, replayed_effects

    torch.manual_seed(0)
    model = Boxed().eval()
    variants = variants_of(model, {"unit": "row", "components": "shift.weight"})
    probe = EffectProbe(model, run, image)
    effects = [probe.effect(variant) for variant in variants]
    for variant, effect in zip(variants[1:], effects[1:], strict=True):
        assert effect.paths == ("inner",)
        assert effect.no_op is None
        assert effect.output_change == pytest.approx(by_hand(model, "inner", variant, image))
        assert effect.output_change > 0
    with PrefixReplay(model, lambda batch: run(model, batch)).on(image, variants) as one:
        replayed = replayed_effects(one, variants)
    assert [replace(effect, flops_saved=None) for effect in replayed.values()] == effects
