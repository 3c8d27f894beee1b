"""Operations of passes and of what is removed, against hand-computed numbers and slimmed models."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core.plan import Variant, plan  # noqa: E402
from dissect_core.spec import load_spec  # noqa: E402
from dissect_core.torch import anatomy_of  # noqa: E402
from dissect_core.torch.measure._flops import flops_saved, operations  # noqa: E402
from dissect_core.torch.replay import EffectPass, PrefixReplay  # noqa: E402


class Block(nn.Module):
    """Attention of 4 heads over 6 tokens of 8 channels, and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 4, batch_first=True)
        self.wide, self.narrow = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: Any) -> Any:
        x = x + self.attn(x, x, x)[0]
        return x + self.narrow(self.wide(x).relu())


TOKENS, WIDTH, HIDDEN = 6, 8, 16
ATTENTION = 2 * TOKENS * WIDTH * 4 * WIDTH + 2 * 2 * TOKENS * TOKENS * WIDTH
TOTAL = ATTENTION + 2 * 2 * TOKENS * WIDTH * HIDDEN


def saved(*ablations: dict[str, Any]) -> dict[str, float | None]:
    model = Block().eval()
    named = [{"name": str(i), "select": {"by": "each"}, **each} for i, each in enumerate(ablations)]
    variants: list[Variant] = plan(load_spec({"name": "saved", "ablations": named}), anatomy_of(model))
    replay: Any = PrefixReplay(model, torch.no_grad()(model))
    with replay.on(torch.randn(1, TOKENS, WIDTH), variants) as one:
        assert one.trace.flops[-1] == TOTAL
        assert one.trace.flops_by_module()["attn"] == ATTENTION
        probe = EffectPass(one, variants)
        return {v.id: probe.run_with_effect(v)[1].flops_saved for v in variants}


def test_operations_are_those_of_the_products() -> None:
    model = Block()  # parameters that want gradients, as a new model has them
    with torch.no_grad():
        assert operations(lambda: model(torch.randn(1, TOKENS, WIDTH))) == TOTAL
    q = torch.randn(1, 2, TOKENS, 4)
    fused = operations(lambda: nn.functional.scaled_dot_product_attention(q, q, q))
    assert fused == operations(lambda: (q @ q.mT) @ q) == 2 * 2 * 2 * TOKENS * TOKENS * 4


def test_a_head_saves_its_share_of_the_attention() -> None:
    found = saved({"target": {"unit": "head", "components": "*"}})
    assert found.pop("baseline") == 0
    assert len(found) == 4
    assert list(found.values()) == [pytest.approx(ATTENTION / 4 / TOTAL)] * 4


def test_rows_and_whole_parameters_save_their_share_and_scattered_elements_nothing() -> None:
    found = saved(
        {"target": {"unit": "row", "components": "wide.weight"}},
        {"target": {"unit": "component", "components": "narrow.weight"}},
        {"target": {"unit": "component", "components": "attn.out_proj.weight"}},
        {
            "target": {"unit": "element", "components": "wide.weight"},
            "select": {"by": "fraction", "fractions": [0.5]},
        },
    )
    linear = 2 * TOKENS * WIDTH * HIDDEN / TOTAL
    rows = [value for name, value in found.items() if name.startswith("0/")]
    assert rows == [pytest.approx(linear / HIDDEN)] * HIDDEN
    by_start = {name[0]: value for name, value in found.items()}
    assert by_start["1"] == pytest.approx(linear)
    assert by_start["2"] == pytest.approx(ATTENTION / TOTAL / 4)
    assert by_start["3"] == 0


def test_noise_saves_nothing_and_queries_depend() -> None:
    found = saved({"target": {"unit": "row", "components": "wide.weight"}, "interventions": ["noise"]})
    assert set(found.values()) == {0.0}
    model = nn.ModuleDict({"query_embedding": nn.Embedding(5, 8)})
    queries = {
        "name": "q",
        "target": {"unit": "query", "components": "query_embedding"},
        "select": {"by": "each"},
    }
    variants = plan(load_spec({"name": "queries", "ablations": [queries]}), anatomy_of(model))
    assert [flops_saved(v, model, {}, 100) for v in variants] == [0.0, *[None] * 5]


def test_operations_are_known_too_where_records_outgrow_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    from dissect_core.torch.replay import _explore

    monkeypatch.setattr(_explore, "SPECULATIVE_BYTES", 0)
    assert saved({"target": {"unit": "row", "components": "narrow.weight"}})["baseline"] == 0
