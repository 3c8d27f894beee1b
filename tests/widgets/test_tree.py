import math

import pytest
from hypothesis import given, strategies as st

from dissect_core import Component
from dissect_widgets import DissectWidgetsError, TreeError
from dissect_widgets.components import block_level, component_tree, search_tree
from dissect_widgets.components._tree import MAX_DEPTH, block_paths, name_parts

# Few letters, so that names share prefixes, are each other's prefixes, and hold dots in odd places.
names = st.lists(st.text("ab0.\n", min_size=1, max_size=9), unique=True, max_size=30)


@st.composite
def component_lists(draw: st.DrawFn) -> list[Component]:
    shapes = st.lists(st.integers(0, 9), max_size=3).map(tuple)
    heads = st.sampled_from([None, 1, 8, 16])
    return [Component(n, draw(shapes), "float32", n_heads=draw(heads)) for n in draw(names)]


@given(component_lists())
def test_counts_add_up_at_every_node(components: list[Component]) -> None:
    tree = component_tree(components)
    assert {c.name for c in tree.components()} == {c.name for c in components}
    for node in tree.walk():
        below = [c for c in components if node.path in ("", c.name, *block_paths(c.name))]
        own = 0 if node.component is None else 1
        assert node.n_components == len(below) == own + sum(child.n_components for child in node.children)
        assert node.n_parameters == sum(math.prod(c.shape) for c in below)
        assert node.heads == tuple(sorted({c.n_heads for c in below if c.n_heads is not None}))


@given(component_lists())
def test_paths_are_different_and_joined_names(components: list[Component]) -> None:
    nodes = [(node.path, child) for node in component_tree(components).walk() for child in node.children]
    assert len({child.path for _, child in nodes}) == len(nodes)
    for parent, child in nodes:
        assert child.name
        assert child.path == (f"{parent}.{child.name}" if parent else child.name)


@given(st.text("ab.", min_size=1))
def test_parts_join_to_the_name(name: str) -> None:
    assert ".".join(name_parts(name)) == name
    assert all(name_parts(name))


def test_children_stand_in_the_models_order() -> None:
    tree = component_tree(Component(f"layers.{i}", (1,), "float32") for i in (2, 10, 1))
    assert [child.name for child in tree.children[0].children] == ["2", "10", "1"]


def test_a_component_may_have_others_below_it() -> None:
    tree = component_tree([Component("a", (2,), "float32"), Component("a.b", (3,), "float32")])
    (node,) = tree.children
    assert (node.component is not None, node.n_components, node.n_parameters) == (True, 2, 5)


def test_thousands_of_dots_make_no_deep_tree() -> None:
    name = ".".join("a" * 5_000)
    tree = component_tree([Component(name, (1,), "float32")])
    assert sum(1 for _ in tree.walk()) == MAX_DEPTH + 1
    assert tree.components()[0].name == name


def test_names_that_make_no_tree_are_refused() -> None:
    twice = [Component("a.b", (1,), "float32")] * 2
    with pytest.raises(TreeError, match=r"different names, got 'a\.b' twice.*`aliases`"):
        component_tree(twice)
    with pytest.raises(DissectWidgetsError, match=r"must have names, got one that is empty"):
        component_tree([Component("", (1,), "float32")])


def test_block_level_opens_lists_of_blocks_but_no_block(components: list[Component]) -> None:
    assert block_level(component_tree(components)) == {
        "backbone", "backbone.layer1", "encoder", "encoder.layers", "decoder", "decoder.layers",
    }  # fmt: skip


def test_block_level_follows_only_children() -> None:
    tree = component_tree(Component(f"model.head.{name}", (1,), "float32") for name in ("weight", "bias"))
    assert block_level(tree) == {"model", "model.head"}
    assert block_level(component_tree([])) == frozenset()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("SELF_attn.in", ["encoder.layers.0", "encoder.layers.1", "decoder.layers.0", "decoder.layers.1"]),
        ("encoder.*.in_proj_weight", ["encoder.layers.0", "encoder.layers.1"]),
        ("*.layers.1", ["encoder.layers.1", "decoder.layers.1"]),
        ("tied.queries", ["query_embedding"]),
        ("tied*", ["query_embedding"]),
        ("encoder.ffn", ["encoder.layers.0", "encoder.layers.1"]),
        ("self_attn*", []),
        ("no such thing", []),
    ],
)
def test_search_by_text_glob_alias_and_role(
    components: list[Component], pattern: str, found: list[str]
) -> None:
    names = [c.name for c in search_tree(component_tree(components), pattern).tree.components()]
    assert (
        list(dict.fromkeys(".".join(name.split(".")[:3]).removesuffix(".weight") for name in names)) == found
    )


def test_a_block_that_matches_is_whole_and_closed(components: list[Component]) -> None:
    found = search_tree(component_tree(components), "*encoder*.self_attn")
    assert found.expanded == {"encoder", "encoder.layers", "encoder.layers.0", "encoder.layers.1"}
    (encoder,) = found.tree.children
    assert (encoder.n_components, encoder.n_parameters) == (4, 2 * (96 * 32 + 32 * 32))


@pytest.mark.parametrize("pattern", ["[", "[b-a]", "a[0", "params['x']"])
def test_brackets_in_names_are_found(pattern: str) -> None:
    tree = component_tree([Component(f"net.{pattern}.w", (1,), "float32"), Component("b", (1,), "float32")])
    assert [c.name for c in search_tree(tree, pattern).tree.components()] == [f"net.{pattern}.w"]


@given(component_lists(), st.text("ab0.*?[\n", min_size=1, max_size=4))
def test_a_search_keeps_ancestors_and_its_sums_add_up(components: list[Component], pattern: str) -> None:
    tree = component_tree(components)
    found = search_tree(tree, pattern)
    paths = {node.path for node in found.tree.walk()}
    assert paths <= {node.path for node in tree.walk()}
    assert found.expanded <= paths
    for name in (c.name for c in found.tree.components()):
        assert paths.issuperset(block_paths(name))
    assert found.tree.n_components == len(found.tree.components())
    assert {c.name for c in components if pattern in c.name} <= {c.name for c in found.tree.components()}
