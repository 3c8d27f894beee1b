"""MMDetection models at a prompt: images of any kind, units by name, and what a model says it is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dissect_core import Mean, head_masks
from dissect_core.detectors import ImageDetections, bundled_data, open_detector
from dissect_core.errors import UnitError, UnknownComponentError
from dissect_core.plan import plan
from dissect_core.spec import load_spec
from dissect_mmdet import ImageError, MMDetDetector
from helpers import DemoData


def same(found: list[ImageDetections], expected: list[ImageDetections]) -> bool:
    return all(
        a.tobytes() == b.tobytes()
        for one, other in zip(found, expected, strict=True)
        for a, b in zip(one.arrays.values(), other.arrays.values(), strict=True)
    )


def test_arrays_and_pillow_images_give_what_their_file_gives(
    any_detector: MMDetDetector, demo_data: DemoData
) -> None:
    paths = demo_data.paths[:3]
    expected = any_detector.predict(paths, batch_size=2)
    pixels = [cv2.imread(str(path))[..., ::-1] for path in paths]  # BGR, turned into a view in RGB
    assert same(any_detector.predict(pixels, batch_size=2), expected)
    assert same(any_detector.predict([Image.open(path) for path in paths], batch_size=2), expected)
    assert same([any_detector.predict(pixels[0])], [any_detector.predict(paths[0])])


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_grey_and_palette_files_are_read_alike(
    detr: MMDetDetector, demo_data: DemoData, tmp_path: Path, mode: str
) -> None:
    with Image.open(demo_data.paths[0]) as colour:
        image = colour.quantize(64) if mode == "P" else colour.convert(mode)
    image.save(tmp_path / "image.png")
    assert same([detr.predict(image)], [detr.predict(tmp_path / "image.png")])


def test_an_upright_photograph_is_what_exif_transpose_makes_of_it(
    detr: MMDetDetector, demo_data: DemoData, tmp_path: Path
) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(demo_data.paths[0]) as image:
        image.save(tmp_path / "turned.png", exif=exif.tobytes())
    with Image.open(tmp_path / "turned.png") as image:
        upright = ImageOps.exif_transpose(image)
    assert same([detr.predict(upright)], [detr.predict(tmp_path / "turned.png")])


def test_an_image_at_which_the_model_stops_is_named_by_its_number(
    detr: MMDetDetector, demo_data: DemoData, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = detr.predict_batch

    def stops(batch: dict[str, object]) -> list[ImageDetections]:
        if any("images[1]" in path for path in batch["paths"]):  # type: ignore[attr-defined]
            raise RuntimeError("too odd")
        return whole(batch)

    monkeypatch.setattr(detr, "predict_batch", stops)
    pixels = [cv2.imread(str(path)) for path in demo_data.paths[:3]]
    with pytest.raises(ImageError, match=r"images\[1\]\.png: the model stops there: RuntimeError: too odd"):
        detr.predict(pixels, batch_size=3)


HEADS = "encoder.layers.0.self_attn.attn"


def test_heads_by_name_are_those_of_masks_and_of_a_plan(detr: MMDetDetector, demo_data: DemoData) -> None:
    paths = demo_data.paths[:2]
    with detr.ablated(head_masks(detr.attention[HEADS], [3])) as by_masks:
        expected = detr.predict(paths)
    with detr.ablated(heads={HEADS: [3]}) as report:
        found = detr.predict(paths)
    assert (report.masked, report.changed) == (by_masks.masked, by_masks.changed)
    assert same(found, expected)
    ablation = {
        "name": "heads",
        "target": {"unit": "head", "components": HEADS},
        "select": {"by": "each"},
    }
    variants = plan(load_spec({"name": "s", "ablations": [ablation]}), detr.anatomy)
    with detr.ablated(variants[4]):
        assert same(detr.predict(paths), expected)
    assert not same(detr.predict(paths), expected)


def test_every_kind_of_unit_can_be_named(detr: MMDetDetector, demo_data: DemoData) -> None:
    intact = detr.predict(demo_data.paths[:2])
    for named in (
        {"neurons": {"encoder.layers.0.ffn": range(8)}},
        {"channels": {"backbone.layer1.0.conv1": [0, 1, 2, 3]}},
        {"queries": {"query_embedding": list(range(20))}},
        {"layers": ["decoder.layers.0"]},
        {"layers": "encoder.layer"},
        {"components": "decoder.layers.1.cross_attn.attn.in_proj_weight"},
        {"heads": {HEADS: [0]}, "neurons": {"encoder.layers.0.ffn": 3}, "layers": ["decoder.layers.1"]},
    ):
        with detr.ablated(**named) as report:
            found = detr.predict(demo_data.paths[:2])
        assert report.masked, named
        assert not report.is_no_op, named
        assert not same(found, intact), named
    assert same(detr.predict(demo_data.paths[:2]), intact)


def test_masks_take_an_intervention_too(detr: MMDetDetector) -> None:
    masks = {"query_embedding.weight": np.ones((25, 128), dtype=bool)}
    for mean in ("mean", {"kind": "mean"}, Mean()):
        with detr.ablated(masks, intervention=mean):
            assert len(detr.model.get_parameter("query_embedding.weight").unique()) == 1
    with detr.ablated(components="query_embedding.weight", intervention="mean"):
        assert len(detr.model.get_parameter("query_embedding.weight").unique()) == 1


def test_what_is_not_there_is_named(detr: MMDetDetector) -> None:
    n_heads = detr.attention[HEADS].n_heads
    with pytest.raises(UnitError, match=rf"`heads` of '{HEADS}' must be 0 to {n_heads - 1}, got {n_heads}\."):
        detr.ablated(heads={HEADS: [n_heads]})
    with pytest.raises(UnknownComponentError, match=rf"Near matches: '{HEADS}'"):
        detr.ablated(heads={"encoder.layers.0.self_atn.attn": [0]})
    with pytest.raises(UnknownComponentError, match=r"Near matches: 'query_embedding\.weight'"):
        detr.ablated(components="query_embeding.weight")
    with pytest.raises(UnknownComponentError, match=r"Near matches: .*'encoder\.layers\.0'"):
        detr.ablated(layers=["encodr.layers.0"])


def test_it_says_what_it_is() -> None:
    detector = open_detector("demo:deformable_detr")
    parameters = sum(parameter.numel() for parameter in detector.model.parameters())  # type: ignore[attr-defined]
    assert repr(detector) == (
        "<mmdet detector DeformableDETR: 6 classes (circle, square, triangle, star, ring, cross), "
        f"{parameters:,} parameters, on cpu, weights of deformable_detr.pth>"
    )


def test_bundled_scenes_are_detected(
    detr: MMDetDetector, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEP_DISSECT_CACHE", str(tmp_path_factory.mktemp("caches")))
    _, images = bundled_data("demo:scenes")
    found = detr.predict(sorted(images.glob("*.png"))[:4])
    assert sum((one.scores > 0.5).sum() for one in found) >= 4
