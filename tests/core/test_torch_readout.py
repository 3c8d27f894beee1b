"""Readouts of hand-made decoders: what the head reads of each layer, whatever sizes happen to be equal."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from dissect_core import InterventionError, PlanError, SpecError
from dissect_core.plan import plan
from dissect_core.spec import load_spec
from dissect_core.torch import ablated, anatomy_of, read_out
from dissect_core.torch.replay import PrefixReplay

N = 3


class Found(NamedTuple):
    states: Tensor
    boxes: Tensor


class Decoder(nn.Module):
    """Three layers, a norm of its own, and reference boxes; returns what it has in one of many ways."""

    def __init__(self, way: str, n_layers: int = N) -> None:
        super().__init__()
        self.way = way
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(8, 2, 16, batch_first=True) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(8)
        self.reference = nn.Linear(8, 2)

    def forward(self, queries: Tensor, memory: Tensor) -> Any:
        start = queries
        box = queries[..., :2].sigmoid()
        states, boxes = [], [box]
        for layer in self.layers:
            queries = layer(queries, memory)
            box = box + self.reference(queries)
            states.append(self.norm(queries) if self.way != "raw" else queries)
            boxes.append(box)
        stack, references = torch.stack(states), torch.stack(boxes)
        return {
            "raw": lambda: stack,
            "stack": lambda: stack,
            "beside": lambda: (stack, references),
            "behind": lambda: [stack, references[1:]],
            "images first": lambda: {
                "states": stack.transpose(0, 1),
                "boxes": references[1:].transpose(0, 1),
            },
            "queries first": lambda: (stack.transpose(1, 2), references[1:].transpose(1, 2)),
            "list": lambda: states,
            "tuple beside": lambda: (tuple(states), tuple(boxes[1:])),
            "dict": lambda: {"all": states, "last": states[-1], "box": boxes[-1], "boxes": references[1:]},
            "named": lambda: Found(stack, references[1:]),
            "with the start": lambda: torch.stack([self.norm(start), *states]),
            "last": lambda: states[-1],
            "last with an axis": lambda: states[-1].unsqueeze(1),
            "last twice": lambda: torch.stack([states[-1]] * N),
            "changed": lambda: stack * 2,
        }[self.way]()


class Model(nn.Module):
    """Reads the last layer's result as heads do: from the back."""

    def __init__(self, way: str, n_layers: int = N, n_queries: int = 5) -> None:
        super().__init__()
        self.query_embed = nn.Embedding(n_queries, 8)
        self.decoder = Decoder(way, n_layers)
        self.head = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Any:
        out = self.decoder(self.query_embed.weight.expand(len(images), -1, -1), images)
        way = self.decoder.way
        box: Any = 0
        if way == "images first":
            last, box = out["states"][:, -1], out["boxes"][:, -1]
        elif way == "queries first":
            last, box = out[0][-1].transpose(0, 1), out[1][-1].transpose(0, 1)
        elif way == "dict":
            last, box = out["last"], out["box"]
        elif way in ("beside", "behind", "tuple beside"):
            last, box = out[0][-1], out[1][-1]
        elif way == "named":
            last, box = out.states[-1], out.boxes[-1]
        elif way == "last":
            last = out
        elif way == "last with an axis":
            last = out[:, 0]
        else:
            last = out[-1]
        return self.head(last), box


def model_of(way: str, **sizes: int) -> Model:
    torch.manual_seed(0)
    return Model(way, **sizes).eval()


def shorter(model: Model, layer: int, **sizes: int) -> Model:
    """The same model, made with fewer layers."""
    other = model_of(model.decoder.way, **sizes, n_layers=layer + 1)
    other.load_state_dict(model.state_dict(), strict=False)
    return other


READ = [
    "raw",
    "stack",
    "beside",
    "behind",
    "images first",
    "queries first",
    "list",
    "tuple beside",
    "dict",
    "named",
    "with the start",
    "last",
]


@pytest.mark.parametrize("way", READ)
@pytest.mark.parametrize("n_queries", [N, N + 1, 7])
@torch.no_grad()
def test_a_readout_is_the_model_that_ends_there(way: str, n_queries: int) -> None:
    model = model_of(way, n_queries=n_queries)
    for n_images in (1, 2, N, N + 1, 7):
        images = torch.randn(n_images, 6, 8, generator=torch.Generator().manual_seed(n_images))
        intact = model(images)
        for layer in range(N):
            with read_out(model, f"decoder.layers.{layer}"):
                found = model(images)
            expected = shorter(model, layer, n_queries=n_queries)(images)
            torch.testing.assert_close(found, expected, rtol=0, atol=0)
            assert found[0].equal(intact[0]) == (layer == N - 1)


@pytest.mark.parametrize("way", ["last with an axis", "last twice", "changed"])
@pytest.mark.parametrize("n_images", [1, 2, N])
@torch.no_grad()
def test_what_are_not_the_layers_results_is_refused(way: str, n_images: int) -> None:
    """With as many images as layers, the first image would once have been taken for the first layer."""
    model, images = model_of(way, n_queries=N), torch.randn(n_images, 6, 8)
    with (
        pytest.raises(InterventionError, match=r"'decoder' must return the results of all its 3 layers"),
        read_out(model, "decoder.layers.0"),
    ):
        model(images)
    with read_out(model, f"decoder.layers.{N - 1}"):
        model(images)


@torch.no_grad()
def test_layers_that_run_in_another_order_are_refused() -> None:
    model = model_of("stack")
    model.decoder.layers[2] = model.decoder.layers[1]
    with (
        pytest.raises(InterventionError, match=r"must run one after the other, each once"),
        read_out(model, "decoder.layers.0"),
    ):
        model(torch.randn(2, 6, 8))


@torch.no_grad()
def test_layers_with_equal_results_are_told_by_their_axis() -> None:
    """Nothing tells layers from images where all entries are equal: refused."""
    model = model_of("raw", n_queries=N)
    for layer in model.decoder.layers:
        layer.forward = lambda queries, memory: torch.ones_like(queries)
    with (
        pytest.raises(InterventionError, match=r"but it does not\. Build it"),
        read_out(model, "decoder.layers.0"),
    ):
        model(torch.randn(N, 6, 8))


def study(components: Any, **more: Any) -> Any:
    target = {"unit": "readout", "components": components, **more}
    return load_spec({"name": "s", "ablations": [{"name": "a", "target": target, "select": {"by": "each"}}]})


@pytest.mark.parametrize("way", ["stack", "dict", "images first"])
@torch.no_grad()
def test_replay_and_full_passes_agree(way: str) -> None:
    model = model_of(way)
    variants = plan(study("decoder.layer"), anatomy_of(model))
    assert [v.id for v in variants] == [
        "baseline",
        *(f"a/readout/each/decoder.layers.{i}" for i in range(N - 1)),
    ]
    replay = PrefixReplay(model, model)
    for n_images in (N, 2, N):
        images = torch.randn(n_images, 6, 8)
        with replay.on(images, variants) as one:
            for variant in one.order:
                found = one.run(variant)
                with ablated(model, variant):
                    torch.testing.assert_close(found, model(images), rtol=0, atol=0)


class Encoder(nn.Module):
    """A backbone and an encoder of attention layers, in lists as a decoder's are."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict(
            {
                "stages": nn.ModuleList(
                    nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(2)
                )
            }
        )
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)


@pytest.mark.parametrize("components", ["*", "encoder.layer", "backbone.stages.1"])
def test_layers_that_are_no_decoders_are_not_offered(components: str) -> None:
    with pytest.raises(
        PlanError, match=r"must select layers of a decoder to read out, got .*\.[01]: only a decoder's"
    ):
        plan(study(components), anatomy_of(Encoder()))


def test_only_the_decoders_layers_of_all_are_offered() -> None:
    model = nn.Transformer(8, 2, 2, 3, 16, batch_first=True)
    variants = plan(study("*"), anatomy_of(model))
    assert [v.readout() for v in variants[1:]] == ["decoder.layers.0", "decoder.layers.1"]
    with pytest.raises(PlanError, match=r"got encoder\.layers\.1: only a decoder's layers make predictions"):
        plan(study(["decoder.layer", "encoder.layers.1"]), anatomy_of(model))


def test_a_readout_needs_all_layers_behind() -> None:
    """Without the last layer among them, the second would have counted as the whole model."""
    anatomy = anatomy_of(nn.Transformer(8, 2, 1, 4, 16, batch_first=True))
    assert [v.readout() for v in plan(study("decoder.layers.[23]"), anatomy)[1:]] == ["decoder.layers.2"]
    for some in ("decoder.layers.[01]", "decoder.layers.[03]"):
        with pytest.raises(
            PlanError, match=r"must select all layers of 'decoder\.layers' from one on to the last"
        ):
            plan(study(some), anatomy)


def test_a_readout_is_of_one_pool() -> None:
    with pytest.raises(SpecError, match="'readout' reads one layer after the other"):
        study("decoder.layer", pool=False)
