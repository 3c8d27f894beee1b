"""The shipped studies on full-size detectors: how many variants, of which units, counted by hand."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest
import torch

from deep_dissect.studies import shipped_studies
from dissect_core import Anatomy
from dissect_core.plan import Variant, plan
from dissect_core.spec import load_spec
from dissect_core.torch import anatomy_of
from dissect_mmdet.ops import enable_mmcv_ops

pytest.importorskip("mmdet")
pytest.importorskip("mmcv")
enable_mmcv_ops()

import zoo  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)

QUERIES = {"DETR": 100, "Deformable DETR": 300, "DINO": 900}


@cache
def anatomy(name: str) -> Anatomy:
    with torch.device("meta"):  # full size, without a value
        return anatomy_of(zoo.build_detector(zoo.ARCHITECTURES[name], whole=True)[0])


@cache
def variants(study: str, name: str) -> tuple[Variant, ...]:
    return tuple(plan(load_spec(shipped_studies()[study]), anatomy(name)))


def counts(study: str, name: str) -> dict[str, int]:
    found = Counter(v.ablation for v in variants(study, name) if v.kind == "ablation")
    return dict(found)


@pytest.mark.parametrize("name", QUERIES)
def test_the_papers_protocol(name: str) -> None:
    """Seven doses, five draws; 48 heads in each kind of attention."""
    parts = {"encoder self-attention", "decoder self-attention", "decoder cross-attention"}
    assert counts("paper_protocol", name) == dict.fromkeys({"query embeddings", *parts}, 35)
    doses = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9]
    for part in parts:
        own = [v for v in variants("paper_protocol", name) if v.ablation == part]
        assert {v.pool.n_units for v in own} == {48}
        assert sorted({v.n_units for v in own}) == [round(48 * dose) for dose in doses]
    queries = [v for v in variants("paper_protocol", name) if v.ablation == "query embeddings"]
    assert {v.pool.n_units for v in queries} == {QUERIES[name]}
    assert sorted({v.n_units for v in queries}) == [int(QUERIES[name] * dose + 1e-9) for dose in doses]


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize(
    ("study", "expected"),
    [
        ("leave_one_head_out", [48, 48, 48]),
        ("keep_one_head", [48, 48, 48]),
        ("layer_knockout", [6, 6, 12 + 18]),
        ("progressive_layers", [6, 6, 6, 6]),
        ("layer_readout", [5]),
        ("head_pairs", [144, 18 * 28]),
        ("head_replacements", [3 * 144]),
    ],
)
def test_heads_and_layers(study: str, expected: list[int], name: str) -> None:
    # All layers bypassed are the same from the front and from the back: merged, and so one less.
    merged = sum(len(v.merged) for v in variants(study, name)[1:])
    found = counts(study, name)
    assert sum(found.values()) == sum(expected) - merged
    if not merged:
        assert list(found.values()) == expected
    assert merged == {"progressive_layers": 2}.get(study, 0)


@pytest.mark.parametrize("name", QUERIES)
def test_queries(name: str) -> None:
    assert counts("query_knockout", name) == {"single queries": QUERIES[name], "shares of the queries": 75}


@pytest.mark.parametrize("name", ["Deformable DETR", "DINO"])
def test_deformable_attention(name: str) -> None:
    """Twelve blocks with four levels and four points each."""
    assert counts("deformable_sampling", name) == {"levels of each block": 48, "points of each block": 48}


@pytest.mark.parametrize("study", sorted(shipped_studies()))
@pytest.mark.parametrize("name", QUERIES)
def test_every_variant_fits_the_model(study: str, name: str) -> None:
    if study == "deformable_sampling" and name == "DETR":
        return
    shapes = {c.name: c.shape for c in anatomy(name).components}
    blocks = {b.path for b in anatomy(name).blocks} | set(anatomy(name).attention)
    for variant in variants(study, name)[1::37]:
        named: list[Any] = [*variant.bypassed(), *(site.path for site in variant.sites())]
        assert set(named) <= blocks
        assert all(edit.mask.shape == shapes[edit.parameter] for edit in variant.edits())
        assert len(variant.edits()) + len(named) + (variant.readout() is not None) > 0
