import math
import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import (  # noqa: E402
    ActivationSite,
    InterventionError,
    Scale,
    UnknownComponentError,
    ZeroActivation,
    row_mask,
)
from dissect_core.torch import NoOpWarning, ablated, bypassed, intervened, output_change  # noqa: E402


def run(model: Any, batch: Any) -> Any:
    return model(batch)


def network() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def test_the_change_by_hand() -> None:
    model, batch = network(), torch.randn(5, 4)
    masks = {"0.weight": row_mask((6, 4), [0, 1]), "0.bias": row_mask((6,), [0, 1])}
    for path, layer in (("0", model[0]), ("2", model), ("", model)):
        with torch.no_grad():
            before = layer(batch)
            with ablated(model, masks):
                after = layer(batch)
        expected = float((after - before).double().norm() / before.double().norm())
        change = output_change(model, path, run, batch, ablated(model, masks))
        assert change == pytest.approx(expected, rel=1e-6)
        assert change > 0
    scaled = ablated(model, {"2.weight": np.ones((3, 6), bool), "2.bias": np.ones(3, bool)}, Scale(factor=3))
    assert output_change(model, "2", run, batch, scaled) == pytest.approx(2, rel=1e-6)


def test_all_calls_and_tensors_count() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(2, 2, bias=False)

        def forward(self, x: Any) -> Any:
            return {"a": self.head(x), "b": (self.head(10 * x),)}

    model, batch = Twice(), torch.ones(1, 2)
    with torch.no_grad():
        model.head.weight.copy_(torch.eye(2))
    change = output_change(model, "head", run, batch, ablated(model, {"head.weight": row_mask((2, 2), [0])}))
    assert change == pytest.approx(math.sqrt((1 + 100) / (2 + 200)))


def test_other_ablations() -> None:
    model, batch = nn.TransformerEncoderLayer(8, 2, batch_first=True).eval(), torch.randn(1, 4, 8)
    site = ActivationSite("self_attn", "head", (0,))
    assert 0 < output_change(model, "", run, batch, intervened(model, site, ZeroActivation())) < 2
    assert output_change(model, "self_attn", run, batch, bypassed(model, "self_attn", "sublayer")) == 1


def test_no_change_says_why() -> None:
    model, batch = network(), torch.randn(5, 4)
    with torch.no_grad():
        model[0].weight[0] = 0
        model[0].bias[1] = -100  # never active

    def silent(path: str, context: Any, message: str) -> None:
        with pytest.warns(NoOpWarning, match=message):
            assert output_change(model, path, run, batch, context) == 0

    silent(
        "0", ablated(model, {"0.weight": row_mask((6, 4), [0])}), "'0' did not change: every masked value had"
    )
    silent("0", ablated(model, {"0.weight": row_mask((6, 4), [])}), "the masks select no value")
    silent("0", ablated(model, {"2.weight": row_mask((3, 6), [0])}), "does not reach it")
    silent("2", ablated(model, {"0.weight": row_mask((6, 4), [1])}), "units may be dead")
    model.spare = nn.Linear(2, 2)
    with pytest.warns(NoOpWarning, match="did not run on this batch"):
        change = output_change(
            model, "spare", lambda m, x: m[0](x), batch, ablated(model, {"0.bias": row_mask((6,), [2])})
        )
    assert change == 0


def test_values_that_are_not_finite() -> None:
    model = nn.Sequential(nn.Identity(), nn.Identity())

    def change(before: list[float], after: list[float]) -> float:
        outputs = iter([before, after])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoOpWarning)
            return output_change(
                model, "0", lambda m, x: m(torch.tensor(next(outputs))), None, ablated(model, {})
            )

    nan, inf = math.nan, math.inf
    assert change([nan, 3.0, 4.0], [nan, 3.0, 4.0]) == 0
    assert change([nan, 3.0, 4.0], [nan, 3.0, 9.0]) == 1
    assert change([inf, 3.0, 4.0], [inf, 0.0, 0.0]) == 1
    assert change([1.0, 1.0], [nan, 1.0]) == inf
    assert change([1.0, 1.0], [-inf, 1.0]) == inf
    assert change([0.0, 0.0], [0.0, 1e-3]) == inf
    assert change([0.0, 0.0], [0.0, 0.0]) == 0
    assert change([1e30, 1.0], [0.0, 1.0]) == 1


def test_errors() -> None:
    model = network()
    with pytest.raises(UnknownComponentError, match="'9'"):
        output_change(model, "9", run, torch.randn(1, 4), ablated(model, {}))
    sizes = iter([1, 2])
    with pytest.raises(InterventionError, match=r"got \[\(2, 6\)\] and \[\(1, 6\)\]"):
        output_change(model, "0", lambda m, n: m(torch.randn(next(n), 4)), sizes, ablated(model, {}))
