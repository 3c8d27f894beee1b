"""Prefix replay of models that do later, or to themselves, what no rule sees: tried out on every batch."""

from __future__ import annotations

import contextvars
import copy
import pickle
import types
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core.torch import ablated  # noqa: E402
from dissect_core.torch.replay import PrefixReplay, ReplayWarning  # noqa: E402
from dissect_core.torch.replay._values import same  # noqa: E402
from replays import Chain, Doing, check, images, linear, rows_of, told, warned  # noqa: E402

NOTED: contextvars.ContextVar[Any] = contextvars.ContextVar("noted", default=0)


class Count:
    calls = 0


def compare_with_full(
    model: Any, n_batches: int = 3, begin: Any = lambda _batch: None
) -> PrefixReplay[Any, Any]:
    """Run all variants of some batches, in full only after all of a batch, so that nothing is put in order for them."""
    model.eval()
    variants = rows_of(model)
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    for number, image in enumerate(images(3, 4, n=n_batches)):
        begin(number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReplayWarning)
            with replay.on(image, variants) as one:
                found = [(variant, one.run(variant)) for variant in one.order]
                for variant, result in found:
                    assert torch.equal(result, one.run_in_full(variant)), (number, variant.id)
    return replay


def note_in_context(_model: Any, x: Any) -> Any:
    NOTED.set(x)
    return x


def count(_model: Any, x: Any) -> Any:
    Count.calls += 1
    return x


def append(model: Any, x: Any) -> Any:
    model.memory.items.append(x)
    return x


def read_another_weight(model: Any, x: Any) -> Any:
    return x + float(model.view.sum())


def change_what_was_given(model: Any, x: Any) -> Any:
    model.given.numpy()[0] = 0
    return x


@pytest.mark.parametrize(
    "habit",
    [note_in_context, count, append, read_another_weight, change_what_was_given],
    ids=lambda f: f.__name__,
)
def test_what_a_module_does_from_a_later_batch_on(habit: Any) -> None:
    """No rule sees these, and the trial on the first batches shows nothing: each batch is tried out."""
    since = 2
    now = 0

    class Early(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = linear()

        def forward(self, x: Any) -> Any:
            return self.act(self.linear(x)) if now >= since else self.linear(x)

    class Late(nn.Module):
        def __init__(self, memory: Any) -> None:
            super().__init__()
            self.linear, self.memory = linear(), memory

        def forward(self, x: Any) -> Any:
            return self.linear(x) + NOTED.get() + Count.calls + sum(self.memory.items)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            memory = types.SimpleNamespace()
            self.first, self.early, self.late, self.last = linear(), Early(), Late(memory), linear()
            early = types.SimpleNamespace(memory=memory, view=self.last.weight.detach().numpy(), given=None)
            self.early.act = lambda x: habit(early, x)
            self.state = early

        def forward(self, x: Any) -> Any:
            NOTED.set(0)
            Count.calls = 0
            self.state.memory.items = []
            self.state.given = x = self.first(x)
            return self.last(self.late(self.early(x)) + x)

    def begin(batch: int) -> None:
        nonlocal now
        now = batch

    torch.manual_seed(0)
    assert compare_with_full(Model(), 4, begin).counts.replayed > 0


def test_what_either_of_two_calls_is_enough_to_leave() -> None:
    """On a later batch two calls set the same flag: it is missing only if both are answered."""
    now = 0

    class Sets(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = linear()

        def forward(self, x: Any) -> Any:
            if now >= 2:
                NOTED.set(1)
            return self.linear(x)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.first, self.second, self.reader = linear(), Sets(), Sets(), linear()
            self.more = nn.Sequential(*[linear() for _ in range(4)])

        def forward(self, x: Any) -> Any:
            NOTED.set(0)
            x = self.second(self.first(self.before(x))) + NOTED.get()
            return self.more(self.reader(x))

    def begin(batch: int) -> None:
        nonlocal now
        now = batch

    torch.manual_seed(0)
    assert compare_with_full(Model(), 4, begin).counts.replayed > 0


def test_what_a_module_keeps_in_another_one_by_its_method() -> None:
    """In the baseline it makes no difference whether the first call keeps it, but it does under an ablation."""

    class Inner(nn.Module):
        def __init__(self, keep: Any) -> None:
            super().__init__()
            self.linear, self.keep = linear(), keep

        def forward(self, x: Any, always: bool) -> Any:
            y = self.linear(x)
            if always or float(x.abs().sum()) < 1e-6:
                self.keep(y)
            return y

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept: Any = []
            self.first, self.inner, self.middle, self.last = linear(), Inner(self.keep), linear(), linear()
            with (
                torch.no_grad()
            ):  # nothing but its first row passes the middle, so that an ablation makes it zero
                self.middle.weight[1:] = 0
                self.middle.bias.zero_()

        def keep(self, x: Any) -> None:
            self.kept.append(x)

        def forward(self, x: Any) -> Any:
            self.kept.clear()
            x = self.inner(self.first(x), always=True)
            x = self.inner(self.middle(x), always=False)
            return self.last(x) + (self.kept[0] if len(self.kept) > 1 else 0)

    torch.manual_seed(0)
    assert compare_with_full(Outer(), 2).counts.replayed > 0


def test_later_batches_of_an_ordinary_model_raise_no_alarm() -> None:
    """A weight that is used in a call, and later by the model itself: garbage in it is gone by then."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third, self.last = linear(), linear(), linear(), linear()

        def forward(self, x: Any) -> Any:
            y = self.second(self.first(x))
            return self.last(self.third(y) + x @ self.first.weight.T) @ self.second.weight

    said, replay = told(Tied(), 4)
    assert not said
    assert replay.counts.replayed == replay.counts.calls > 0


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_that_a_model_makes_of_its_modules(copied: Any) -> None:
    """A copy runs its own forward, with its own weights."""

    class Copies(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = linear()

        def forward(self, x: Any) -> Any:
            other = copied(self.linear)
            other._parameters = {name: nn.Parameter(p.detach() * 2) for name, p in other._parameters.items()}
            return other(x)

    said, replay = told(nn.Sequential(linear(), Copies(), linear()))
    if copied is copy.copy:  # which has the forward of what it is a copy of
        assert "its results differ while its calls are watched" in said[0]
    else:
        assert replay.counts.replayed > 0


@pytest.mark.parametrize(
    "kind",
    [
        torch.Tensor.to_sparse,
        torch.Tensor.to_sparse_csr,
        lambda x: torch.complex(x, x).conj(),
        lambda x: torch.complex(x, x).conj().imag,
        lambda x: torch.quantize_per_tensor(x, 1e-6, 0, torch.qint32),
        lambda x: torch.nested.nested_tensor([x[:1], x[1:]]),
        lambda x: x.as_subclass(type("Tagged", (torch.Tensor,), {})),
    ],
)
def test_results_of_any_kind_are_compared(kind: Any) -> None:
    model = nn.Sequential(linear(), linear(), linear()).eval()
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, lambda x: kind(torch.no_grad()(model)(x)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch: some kinds are new, others old
        for image in images(3, 4):
            with replay.on(image, rows_of(model)) as one:
                assert all(same(one.run(variant), one.run_in_full(variant)) for variant in one.order)
                assert not same(one.run(one.order[0]), one.run(one.order[-1]))
    assert replay.counts.replayed > 0


def test_something_attached_to_a_tensor_later() -> None:
    class Tags(nn.Module):
        def forward(self, x: Any) -> Any:
            x.scale = 3.0
            return x * 1

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.tags, self.second, self.last = linear(), Tags(), linear(), linear()

        def forward(self, x: Any) -> Any:
            x = self.first(x)
            return self.last(self.second(self.tags(x)) * getattr(x, "scale", 1.0))

    assert told(Model())[1].counts.replayed > 0


def test_weights_that_are_parts_of_one_array() -> None:
    """Each seems to have memory of its own: a use of one is a use of what it overlaps."""
    array = torch.randn(8, 4).numpy()
    model = nn.Sequential(linear(), linear(), linear(), linear())
    model[1].weight, model[2].weight = (nn.Parameter(torch.from_numpy(array[i : i + 4])) for i in (2, 4))
    (message,), _ = told(model)
    assert "1.weight" in message
    assert "2.weight" in message


def test_a_decision_on_weights_that_goes_unseen() -> None:
    """Whether a row is zero: other garbage decides as the intact weights do."""
    model = Chain(Doing(lambda x: x * 2 if (model.view == 0).all(1).any() else x))
    model.view = model.last.weight.detach().numpy()
    (message,), _ = told(model)
    assert "last.weight, whose use is not seen" in message


def test_garbage_is_gone_though_a_model_gives_a_weight_other_memory() -> None:
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = linear()

        def forward(self, x: Any) -> Any:
            with torch.no_grad():
                self.linear.bias.data = self.linear.bias.data.clamp(-1e3, 1e3)
                self.linear.weight = nn.Parameter(self.linear.weight.clone())
            return self.linear(x)

    torch.manual_seed(0)
    model = nn.Sequential(linear(), Normed(), linear()).eval()
    before = copy.deepcopy(model.state_dict())
    variants = [one for one in rows_of(model) if "1." not in one.id]
    check(model, images(3, 4), variants)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_forward_that_is_compiled_runs_in_full() -> None:
    model = nn.Sequential(linear(), nn.Sequential(linear(), nn.ReLU()), linear()).eval()
    model[1].forward = torch.compile(model[1].forward, backend="eager")
    warned(PrefixReplay(model, torch.no_grad()(model)), "'1' is compiled")


def test_gradients_of_functorch_inside_are_replayed() -> None:
    inner = nn.Sequential(linear(), nn.Tanh())
    model = Chain(Doing(lambda x: torch.func.grad(lambda y: inner(y).sum())(x)))
    model.inner = inner
    said, replay = told(model)
    assert not said
    assert replay.counts.replayed > 0


def test_a_scripted_model_runs_in_full() -> None:
    model = torch.jit.script(nn.Sequential(linear(), nn.ReLU(), linear()).eval())
    assert compare_with_full(model).counts.replayed == 0


def test_a_forward_that_a_model_exchanges_when_it_is_first_called() -> None:
    class Exchanges(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.is_done = linear(), False

        def forward(self, x: Any) -> Any:
            if not self.is_done:
                self.linear.forward = lambda x: nn.functional.linear(x, self.linear.weight) * 2
                self.is_done = True
            return self.linear(x)

    torch.manual_seed(0)
    model = nn.Sequential(linear(), Exchanges(), linear()).eval()
    fresh, image = copy.deepcopy(model), images(3, 4)[0]
    compare_with_full(model)
    with torch.no_grad():
        assert torch.equal(model(image), fresh(image))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e4m3fn, torch.float16])
def test_weights_of_any_type_hold_garbage_and_are_put_back(dtype: Any) -> None:
    def real(weight: Any) -> Any:
        return weight.real if dtype.is_complex else weight.float()

    class Typed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 4).to(dtype), requires_grad=False)

        def forward(self, x: Any) -> Any:
            return x @ real(self.weight)

    def read_unseen(x: Any) -> Any:
        with torch._C.DisableTorchFunction():
            return x + real(model.last.weight).sum()

    torch.manual_seed(0)
    model = Chain(Doing(read_unseen))
    model.last = Typed()
    before = model.last.weight.detach().clone()
    said = compare_with_full(model)._session.told
    assert torch.equal(model.last.weight.view(torch.uint8), before.view(torch.uint8))
    assert [one for one in said if "last.weight, whose use is not seen" in one]


def test_ablations_inside_autocast_are_not_hidden_by_its_cache() -> None:
    """Autocast keeps the weights that it has cast until its block ends, and does not see that they change."""
    model = nn.Sequential(linear(), linear(), linear()).eval()
    image, run = images(3, 4)[0], torch.no_grad()(model)
    baseline, *variants = rows_of(model)
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, run)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain = run(image)
        with replay.on(image, [baseline, *variants]) as one:
            for variant in one.order:
                with ablated(model, variant):
                    full = run(image)
                assert torch.equal(one.run(variant), full)
                assert torch.equal(full, plain) == (variant is baseline)
        assert torch.equal(run(image), plain)
