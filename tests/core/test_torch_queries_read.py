"""Queries are the rows that evaluation reads: of group queries those of one group, however a model takes them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dissect_core.edits import group_edits
from dissect_core.plan import plan, weight_norms
from dissect_core.spec import load_spec
from dissect_core.torch import ablated, anatomy_of
from dissect_core.torch.anatomy import rows_read
from dissect_core.torch.replay import EffectPass, PrefixReplay

GROUPS, N = 3, 4
ROWS = GROUPS * N

Take = Callable[[nn.Embedding, int], Tensor]


def _proposals(table: nn.Embedding, n_images: int) -> Tensor:
    """Rows that are normalised and projected before one group of them is taken."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        projection = nn.Linear(8, 8)
    every = projection(nn.functional.layer_norm(table.weight, (8,))).relu()
    return every[:N].expand(n_images, -1, -1)


TAKES: dict[str, tuple[Take, range]] = {
    "slice": (lambda t, n: t.weight[:N].expand(n, -1, -1), range(N)),
    "repeat, then slice": (lambda t, n: t.weight.unsqueeze(0).repeat(n, 1, 1)[:, :N], range(N)),
    "value by value, then slice": (lambda t, n: (t.weight.sigmoid() * 2 - 1)[:N].expand(n, -1, -1), range(N)),
    "row by row, then slice": (_proposals, range(N)),
    "groups first": (lambda t, n: t.weight.view(GROUPS, N, 8)[0].expand(n, -1, -1), range(N)),
    "groups last": (lambda t, n: t.weight.view(N, GROUPS, 8)[:, 1].expand(n, -1, -1), range(1, ROWS, GROUPS)),
    "the last group": (lambda t, n: t.weight.chunk(GROUPS)[-1].expand(n, -1, -1), range(2 * N, ROWS)),
    "looked up": (lambda t, n: t(torch.arange(N)).expand(n, -1, -1), range(N)),
    "all looked up, then slice": (lambda t, n: t(torch.arange(ROWS))[:N].expand(n, -1, -1), range(N)),
    "in half precision": (lambda t, n: t.weight.bfloat16()[:N].float().expand(n, -1, -1), range(N)),
    "queries first": (lambda t, n: t.weight[:N, None].expand(-1, n, -1).transpose(0, 1), range(N)),
    "beside denoising queries": (
        lambda t, n: torch.cat([torch.zeros(2, 8), t.weight[:N]]).expand(n, -1, -1),
        range(N),
    ),
    "in parts": (lambda t, n: torch.cat([t.weight[:2], t.weight[2:N]]).expand(n, -1, -1), range(N)),
    "all": (lambda t, n: t.weight.expand(n, -1, -1), range(ROWS)),
}


class Model(nn.Module):
    """A decoder layer over query embeddings with a row for each query of each group; training uses all of them."""

    def __init__(self, take: Take) -> None:
        super().__init__()
        self.take = take
        self.query_feat = nn.Embedding(ROWS, 8)
        self.decoder = nn.ModuleList([nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)])
        self.label_embedding = nn.Embedding(5, 8)  # of denoising, for training only

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            queries = self.query_feat.weight.expand(len(images), -1, -1) + self.label_embedding.weight.sum()
        else:
            queries = self.take(self.query_feat, len(images))
        return self.decoder[0](queries, images)


def model_of(take: Take) -> Model:
    torch.manual_seed(0)
    return Model(take).eval()


IMAGES = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(1))


def changing(model: Model) -> list[int]:
    """Rows that change what comes out, tried one after the other."""
    found = []
    with torch.no_grad():
        for row in range(ROWS):
            before = model(IMAGES)
            kept = model.query_feat.weight[row].clone()
            model.query_feat.weight[row] = torch.nan
            if not torch.equal(model(IMAGES), before):
                found.append(row)
            model.query_feat.weight[row] = kept
    return found


@pytest.mark.parametrize("name", TAKES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_queries_are_the_rows_that_change_something(name: str, mode: Any) -> None:
    take, rows = TAKES[name]
    model = model_of(take)
    assert changing(model) == list(rows), "the test itself"
    with mode():
        anatomy = anatomy_of(model, run=lambda: model(IMAGES))
    (group,) = (group for group in anatomy.groups if group.unit == "query")
    assert group.n_units == len(rows)
    for unit, row in enumerate(rows):
        (edit,) = group_edits(group, [unit], load_spec(study()).ablations[0].interventions[0])  # type: ignore[arg-type]
        assert np.flatnonzero(edit.mask.any(axis=1)).tolist() == [row]
    assert bool(anatomy.notes) == (len(rows) < ROWS)
    if anatomy.notes:
        assert anatomy.notes[0].startswith(
            f"Evaluation reads {N} of the {ROWS} rows of query_feat, {rows[0]} to {rows[-1]}"
        )


def study(**select: Any) -> dict[str, Any]:
    target = {"unit": "query", "components": "*"}
    return {"name": "s", "ablations": [{"name": "a", "target": target, "select": select or {"by": "each"}}]}


@pytest.mark.parametrize("name", ["slice", "groups last", "the last group"])
@torch.no_grad()
def test_every_variant_of_the_plan_has_an_effect(name: str) -> None:
    model = model_of(TAKES[name][0])
    anatomy = anatomy_of(model, run=lambda: model(IMAGES))
    intact = model(IMAGES)
    variants = plan(load_spec(study()), anatomy)
    assert len(variants) == 1 + N
    for variant in variants[1:]:
        with ablated(model, variant) as report:
            assert not torch.equal(model(IMAGES), intact)
        assert report.masked == 8
    (half,) = plan(load_spec(study(by="fraction", fractions=[0.5], repeats=1)), anatomy)[1:]
    assert (half.n_units, half.dose) == (N // 2, 0.5)
    assert variants.rows[1].n_available == N


def test_norms_are_those_of_the_rows_that_are_read() -> None:
    take, rows = TAKES["groups last"]
    model = model_of(take)
    spec = load_spec(study(by="top", score="weight_norm", counts=[1]))
    anatomy = anatomy_of(model, run=lambda: model(IMAGES))
    weights = model.query_feat.weight.detach().numpy()
    scores = weight_norms(spec, anatomy, {"query_feat.weight": weights})
    expected = np.linalg.norm(weights[list(rows)].astype(np.float64), axis=1)
    np.testing.assert_allclose(scores["weight_norm", "query_feat"], expected)


@pytest.mark.parametrize("name", ["by what the image says", "through NumPy"])
def test_what_is_not_seen_leaves_every_row(name: str) -> None:
    """Other rows may be read of another image, or in a way that is not seen."""
    takes: dict[str, Take] = {
        "by what the image says": lambda t, n: t.weight[IMAGES[0, :N, 0].argsort() + 1].expand(n, -1, -1),
        "through NumPy": lambda t, n: torch.tensor(t.weight.detach().numpy()[N : 2 * N]).expand(n, -1, -1),
    }
    model = model_of(takes[name])
    anatomy = anatomy_of(model, run=lambda: model(IMAGES))
    (group,) = (group for group in anatomy.groups if group.unit == "query")
    assert group.n_units == ROWS
    told = "Every row of query_feat counts as a query, though a pass in evaluation was not seen to read any."
    assert anatomy.notes == ((told,) if name == "through NumPy" else ())


def test_rows_in_no_order_are_all_offered_and_told() -> None:
    model = model_of(lambda t, n: torch.cat([t.weight[:1], t.weight[2:4], t.weight[7:8]]).expand(n, -1, -1))
    anatomy = anatomy_of(model, run=lambda: model(IMAGES))
    assert [g.n_units for g in anatomy.groups if g.unit == "query"] == [ROWS]
    assert anatomy.notes == (
        f"Evaluation reads 4 of the {ROWS} rows of query_feat, in no regular order, so that all of them are offered as "
        "queries.",
    )


def test_a_pass_that_fails_leaves_every_row_and_is_told() -> None:
    def fail() -> None:
        raise ValueError("the model wants text too\nand more")

    anatomy = anatomy_of(model_of(TAKES["slice"][0]), run=fail)
    assert [g.n_units for g in anatomy.groups if g.unit == "query"] == [ROWS]
    assert anatomy.notes[0].endswith("a pass to try failed. the model wants text too")


def test_without_queries_nothing_is_run() -> None:
    assert anatomy_of(nn.Sequential(nn.Conv2d(3, 4, 1)), run=lambda: pytest.fail("run")).notes == ()


def test_queries_of_two_tables_are_those_that_either_reads() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query_feat = nn.Embedding(ROWS, 8)
            self.refpoint_embed = nn.Embedding(ROWS, 4)

        def forward(self, images: Tensor) -> Tensor:
            return images @ self.query_feat.weight[:N].T + (
                images[..., :4] @ self.refpoint_embed.weight[:N].T
            )

    model = Two().eval()
    anatomy = anatomy_of(model, run=lambda: model(IMAGES))
    (group,) = (group for group in anatomy.groups if group.unit == "query")
    assert group.n_units == N
    assert [s.parameter for s in group.slices] == ["query_feat.weight", "refpoint_embed.weight"]


def test_memory_of_another_size_of_value_counts_as_read() -> None:
    table = nn.Parameter(torch.randn(4, 2))
    holder = nn.Module()
    holder.table = table
    found = rows_read(holder, lambda: table.view(torch.float64)[:2].sum(), ("table",))["table"]
    assert found is not None
    assert found.all()


@torch.no_grad()
def test_a_variant_of_rows_that_nothing_reads_is_told_why() -> None:
    """Without a pass at hand, every row is offered: what the study then measures says which were not read."""
    model = model_of(TAKES["slice"][0])
    variants = plan(load_spec(study()), anatomy_of(model))
    with PrefixReplay(model, model).on(IMAGES, variants) as one:
        probe = EffectPass(one, variants)
        found = {variant.id: probe.run_with_effect(variant) for variant in one.order}
    for row, variant in enumerate(variants[1:]):
        output, effect = found[variant.id]
        with ablated(model, variant):
            torch.testing.assert_close(output, model(IMAGES))
        assert effect.no_op == (
            None if row < N else "the model reads none of the rows of query_feat.weight that it edits."
        )
