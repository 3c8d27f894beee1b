"""Prefix replay: bit for bit what a full pass gives, whatever a model does in its forward."""

from __future__ import annotations

import itertools
import threading
import time
import warnings
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import UnknownComponentError  # noqa: E402
from dissect_core.torch import EffectProbe, gather_reference, reference_sites  # noqa: E402
from dissect_core.torch.replay import BatchPass, PrefixReplay, ReplayWarning, replayed_effects  # noqa: E402
from replays import check, images, linear, rows_of, variants_of  # noqa: E402


@pytest.fixture(autouse=True)
def plain_layers() -> Any:
    """Torch's fused layers differ from its plain ones in the last bits."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


def calls_run(one: BatchPass[Any, Any], model: Any, variant: Any) -> list[str]:
    """Modules whose own forward really ran for a variant."""
    ran: list[str] = []
    handles = [
        module.register_forward_pre_hook(lambda _module, _args, path=path: ran.append(path))
        for path, module in model.named_modules()
        if not list(module.children())
    ]
    one.run(variant)
    for handle in handles:
        handle.remove()
    return ran


def test_what_lies_before_is_not_run_again() -> None:
    model = nn.Sequential(nn.Sequential(linear(), linear()), linear(), linear()).eval()
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    _, *variants = rows_of(model)
    with replay.on(images(2, 4)[0], variants) as one:
        found = {v.id.split("/")[0]: calls_run(one, model, v) for v in one.order}
    # Hooks fire where a module is stood in for itself, and not inside of one that is.
    assert found == {
        "2.weight": ["1", "2"],
        "1.weight": ["1", "2"],
        "0.1.weight": ["0.0", "0.1", "1", "2"],
        "0.0.weight": ["0.0", "0.1", "1", "2"],
    }
    assert replay.counts.replayed == 2 + 1 + 1 + 0


def test_a_chain_of_layers() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    model = nn.TransformerEncoder(layer, 3)
    variants = variants_of(
        model, ("head", "*"), ("neuron", "*"), ("layer", "layer"), ("sublayer", "self_attn")
    )
    replay = check(model, images(2, 5, 8), variants)
    assert replay.counts.replayed > replay.counts.passes / 2


def test_activations_replay_up_to_their_module() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    conv = nn.Sequential(nn.Conv1d(5, 5, 1), nn.BatchNorm1d(5), nn.ReLU(inplace=True))
    model = nn.Sequential(conv, nn.TransformerEncoder(layer, 2)).eval()
    kinds = [{"kind": kind, "space": "activation"} for kind in ("zero", "mean", "resample", "noise")]
    variants = variants_of(
        model, ("head", "self_attn"), ("neuron", "ffn"), ("channel", "conv"), interventions=kinds
    )
    batches = images(2, 5, 8)
    reference = gather_reference(model, batches, lambda model, batch: model(batch), reference_sites(variants))
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    for batch in batches:
        with replay.on(batch, variants) as one:
            for variant in one.order:
                found, report = one.run_with_report(variant, reference)
                masked = report.masked
                assert torch.equal(found, one.run_in_full(variant, reference)), variant.id
                assert masked > 0 or variant.n_units == 0
    assert replay.counts.replayed > 0


def test_records_are_bounded_and_dropped() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*[linear(64) for _ in range(6)])
    free = check(model, images(8, 64), rows_of(model))
    one = 8 * 64 * 4
    assert free.counts.peak_bytes == 6 * one
    tight = check(model, images(8, 64), rows_of(model), max_bytes=2 * one)
    assert tight.counts.peak_bytes == 2 * one
    assert 0 < tight.counts.replayed < free.counts.replayed
    none = check(model, images(8, 64), rows_of(model), max_bytes=0)
    assert none.counts.replayed == 0


def test_what_is_needed_no_more_is_forgotten() -> None:
    model = nn.Sequential(*[linear() for _ in range(4)]).eval()
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    with replay.on(images(2, 4)[0], rows_of(model)) as one:
        held = []
        for variant in one.order:
            one.run(variant)
            held.append(len(one.record.results))
        assert [v.id.split("/")[0] for v in one.order] == ["baseline", *(f"{i}.weight" for i in (3, 2, 1, 0))]
    assert held == [4, 3, 2, 1, 0]  # with the result of the whole, for the baseline


def test_hooks_and_patches_of_others_stay() -> None:
    model = nn.Sequential(linear(), linear(), linear()).eval()
    seen: list[int] = []
    model[2].register_forward_hook(lambda _module, _args, result: seen.append(1) or result + 1)
    original = model[1].forward
    model[1].forward = lambda x: original(x) * 2
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    variants = rows_of(model)
    with replay.on(images(2, 4)[0], variants) as one:
        before = len(seen)
        for variant in one.order:
            assert torch.equal(one.run(variant), one.run_in_full(variant))
    # In full and replayed for every variant: a module with a hook is called, whatever is on record.
    assert len(seen) - before == 2 * len(variants)
    assert "forward" in vars(model[1])


def test_a_model_that_others_steer_is_run_in_full() -> None:
    """Only something outside the model can make a pass begin otherwise: then nothing is taken from the record."""

    class Steered(nn.Module):
        on = False

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = linear(), linear(), linear()

        def forward(self, x: Any) -> Any:
            x = self.second(x) if self.on else self.first(x)
            return self.third(x)

    model = Steered().eval()
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    variant = rows_of(model)[-1]
    assert variant.ablation == "third.weight"
    with replay.on(images(2, 4)[0], [variant]) as one:
        type(model).on = True
        with pytest.warns(ReplayWarning, match=r"'third\.weight/.*called other modules .* run in full"):
            found = one.run(variant)
        assert torch.equal(found, one.run_in_full(variant))
    assert replay.counts.full == 1


def test_calls_of_other_threads_are_no_part_of_a_pass() -> None:
    """A reader of images may use the model's own preprocessor while a pass is under way."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.preprocess, self.first, self.second = nn.Identity(), linear(), linear()

        def forward(self, x: Any) -> Any:
            x = self.first(x)
            elsewhere = threading.Thread(target=self.preprocess, args=(torch.zeros(1),))
            if next(times) % 2 == 0:  # now and then, as other threads do
                elsewhere.start()
                elsewhere.join()
            return self.second(x)

    times = itertools.count()
    model = Model().eval()
    variants = rows_of(model)
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for image in images(3, 4):
            with replay.on(image, variants) as one:
                assert [call.path for call in one.trace.calls] == ["", "first", "second"]
                for variant in one.order:
                    assert torch.equal(one.run(variant), one.run_in_full(variant))
    assert replay.counts.full == 0


def test_errors_leave_the_model_as_it_was() -> None:
    model = nn.Sequential(linear(), linear()).eval()
    other = nn.Sequential(linear(), linear(), linear()).eval()
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    with pytest.raises(UnknownComponentError), replay.on(images(2, 4)[0], rows_of(other)):
        pass
    with pytest.raises(RuntimeError, match="shape"), replay.on(images(2, 5)[0], rows_of(model)):
        pass
    assert not any("forward" in vars(module) for module in model.modules())


def test_effects_are_those_of_full_passes() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    model = nn.TransformerEncoder(layer, 3).eval()
    variants = variants_of(model, ("head", "*"), ("neuron", "*"), ("layer", "layer"), ("sublayer", "ffn"))
    image = images(2, 5, 8)[0]
    probe = EffectProbe(model, lambda model, batch: torch.no_grad()(model)(batch), image)
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    with replay.on(image, variants) as one:
        effects = replayed_effects(one, variants)
        assert torch.equal(one.run(variants[1]), one.run_in_full(variants[1]))
    without = {name: replace(effect, flops_saved=None) for name, effect in effects.items()}
    assert without == {variant.id: probe.effect(variant) for variant in variants}
    assert sum(effect.is_no_op for effect in effects.values()) < len(effects) / 2


def test_a_first_pass_that_could_not_keep_all_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    from dissect_core.torch.replay import _explore

    model = nn.Sequential(linear(), nn.Sequential(linear(), linear()), linear()).eval()
    passes: list[int] = []
    model[0].register_forward_hook(lambda *_: passes.append(1))
    variants = rows_of(model)

    def recording(replay: PrefixReplay[Any, Any]) -> int:
        """Passes made to record a batch, without those that try the record out."""
        before, checks = len(passes), replay.counts.checks
        with replay.on(images(1, 4)[0], variants) as one:
            assert set(one.trace.outermost(one.moment(variants[-1]))) <= set(one.record.results)
            return len(passes) - before - (replay.counts.checks - checks)

    assert recording(PrefixReplay(model, torch.no_grad()(model))) == 1
    monkeypatch.setattr(_explore, "SPECULATIVE_BYTES", 0)
    check(model, images(2, 4), variants)
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    assert recording(replay) == 2
    assert recording(replay) == 2, "the hook's list has grown: looked into once"
    assert recording(replay) == 1, "later batches are recorded at once"
    assert replay.counts.checks > 0


def test_times_tell_what_comes_after_a_moment() -> None:
    class Slow(nn.Module):
        def forward(self, x: Any) -> Any:
            time.sleep(0.05)
            return x * 1.5

    model = nn.Sequential(linear(), Slow(), linear()).eval()
    variants = rows_of(model)
    with PrefixReplay(model, torch.no_grad()(model)).on(images(1, 4)[0], variants) as one:
        first, last = (one.trace.seconds_after(one.moment(variant)) for variant in variants[1:])
        assert one.trace.seconds_after(0) >= first >= 0.05 > last > 0
        assert one.trace.seconds_after(one.moment(variants[0])) == 0
