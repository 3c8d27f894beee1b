import pytest
from traitlets import TraitError

from dissect_core import Component, SelectionError, UnknownComponentError
from dissect_widgets import BrowserModel, UnknownNameError
from dissect_widgets.components import TreeView
from dissect_widgets.components._rows import MAX_ROWS, PAGE_SIZE


def shown(model: BrowserModel) -> list[str]:
    return [row.node.path for row in model.rows()[0]]


def test_selection_is_in_the_models_order_and_each_once(components: list[Component]) -> None:
    model = BrowserModel(components)
    model.selection = ["tied.queries", components[2].name, "query_embedding.weight", components[1].name]
    assert model.selection == (components[1].name, components[2].name, "query_embedding.weight")


def test_a_selection_given_first_is_kept(components: list[Component]) -> None:
    assert BrowserModel(components, selection=[components[3].name]).selection == (components[3].name,)


@pytest.mark.parametrize("error", [UnknownNameError, UnknownComponentError, TraitError])
def test_an_unknown_name_is_refused_with_near_matches(
    components: list[Component], error: type[Exception]
) -> None:
    model = BrowserModel(components, selection=[components[1].name])
    with pytest.raises(error, match=r"No component matches 'query\.weight'.*'query_embedding\.weight'"):
        model.selection = (*model.selection, "query.weight")
    with model.hold_trait_notifications():
        model.search("attn")
    assert model.selection == (components[1].name,)


@pytest.mark.parametrize("value", [7, None, [[]], "query_embedding.weight"])
def test_a_selection_of_something_else_is_refused(components: list[Component], value: object) -> None:
    model = BrowserModel(components)
    with pytest.raises(TraitError):
        model.selection = value
    assert model.selection == ()


def test_add_and_remove_by_glob(components: list[Component]) -> None:
    model = BrowserModel(components)
    model.add(["encoder.*.in_proj_weight", "query_embedding.weight"])
    assert len(model.selection) == 3
    model.remove("encoder.layers.0.*")
    assert model.selection == ("encoder.layers.1.self_attn.in_proj_weight", "query_embedding.weight")
    with pytest.raises(UnknownNameError, match="No component matches 'encodr'"):
        model.add("encodr")
    with pytest.raises(SelectionError, match="at least one name"):
        model.add([])
    model.clear()
    assert model.selection == ()


def test_one_action_is_told_once(components: list[Component]) -> None:
    model = BrowserModel(components)
    told: list[str] = []
    model.observe(lambda change: told.append(change["name"]))
    model.search("attn")
    model.add_block("encoder")
    model.add_block("encoder")
    model.search(" attn ")
    assert told == ["view", "selection"]


def test_a_block_selects_what_is_found_of_it(components: list[Component]) -> None:
    model = BrowserModel(components)
    model.add_block("encoder")
    assert len(model.selection) == 6
    model.search("ffn")
    model.remove_block("encoder.layers.0")
    assert len(model.selection) == 5
    assert model.n_selected_in_blocks()["encoder"] == 1
    model.search("")
    assert model.n_selected_in_blocks()["encoder"] == 5


def test_sums_of_the_selection(components: list[Component]) -> None:
    model = BrowserModel(components, selection=["query_embedding.weight"])
    assert model.n_selected_parameters() == 3_200


def test_it_opens_at_block_level(components: list[Component]) -> None:
    assert shown(BrowserModel(components)) == [
        "backbone", "backbone.layer1", "backbone.layer1.0",
        "encoder", "encoder.layers", "encoder.layers.0", "encoder.layers.1",
        "decoder", "decoder.layers", "decoder.layers.0", "decoder.layers.1",
        "query_embedding",
    ]  # fmt: skip


def test_a_search_leaves_what_was_open_as_it_was(components: list[Component]) -> None:
    model = BrowserModel(components)
    model.expand("query_embedding")
    model.collapse("encoder")
    before = shown(model)
    model.search("encoder*ffn")
    model.collapse("encoder.layers.0")
    model.search("  ")
    assert shown(model) == before
    assert "query_embedding.weight" in before
    assert "encoder.layers" not in before


def test_unknown_blocks_are_refused(components: list[Component]) -> None:
    model = BrowserModel(components)
    for action in (model.expand, model.add_block, model.remove_block, model.show_more):
        with pytest.raises(UnknownNameError, match=r"No block matches 'encodr'. Near matches: 'encoder'"):
            action("encodr")
    with pytest.raises(TraitError):
        model.view = TreeView(expanded=frozenset({"query_embedding.weight"}))
    assert model.view.shown == {}


def test_pages_count_what_they_leave_out() -> None:
    model = BrowserModel(Component(f"list.{i}.w", (1,), "float32") for i in range(2 * PAGE_SIZE + 7))
    rows, n_hidden = model.rows()
    assert (len(rows), rows[-1].kind, rows[-1].n_more, n_hidden) == (PAGE_SIZE + 2, "more", PAGE_SIZE + 7, 0)
    model.show_more("list")
    assert model.rows()[0][-1].n_more == 7
    model.show_more("list")
    assert model.rows()[0][-1].kind == "block"


def test_rows_in_all_are_limited_and_counted() -> None:
    model = BrowserModel(Component(f"s{i}.{k}.w", (1,), "float32") for i in range(50) for k in range(50))
    assert len(model.view.expanded) == 50
    rows, n_hidden = model.rows()
    assert (len(rows), n_hidden) == (MAX_ROWS, 50 + 2_500 - MAX_ROWS)
    model.show_more_rows()
    assert len(model.rows()[0]) == 2 * MAX_ROWS


def test_a_component_with_others_below_it_is_a_row_of_its_own() -> None:
    model = BrowserModel([Component("a", (2,), "float32"), Component("a.b", (3,), "float32")])
    model.expand("a")
    assert [row.key for row in model.rows()[0]] == [("block", "a"), ("component", "a"), ("component", "a.b")]
    model.selection = ("a.b",)
    assert model.n_selected_in_blocks()["a"] == 1
    model.selection = ("a",)
    assert model.n_selected_in_blocks()["a"] == 1
