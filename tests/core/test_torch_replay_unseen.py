"""What prefix replay cannot see is not answered from the record, and one warning says which module and why."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core.torch.replay import PrefixReplay, ReplayWarning  # noqa: E402
from replays import Chain, Doing, check, images, linear, rows_of, told, warned  # noqa: E402


def test_numbers_that_nobody_can_see() -> None:
    """An iterator has no state that can be read: only a trial shows that it matters."""
    numbers: list[Any] = [itertools.count()]
    model = Chain(Doing(lambda x: x * (1 + next(numbers[0]))))

    def begin() -> None:
        numbers[0] = itertools.count()

    model.begin = begin
    said, replay = told(model)
    (message,) = said
    assert "'s use" not in message
    assert "middle" in message
    assert replay._session.distrusted.keys() <= {"middle", "middle.linear"} or "keeps something" in message
    assert replay.counts.replayed > 0, "what lies before it is answered all the same"


def test_objects_that_are_given_are_named() -> None:
    class Memory:
        kept: Any = 0

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = linear()

        def forward(self, x: Any, memory: Any) -> Any:
            memory.kept = memory.kept + x
            return self.linear(x)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.last = nn.ModuleList([Layer(), Layer()]), linear()

        def forward(self, x: Any) -> Any:
            memory = Memory()
            for layer in self.layers:
                x = layer(x, memory)
            return self.last(x + memory.kept)

    (message,), _ = told(Model())
    assert "layers.0 is given a Memory, whose changes are not seen" in message
    assert "The results are right, and take longer." in message


def test_inference_mode_runs_in_full() -> None:
    model = nn.Sequential(linear(), linear()).eval()
    warned(PrefixReplay(model, torch.inference_mode()(model)), "runs in inference mode")


def test_two_passes_that_differ_are_run_in_full() -> None:
    drawn = itertools.count()
    model = Chain(Doing(lambda x: x + next(drawn))).eval()
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    warned(replay, "the whole model, as two passes over the same batch differ", compare=False)
    assert replay.is_random


def test_compiled_models_run_in_full() -> None:
    """Watching calls would compile them anew; their results need not be those of what they were compiled from."""
    inner = nn.Sequential(linear(), linear())
    model = nn.Sequential(torch.compile(inner, backend="eager"), linear()).eval()
    warned(PrefixReplay(model, torch.no_grad()(model)), "'0' is compiled")


def test_a_model_that_fails_only_while_it_is_watched() -> None:
    class Suspicious(nn.Module):
        def forward(self, x: Any) -> Any:
            from torch.overrides import _get_current_function_mode_stack

            if _get_current_function_mode_stack():
                raise ValueError("no modes, please")
            return x * 2

    model = nn.Sequential(linear(), Suspicious(), linear()).eval()
    warned(PrefixReplay(model, torch.no_grad()(model)), "it fails while its calls are watched")


def test_a_model_that_catches_everything_cannot_hide_that_its_pass_is_another() -> None:
    class Catching(nn.Module):
        on = False

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = linear(), linear(), linear()

        def forward(self, x: Any) -> Any:
            try:
                x = self.second(x) if self.on else self.first(x)
            except BaseException:
                x = x + 1
            return self.third(x)

    model = Catching().eval()
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    variant = rows_of(model)[-1]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with replay.on(images(2, 4)[0], [variant]) as one:
            type(model).on = True
            assert torch.equal(one.run(variant), one.run_in_full(variant))
    assert any("called other modules" in str(each.message) for each in said)
    assert replay.counts.full == 1


def test_weights_are_as_they_were_whatever_a_check_meets() -> None:
    """Garbage is put into weights to see who reads them; an error in such a pass must not leave any."""

    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = linear(), linear()
            self.limit = float(self.second.weight.detach().abs().max()) + 1e-6

        def forward(self, x: Any) -> Any:
            if self.first.bias.sum() != self.sum:
                raise ValueError("who changed that?")
            return self.second(self.first(x))

    model = Picky()
    model.sum = float(model.first.bias.detach().sum())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    check(model, images(2, 4), rows_of(model))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


KEPT: dict[str, Any] = {}


@pytest.mark.parametrize("draws", [False, True])
def test_what_only_some_images_make_a_module_do(draws: bool) -> None:
    """The first batch shows nothing: the second fills a global, or draws from NumPy's generator."""
    numpy = pytest.importorskip("numpy")

    def do(x: Any) -> Any:
        if float(x.sum()) > THRESHOLD:
            if draws:
                return x * float(numpy.random.rand())
            KEPT["x"] = KEPT.get("x", 0) + x
            return x + KEPT["x"]
        return x

    torch.manual_seed(0)
    model = Chain(Doing(do)).eval()

    def begin() -> None:
        KEPT.clear()
        numpy.random.seed(0)

    model.begin = begin
    THRESHOLD = 1e9
    batches = images(3, 4, n=3)
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    variants = rows_of(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReplayWarning)
        for i, image in enumerate(batches):
            THRESHOLD = 1e9 if i == 0 else -1e9
            with replay.on(image, variants) as one:
                for variant in one.order:
                    assert torch.equal(one.run(variant), one.run_in_full(variant)), (i, variant.id)
    assert replay.counts.replayed > 0
