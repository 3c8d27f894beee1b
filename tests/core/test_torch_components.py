import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core import head_masks, select_components  # noqa: E402
from dissect_core.torch import ablated, attention_layouts, components_of  # noqa: E402


class Deformable(nn.Module):
    """The parameters of multi-scale deformable attention, with the names of numbers given."""

    def __init__(self, prefix: str = "num_", values: int = 8, heads: int = 2) -> None:
        super().__init__()
        for name, value in {"heads": heads, "levels": 3, "points": 4}.items():
            setattr(self, prefix + name, value)
        self.sampling_offsets = nn.Linear(8, 2 * 3 * 4 * 2)
        self.attention_weights = nn.Linear(8, 2 * 3 * 4)
        self.value_proj = nn.Linear(8, values)
        self.output_proj = nn.Linear(values, 8)


def test_components_follow_the_models_order() -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32), 2, enable_nested_tensor=False)
    components = components_of(model)
    assert [c.name for c in components] == [name for name, _ in model.named_parameters()]
    assert [c.shape for c in components] == [tuple(p.shape) for p in model.parameters()]
    assert {c.dtype for c in components} == {"float32"}
    assert sum(c.n_parameters for c in components) == sum(p.numel() for p in model.parameters())


def test_heads_are_known_in_attention_blocks_and_nowhere_else() -> None:
    components = components_of(nn.TransformerDecoderLayer(16, 4, 32))
    inside = {c.name for c in components if c.n_heads == 4}
    assert inside == {c.name for c in components if "attn" in c.name}
    assert {c.n_heads for c in components if c.name not in inside} == {None}


def test_every_dtype_has_its_plain_name() -> None:
    model = nn.ModuleList([nn.Linear(1, 1, dtype=d) for d in (torch.float64, torch.bfloat16, torch.float16)])
    assert [c.dtype for c in components_of(model)] == ["float64"] * 2 + ["bfloat16"] * 2 + ["float16"] * 2


def test_tied_parameters_are_one_component_with_aliases() -> None:
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3, bias=False)})
    model["b"].weight = model["a"].weight
    components = components_of(model)
    assert [(c.name, c.aliases) for c in components] == [("a.weight", ("b.weight",)), ("a.bias", ())]
    (chosen,) = select_components(components, "b.*")
    with ablated(model, {chosen.name: torch.ones(3, 3, dtype=torch.bool).numpy()}):
        assert not model["b"].weight.any()


def test_parameters_without_values_are_components_of_their_own() -> None:
    model = nn.ParameterDict({"a": nn.Parameter(torch.empty(0)), "b": nn.Parameter(torch.empty(0))})
    assert [c.name for c in components_of(model)] == ["a", "b"]


def test_a_model_without_memory_can_be_listed() -> None:
    with torch.device("meta"):
        model = nn.TransformerEncoderLayer(16, 4, 32)
    assert len(components_of(model)) == len(list(model.parameters()))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bias_kv", [True, False])
@pytest.mark.parametrize(("key", "value"), [(None, None), (3, None), (None, 5), (8, 8), (3, 5)])
def test_multihead_attention(bias: bool, bias_kv: bool, key: int | None, value: int | None) -> None:
    block = nn.MultiheadAttention(8, 4, bias=bias, add_bias_kv=bias_kv, kdim=key, vdim=value)
    layout = attention_layouts(block)[""]
    same = key in (None, 8) and value in (None, 8)
    assert layout.kind == ("fused" if same else "separate")
    assert (layout.embed_dims, layout.n_heads) == (8, 4)
    assert set(layout.parameters) == {n for n, _ in block.named_parameters()} - {"out_proj.bias"}
    masks = head_masks(layout, range(4), part="all")
    with ablated(block, masks) as report:
        assert report.masked == sum(p.numel() for n, p in block.named_parameters() if n != "out_proj.bias")


def test_blocks_go_by_their_path() -> None:
    model = nn.Transformer(16, 4, 1, 1, 32, batch_first=True)
    assert list(attention_layouts(model)) == [
        "encoder.layers.0.self_attn",
        "decoder.layers.0.self_attn",
        "decoder.layers.0.multihead_attn",
    ]
    names = {name for name, _ in model.named_parameters()}
    assert all(set(layout.parameters) <= names for layout in attention_layouts(model).values())


@pytest.mark.parametrize("prefix", ["num_", "n_"])
def test_deformable_attention(prefix: str) -> None:
    layout = attention_layouts(nn.ModuleDict({"x": Deformable(prefix, values=4)}))["x"]
    assert layout.kind == "deformable"
    assert (layout.embed_dims, layout.n_heads, layout.n_levels, layout.n_points) == (8, 2, 3, 4)
    assert layout.parameters[0] == "x.sampling_offsets.weight"


def test_modules_that_only_look_like_attention_are_left_out() -> None:
    wrong_heads = Deformable(heads=3)
    no_numbers = Deformable("other_")
    lone = nn.Linear(4, 4)
    lone.num_heads = 2
    assert attention_layouts(nn.ModuleList([wrong_heads, no_numbers, lone])) == {}


def test_computed_weights_are_left_out() -> None:
    block = nn.MultiheadAttention(8, 2)
    torch.nn.utils.parametrize.register_parametrization(block, "in_proj_weight", nn.Identity())
    assert attention_layouts(block) == {}


def test_a_shared_block_is_listed_once_and_its_heads_known_under_each_name() -> None:
    block = nn.MultiheadAttention(8, 2)
    model = nn.ModuleList([block, block])
    assert list(attention_layouts(model)) == ["0"]
    assert all(c.n_heads == 2 and c.aliases for c in components_of(model))
