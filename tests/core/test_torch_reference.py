"""What is put in the place of activations, against results by hand."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

from dissect_core import (  # noqa: E402
    ActivationSite,
    InterventionError,
    MeanActivation,
    NoiseActivation,
    ResampleActivation,
    ZeroActivation,
    head_masks,
)
from dissect_core.torch import (  # noqa: E402
    ablated,
    attention_layouts,
    gather_reference,
    intervened,
)

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
DOUBLE = {"dtype": torch.float64}


def run(model: Any, batch: Any) -> Any:
    return model(batch)


def shaken(model: Any) -> Any:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model.double().eval()


@pytest.mark.parametrize("batch_first", [True, False])
def test_the_mean_of_a_head_is_the_bias_formula(batch_first: bool) -> None:
    """W_o[:, h] · μ in the bias, and zeros in the columns: one constant for all positions and images."""
    torch.manual_seed(0)
    block = shaken(nn.MultiheadAttention(8, 4, batch_first=batch_first))
    images = [torch.randn(2, 5, 8, **DOUBLE), torch.randn(2, 7, 8, **DOUBLE)]
    site = ActivationSite("", "head", (1, 3))
    call = lambda model, x: model(x, x, x)[0]  # noqa: E731
    reference = gather_reference(block, images, call, [site])
    mean = reference.at(site)[0].mean
    columns = torch.tensor([2, 3, 6, 7])
    with torch.no_grad():
        with ablated(block, head_masks(attention_layouts(block)[""], [1, 3])):
            expected = call(block, images[0])
        expected = expected + block.out_proj.weight[:, columns] @ mean[columns]
        with intervened(block, site, MeanActivation(), reference):
            torch.testing.assert_close(call(block, images[0]), expected, **CLOSE)


@pytest.mark.parametrize("batch_first", [True, False])
def test_means_and_resampling_by_hand(batch_first: bool) -> None:
    torch.manual_seed(0)
    layer = shaken(nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first))
    axis = 0 if batch_first else 1
    images = torch.randn(4, 5, 8, **DOUBLE)
    batches = (
        [images[:3], images[3:]] if batch_first else [images[:3].transpose(0, 1), images[3:].transpose(0, 1)]
    )
    test = torch.randn(2, 5, 8, **DOUBLE) if batch_first else torch.randn(5, 2, 8, **DOUBLE)
    site = ActivationSite("linear2", "neuron", (0, 7))
    reference = gather_reference(layer, batches, run, [site])
    assert reference.n_images == 4

    seen: list[Any] = []
    handle = layer.linear2.register_forward_hook(lambda _, args, out: seen.append(args[0]))
    with torch.no_grad():
        for batch in batches:
            layer(batch)
        hidden = torch.cat(seen, dim=axis)

        def inside(intervention: Any, **stream: Any) -> Any:
            with intervened(layer, site, intervention, reference, **stream):
                layer(test)
            return seen[-1]

        for donor_excluded in ((), (0, 1, 3)):
            new = inside(ResampleActivation(), variant="v", exclude=donor_excluded)
            match = [
                i
                for i in range(4)
                if all(
                    torch.allclose(
                        new.select(axis, j)[:, [0, 7]], hidden.select(axis, i)[:, [0, 7]], rtol=1e-9
                    )
                    for j in (0, 1)
                )
            ]
            assert len(match) == 1
            assert not donor_excluded or match == [2]
        new = inside(MeanActivation(over="position"))
        torch.testing.assert_close(
            new[..., 7], hidden.mean(axis, keepdim=True)[..., 7].expand(new.shape[:-1]), **CLOSE
        )
        new = inside(MeanActivation(over="global"))
        torch.testing.assert_close(new[..., 0], hidden[..., 0].mean().expand(new.shape[:-1]), **CLOSE)
        layer(test)
        torch.testing.assert_close(new[..., 1:7], seen[-1][..., 1:7], **CLOSE)
        noise = inside(NoiseActivation(), variant="v")
        assert noise.select(axis, 0)[:, 0].equal(noise.select(axis, 1)[:, 0])  # the same for every image
        assert noise.equal(inside(NoiseActivation(), variant="v"))
        assert not noise.equal(inside(NoiseActivation(), variant="w"))
        assert not noise.equal(inside(NoiseActivation(), variant="v", seed=1))
    handle.remove()


def test_noise_has_the_statistics_of_the_reference() -> None:
    model = nn.Sequential(nn.Identity(), nn.Linear(2, 2, bias=False)).double()
    batch = torch.randn(1, 4000, 2, **DOUBLE) * torch.tensor([1.0, 3.0], **DOUBLE) + 5
    site = ActivationSite("0", "component")
    reference = gather_reference(model, [batch], run, [site])
    seen: list[Any] = []
    with intervened(model, site, NoiseActivation(), reference), torch.no_grad():
        model[1].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        model(batch)
    torch.testing.assert_close(seen[0].mean((0, 1)), torch.tensor([5.0, 5.0], **DOUBLE), rtol=0.05, atol=0)
    torch.testing.assert_close(seen[0].std((0, 1)), torch.tensor([1.0, 3.0], **DOUBLE), rtol=0.05, atol=0)


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Embedding(3, 4)
        self.layer = nn.TransformerDecoderLayer(4, 2, 8, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, memory: Any) -> Any:
        queries = self.query(torch.arange(3)).expand(len(memory), -1, -1)
        first = self.layer(queries, memory)
        second = self.layer(tgt=first, memory=memory)
        return self.head(first), self.head(second)


def test_queries_and_places_met_several_times() -> None:
    torch.manual_seed(0)
    model, memory = shaken(Decoder()), torch.randn(2, 5, 4, **DOUBLE)
    embedding, stream = ActivationSite("query", "query", (1,)), ActivationSite("layer", "query", (2,))
    with intervened(model, embedding, ZeroActivation()) as report, torch.no_grad():
        output = model(memory)
    with torch.no_grad():
        saved = model.query.weight[1].clone()
        model.query.weight[1] = 0
        torch.testing.assert_close(output, model(memory), **CLOSE)
        model.query.weight[1] = saved
    assert report.masked == 4

    seen: list[Any] = []
    with intervened(model, stream, ZeroActivation()) as report:
        handle = model.layer.self_attn.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        model(memory)
    handle.remove()
    assert [not x[:, 2].any() and bool(x[:, :2].all()) for x in seen] == [True, True]
    assert report.sites[0].fired == 2
    with intervened(
        model, ActivationSite("layer", "query", None, argument="memory"), ZeroActivation()
    ) as report:
        model(memory)
    assert report.masked == 2 * memory.numel()

    site = ActivationSite("head", "component")
    reference = gather_reference(model, [memory], run, [site])
    with intervened(model, site, ResampleActivation(), reference, exclude=[1]), torch.no_grad():
        new = [model(memory) for _ in range(2)]
    with torch.no_grad():
        expected = [x[:1].expand(2, -1, -1) for x in model(memory)]
    for output in new:
        for got, want in zip(output, expected, strict=True):
            torch.testing.assert_close(got, want, **CLOSE)
    with (
        pytest.raises(InterventionError, match=r"given were: memory"),
        intervened(model, ActivationSite("", "query", None, argument="query_pos"), ZeroActivation()),
    ):
        model(memory)


def test_gradients_flow_around_what_was_replaced() -> None:
    block, image = shaken(nn.MultiheadAttention(8, 2, batch_first=True)), torch.randn(1, 3, 8, **DOUBLE)
    with torch.inference_mode():
        reference = gather_reference(
            block, [image], lambda model, x: model(x, x, x), [ActivationSite("", "head")]
        )
    with intervened(block, ActivationSite("", "head", (0,)), MeanActivation(over="position"), reference):
        block(image, image, image)[0].sum().backward()
    value_rows = block.in_proj_weight.grad[16:]
    assert not value_rows[:4].any()
    assert value_rows[4:].any()
    assert block.out_proj.weight.grad.any()


def test_a_nan_that_stays_is_no_change() -> None:
    model = nn.Sequential(nn.Identity())
    batch = torch.tensor([[[np.nan, 1.0]]])
    reference = gather_reference(model, [batch], run, [ActivationSite("0", "component")])
    with intervened(model, ActivationSite("0", "component"), MeanActivation(), reference) as report:
        model(batch)
    assert report.masked == 2
    assert report.is_no_op
