from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, strategies as st

from dissect_core import (
    Component,
    SelectionError,
    UnknownComponentError,
    near_matches,
    select_components,
    unknown_component,
)

DETR = [
    *(
        Component(f"{stack}.layers.{i}.{name}", (256, 256), "float32")
        for stack in ("encoder", "decoder")
        for i in range(6)
        for name in ("self_attn.attn.in_proj_weight", "ffn.layers.1.bias")
    ),
    Component("query_embedding.weight", (100, 256), "float32"),
    Component("bbox_head.cls.weight", (81, 256), "float32", aliases=("bbox_head.cls_again.weight",)),
]


def names(components: tuple[Component, ...]) -> list[str]:
    return [component.name for component in components]


def test_component_counts_its_parameters_and_is_frozen() -> None:
    assert Component("w", (3, 4, 5), "float32").n_parameters == 60
    assert Component("scale", (), "float32").n_parameters == 1
    assert Component("none", (0, 4), "float32").n_parameters == 0
    with pytest.raises(FrozenInstanceError):
        Component("w", (3,), "float32").name = "v"  # type: ignore[misc]


def test_select_by_exact_name() -> None:
    assert names(select_components(DETR, "query_embedding.weight")) == ["query_embedding.weight"]


def test_select_by_glob_keeps_the_models_order_and_each_component_once() -> None:
    chosen = select_components(DETR, ["decoder.*", "*.layers.0.*", "decoder.layers.3.ffn.layers.1.bias"])
    assert names(chosen) == [c.name for c in DETR if c.name.startswith(("decoder.", "encoder.layers.0."))]


def test_an_exact_name_wins_over_its_meaning_as_a_glob() -> None:
    odd = [Component("w[0]", (1,), "float32"), Component("w0", (1,), "float32")]
    assert names(select_components(odd, "w[0]")) == ["w[0]"]
    assert names(select_components(odd[1:], "w[0]")) == ["w0"]


def test_a_glob_respects_case() -> None:
    with pytest.raises(UnknownComponentError, match=r"'query_embedding\.weight'"):
        select_components(DETR, "QUERY*")


def test_select_by_alias_gives_the_component_itself() -> None:
    assert names(select_components(DETR, "bbox_head.cls_again.weight")) == ["bbox_head.cls.weight"]
    assert names(select_components(DETR, "bbox_head.*", expect=1)) == ["bbox_head.cls.weight"]


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("query_embeding.weight", "query_embedding.weight"),
        ("transformer.query_embedding.weight", "query_embedding.weight"),
        ("query_embedding", "query_embedding.weight"),
        ("cls.weight", "bbox_head.cls.weight"),
        ("*.query_embedding.weigth", "query_embedding.weight"),
        ("encoder.layers.6.self_attn.attn.in_proj_weight", "encoder.layers.5.self_attn.attn.in_proj_weight"),
    ],
)
def test_nothing_matched_names_what_may_have_been_meant(pattern: str, near: str) -> None:
    with pytest.raises(UnknownComponentError) as caught:
        select_components(DETR, ["decoder.*", pattern])
    assert repr(pattern) in str(caught.value)
    assert repr(near) in str(caught.value)


def test_expect_pins_the_count() -> None:
    assert len(select_components(DETR, "encoder.*.in_proj_weight", expect=6)) == 6
    with pytest.raises(SelectionError, match=r"must select 6 components .*got 12: .*, and 4 more.*`expect`"):
        select_components(DETR, "encoder.*", expect=6)


def test_no_pattern_is_an_error() -> None:
    with pytest.raises(SelectionError, match="at least one"):
        select_components(DETR, [])


def test_no_components_at_all() -> None:
    with pytest.raises(UnknownComponentError, match="no component at all"):
        select_components([], "*")


def test_near_matches_put_suffixes_before_parts_before_spellings() -> None:
    known = ["a.norm.weight.scale", "a.norm.weight", "b.norm_weights", "zzz"]
    assert near_matches("norm.weight", known) == ("a.norm.weight", "a.norm.weight.scale", "b.norm_weights")


def test_unknown_component_without_near_matches_shows_the_range() -> None:
    assert "There are 2, from 'a' to 'b'" in str(unknown_component("zzzzzz", ["a", "b"]))


@given(st.text(), st.lists(st.text(), max_size=8), st.integers(0, 5))
def test_near_matches_are_some_of_the_names_whatever_is_asked(name: str, known: list[str], n: int) -> None:
    near = near_matches(name, known, n=n)
    assert set(near) <= set(known)
    assert len(near) <= n
