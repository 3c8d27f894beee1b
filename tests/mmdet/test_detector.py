"""A live MMDetection model: predictions as MMDetection's own, ablations exact and undone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dissect_core import UnknownComponentError, head_masks, row_mask
from dissect_mmdet import (
    CheckpointFitError,
    ConfigError,
    DeviceError,
    ImageDetections,
    ImageError,
    MMDetDetector,
    build_model,
    load_config,
    open_mmdet,
)
from dissect_mmdet.demo import demo_files
from helpers import DemoData


def assert_same(first: list[ImageDetections], second: list[ImageDetections]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def differ(first: list[ImageDetections], second: list[ImageDetections]) -> bool:
    return any(not np.array_equal(a.boxes, b.boxes) for a, b in zip(first, second, strict=True))


def test_predictions_are_mmdetections_own(any_detector: MMDetDetector, demo_data: DemoData) -> None:
    from mmdet.apis import inference_detector

    for path, ours in zip(demo_data.paths, any_detector.predict(demo_data.paths), strict=True):
        theirs = inference_detector(any_detector.model, str(path)).pred_instances
        np.testing.assert_array_equal(ours.boxes, theirs.bboxes.numpy().astype(float))
        np.testing.assert_array_equal(ours.scores, theirs.scores.numpy().astype(float))
        np.testing.assert_array_equal(ours.labels, theirs.labels.numpy())


def test_detections_are_boxes_inside_the_image(any_detector: MMDetDetector, demo_data: DemoData) -> None:
    for found in any_detector.predict(demo_data.paths, batch_size=4):
        assert found.boxes.shape == (len(found.scores), 4)
        assert found.boxes.dtype == found.scores.dtype == np.float64
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [128, 96, 128, 96]).all()
        assert set(found.labels) <= set(range(6))


def test_batches_serve_more_than_once(detr: MMDetDetector, demo_data: DemoData) -> None:
    batches = list(detr.prepare(demo_data.paths, batch_size=4))
    assert [len(batch["inputs"]) for batch in batches] == [4, 2]
    assert_same(detr.predict_batches(batches), detr.predict_batches(batches))


def test_ablation_shows_and_is_undone(any_detector: MMDetDetector, demo_data: DemoData) -> None:
    batches = list(any_detector.prepare(demo_data.paths, batch_size=6))
    before = any_detector.predict_batches(batches)
    weights = {name: value.clone() for name, value in any_detector.model.state_dict().items()}
    for block, layout in any_detector.attention.items():
        with any_detector.ablated(head_masks(layout, range(layout.n_heads))) as report:
            assert report.changed > 0, block
            during = any_detector.predict_batches(batches)
        # The first self-attention of DETR's decoder sees nothing but the same queries in every image, and may
        # matter little; every other block must show.
        if not block.startswith("decoder.layers.0.self_attn"):
            assert differ(before, during), block
    for name, value in any_detector.model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert_same(before, any_detector.predict_batches(batches))


def test_ablation_is_undone_after_an_error(detr: MMDetDetector) -> None:
    weight = detr.model.query_embedding.weight
    before = weight.detach().clone()
    masks = {"query_embedding.weight": row_mask(weight.shape, [0, 1])}
    with pytest.raises(RuntimeError, match="on purpose"), detr.ablated(masks):
        assert not weight[:2].any()
        raise RuntimeError("on purpose")
    assert torch.equal(weight, before)


def test_removing_a_head_equals_zeroing_its_output(detr: MMDetDetector, demo_data: DemoData) -> None:
    """In the detector as a whole: zero columns of out_proj against a block computed head by head."""
    block = "encoder.layers.1.self_attn.attn"
    attention = detr.model.get_submodule(block)
    width = attention.embed_dim // attention.num_heads
    gone = [1, 4]
    batches = list(detr.prepare(demo_data.paths, batch_size=6))
    with detr.ablated(head_masks(detr.attention[block], gone)):
        by_weights = detr.predict_batches(batches)

    def by_hand(query, key, value, key_padding_mask=None, **_):  # type: ignore[no-untyped-def]
        tokens, n, dims = query.shape  # MMCV hands the tokens over first
        weight, bias = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        q, k, v = (
            (x @ w.T + b).view(-1, n, attention.num_heads, width).permute(1, 2, 0, 3)
            for x, w, b in zip((query, key, value), weight, bias, strict=True)
        )
        scores = q @ k.transpose(-1, -2) / width**0.5
        if key_padding_mask is not None:
            scores = scores.masked_fill(key_padding_mask[:, None, None], -torch.inf)
        heads = scores.softmax(-1) @ v
        heads[:, gone] = 0
        return attention.out_proj(heads.permute(2, 0, 1, 3).reshape(tokens, n, dims)), None

    original = attention.forward
    attention.forward = by_hand
    try:
        by_activations = detr.predict_batches(batches)
    finally:
        attention.forward = original
    for one, other in zip(by_weights, by_activations, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=2e-3)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


def test_heads_and_widths_come_from_the_live_model() -> None:
    config = load_config(demo_files("detr").config)
    config.model.encoder.layer_cfg.self_attn_cfg.num_heads = 4
    config.model.encoder.num_layers = 2
    from dissect_core.torch import attention_layouts

    layouts = attention_layouts(build_model(config))
    encoder = {name: layout.n_heads for name, layout in layouts.items() if name.startswith("encoder")}
    assert encoder == {"encoder.layers.0.self_attn.attn": 4, "encoder.layers.1.self_attn.attn": 4}


def test_unknown_component_names_near_ones(detr: MMDetDetector) -> None:
    with (
        pytest.raises(UnknownComponentError, match=r"'query_embedding\.weight'"),
        detr.ablated({"query_embeding.weight": np.ones((25, 128), dtype=bool)}),
    ):
        pass


def test_config_from_the_checkpoint_alone(detr: MMDetDetector, demo_data: DemoData) -> None:
    alone = open_mmdet(checkpoint=demo_files("detr").checkpoint)
    assert alone.class_names == detr.class_names
    assert_same(list(alone.predict(demo_data.paths[:1])), list(detr.predict(demo_data.paths[:1])))


def test_checkpoint_of_another_model_is_refused() -> None:
    message = (
        r"does not fit .*: \d+ of the model's 193 entries, [\d.]+ % of its parameters and buffers, are not in it; "
        r"missing from the checkpoint: \w+\..* and \d+ more"
    )
    with pytest.raises(CheckpointFitError, match=message):
        open_mmdet(config=demo_files("detr").config, checkpoint=demo_files("dino").checkpoint)


def test_checkpoint_of_another_width_is_refused(tmp_path: Path) -> None:
    text = demo_files("detr").config.read_text().replace("num_queries=25", "num_queries=30")
    base = (demo_files("detr").config.parent / "_scenes.py").as_posix()
    config = tmp_path / "wider.py"
    config.write_text(text.replace("./_scenes.py", base))
    with pytest.raises(
        CheckpointFitError, match=r"of another shape: query_embedding\.weight 25 × 128 there, 30 × 128 here"
    ):
        open_mmdet(config=config, checkpoint=demo_files("detr").checkpoint)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("model = dict(", "cannot be read"),
        ("x = 1", "has no `model`"),
        ("model = dict(type='NoSuchDetector')", "cannot be built.*NoSuchDetector"),
    ],
)
def test_bad_configs(content: str | None, message: str, tmp_path: Path) -> None:
    config = tmp_path / "config.py"
    if content is not None:
        config.write_text(content)
    with pytest.raises(ConfigError, match=message):
        open_mmdet(config=config, checkpoint=demo_files("detr").checkpoint)


def test_bad_images(detr: MMDetDetector, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n not really")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    for path, message in ((tmp_path / "no.png", "no such file"), (broken, "damaged"), (empty, "0 bytes")):
        with pytest.raises(ImageError, match=rf"{path.name}.*{message}"):
            list(detr.predict([path]))


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta:x"])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(DeviceError, match=f"device '{device}' cannot be used here"):
        open_mmdet(checkpoint=demo_files("detr").checkpoint, device=device)


def test_it_is_called_by_its_model_and_its_weights(detr: MMDetDetector) -> None:
    assert detr.title == "DETR of detr.pth"
