"""The base class of detectors: images of any kind, one or many, ablation by names, and what it says it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dissect_core import Mean
from dissect_core.detectors import BaseDetector, Detector, ImageDetections, check_detector
from dissect_core.errors import (
    DissectError,
    ImageTypeError,
    InterventionError,
    PlanError,
    SelectionError,
    SpecError,
    UnitError,
    UnknownComponentError,
)
from dissect_core.plan import plan
from dissect_core.spec import load_spec
from toy_detector import HEIGHT, WIDTH, QueryDetector, ToyDetector, read_ppm, write_scenes


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [scene.path for scene in write_scenes(tmp_path_factory.mktemp("scenes"), 3)]


@pytest.fixture
def toy() -> ToyDetector:
    return ToyDetector()


def same(found: ImageDetections, expected: ImageDetections) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(found[:3], expected[:3], strict=True))


def test_a_subclass_is_a_detector_that_conforms(toy: ToyDetector, paths: list[Path]) -> None:
    assert isinstance(toy, Detector)
    assert check_detector(toy, paths).ok
    with pytest.raises(TypeError, match="abstract"):
        BaseDetector()  # type: ignore[abstract]


def test_one_image_gives_one_and_many_give_a_list(toy: ToyDetector, paths: list[Path]) -> None:
    one = toy.predict(paths[0])
    assert isinstance(one, ImageDetections)
    assert len(one.boxes)
    assert same(toy.predict(str(paths[0])), one)
    many = toy.predict(paths, batch_size=2)
    assert isinstance(many, list)
    assert [same(a, b) for a, b in zip(many, map(toy.predict, paths), strict=True)] == [True] * 3
    assert toy.predict([]) == []
    assert len(toy.predict(path for path in paths)) == 3


def test_arrays_and_pillow_images_give_what_their_file_gives(toy: ToyDetector, paths: list[Path]) -> None:
    pixels = [read_ppm(path) for path in paths]
    expected = toy.predict(paths)
    mixed = [pixels[0], Image.fromarray(pixels[1]), paths[2]]
    for images in (pixels, np.stack(pixels), mixed):
        found = toy.predict(images, batch_size=2)
        assert [same(a, b) for a, b in zip(found, expected, strict=True)] == [True] * 3
    assert same(toy.predict(pixels[0]), expected[0])
    assert same(toy.predict(Image.open(paths[1])), expected[1])
    strided = np.ascontiguousarray(pixels[0][:, ::-1])[:, ::-1]
    assert same(toy.predict(strided), expected[0])


def test_images_are_taken_one_batch_after_the_other(toy: ToyDetector, paths: list[Path]) -> None:
    taken: list[Path] = []

    def each() -> Any:
        for path in paths:
            taken.append(path)
            yield path

    found = toy.predict_each(each(), batch_size=2)
    next(found)
    assert taken == paths[:2]


GREY = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            np.zeros((8, 8, 3)),
            r"images\[0\] must be an array of uint8, got float64\. .* `\(image \* 255\)\.round\(\)",
        ),
        (np.zeros((8, 8, 3), dtype=np.int64), r"got int64\. Make it by `image\.astype\(np\.uint8\)`"),
        (np.zeros((8, 8, 3), dtype=bool), r"must be an array of uint8, got bool"),
        (
            GREY,
            r"shape \(height, width, 3\) in RGB, got \(64, 96\)\. .* `np\.stack\(\[image\] \* 3, axis=-1\)`",
        ),
        (GREY[..., None], r"`np\.repeat\(image, 3, axis=-1\)`"),
        (
            np.zeros((8, 8, 4), dtype=np.uint8),
            r"got \(8, 8, 4\)\. Leave the alpha channel out: `image\[\.\.\., :3\]`",
        ),
        (np.zeros((3, 8, 8), dtype=np.uint8), r"Put the channels last: `image\.transpose\(1, 2, 0\)`"),
        (np.zeros((0, 8, 3), dtype=np.uint8), r"got \(0, 8, 3\)"),
        (np.zeros(3, dtype=np.uint8), r"got \(3,\)\. Several images are given as a list"),
        (object(), r"must be a path, an array of uint8 .* or a Pillow image, got builtins\.object"),
        (None, r"got builtins\.NoneType"),
        (
            Image.new("RGBA", (8, 8)),
            r"of mode 'RGBA', .* `image\.convert\('RGB'\)`, which leaves transparency out",
        ),
        (Image.new("LA", (8, 8)), r"of mode 'LA'"),
        (Image.new("CMYK", (8, 8)), r"of mode 'CMYK'"),
        (Image.new("F", (8, 8)), r"of mode 'F'"),
        (Image.new("I;16", (8, 8)), r"of mode 'I;16'"),
    ],
)
def test_other_images_are_refused_with_the_remedy(toy: ToyDetector, image: Any, message: str) -> None:
    with pytest.raises(ImageTypeError, match=message):
        toy.predict([image])
    assert issubclass(ImageTypeError, (DissectError, TypeError))


def test_an_image_to_be_turned_or_seen_through_is_refused(
    toy: ToyDetector, paths: list[Path], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(read_ppm(paths[0])).save(tmp_path / "turned.png", exif=exif.tobytes())
    with (
        Image.open(tmp_path / "turned.png") as turned,
        pytest.raises(
            ImageTypeError, match=r"images\[1\] .* EXIF orientation, 6, .* `PIL\.ImageOps\.exif_transpose"
        ),
    ):
        toy.predict([paths[0], turned])
    palette = Image.fromarray(read_ppm(paths[0])).quantize(16)
    palette.info["transparency"] = 3
    with pytest.raises(ImageTypeError, match="is a Pillow image that is transparent"):
        toy.predict(palette)


@pytest.mark.parametrize("convert", [lambda image: image.convert("L"), lambda image: image.quantize(64)])
def test_grey_and_palette_images_are_what_they_show(
    toy: ToyDetector, paths: list[Path], convert: Callable[[Any], Any]
) -> None:
    image = convert(Image.open(paths[0]))
    assert same(toy.predict(image), toy.predict(np.asarray(image.convert("RGB"))))


def test_a_damaged_pillow_image_is_named(toy: ToyDetector, paths: list[Path], tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    Image.open(paths[0]).save(whole)
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with (
        Image.open(tmp_path / "half.png") as image,
        pytest.raises(ImageTypeError, match=r"images\[0\] cannot be decoded: "),
    ):
        toy.predict(image)


def test_units_by_name_are_those_of_a_plan(toy: ToyDetector, paths: list[Path]) -> None:
    ablation = {
        "name": "a",
        "target": {"unit": "channel", "components": "features"},
        "select": {"by": "indices", "indices": [0, 3]},
    }
    planned = plan(load_spec({"name": "s", "ablations": [ablation]}), toy.anatomy)[1]
    with toy.ablated(planned) as expected:
        there = toy.predict(paths)
    intact = toy.predict(paths)
    for units in ([0, 3], (3, 0), np.array([0, 3]), {0, 3}):
        with toy.ablated(channels={"features": units}) as report:  # type: ignore[dict-item]
            found = toy.predict(paths)
        assert (report.masked, report.changed) == (expected.masked, expected.changed)
        assert all(same(a, b) for a, b in zip(found, there, strict=True))
    assert not all(same(a, b) for a, b in zip(intact, there, strict=True))
    assert all(same(a, b) for a, b in zip(intact, toy.predict(paths), strict=True))


def test_names_alone_mean_all_units_and_several_kinds_go_together(toy: ToyDetector) -> None:
    with toy.ablated(channels="features") as whole, toy.ablated(channels=["features"]) as none_left:
        assert whole.masked == none_left.masked == 6 * 3 + 6
        assert none_left.is_no_op
    with toy.ablated(channels={"backbone": 0}, components=["smooth.weight", "classifier.*"]) as report:
        assert report.masked == 4 + 9 + 24 + 4
        assert 0 < report.changed < report.masked  # some values are zero already
        assert not report.is_no_op
        assert not toy.arrays["smooth.weight"].any()
    assert toy.arrays["smooth.weight"].all()


def test_what_takes_the_place_may_be_said(toy: ToyDetector) -> None:
    weights = toy.arrays["smooth.weight"]
    with toy.ablated(components="smooth.weight", intervention={"kind": "scale", "factor": 0.5}):
        np.testing.assert_array_equal(toy.arrays["smooth.weight"], weights / 2)
    with toy.ablated(components="classifier.weight", intervention=Mean()):
        assert len(np.unique(toy.arrays["classifier.weight"])) == 1
    with pytest.raises(SpecError, match="`intervention` must be one of"):
        toy.ablated(components="smooth.weight", intervention="zebra")


@pytest.mark.parametrize(
    ("named", "error", "message"),
    [
        (
            {"channels": {"featurs": [0]}},
            UnknownComponentError,
            r"matches 'featurs'\. Near matches: 'features'",
        ),
        ({"components": "clasifier.weight"}, UnknownComponentError, "Near matches: 'classifier.weight'"),
        ({"channels": {"features": [6]}}, UnitError, r"`channels` of 'features' must be 0 to 5, got 6\."),
        ({"channels": {"features": -1}}, UnitError, r"must be 0 to 5, got -1\."),
        ({"channels": {"features": []}}, SelectionError, "`channels` must name one unit at least"),
        (
            {"channels": {"features": 1.5}},
            SelectionError,
            "of 'features' must be whole numbers from 0, got 1.5",
        ),
        ({"channels": {"features": "all"}}, SelectionError, "must be whole numbers from 0, got 'all'"),
        ({"channels": 3}, SelectionError, r"must be given as in channels=\{\"name\": \[0, 3\]\} for some"),
        ({"channels": []}, SelectionError, "must be given as in"),
        ({"components": {"smooth.weight": 0}}, SelectionError, r"must be given as in components="),
        ({}, SelectionError, r"either a variant or masks, or units by name \(heads, .* got neither"),
    ],
)
def test_what_is_not_there_is_refused(
    toy: ToyDetector, named: dict[str, Any], error: type[Exception], message: str
) -> None:
    before = dict(toy.arrays)
    with pytest.raises(error, match=message):
        toy.ablated(**named)
    assert toy.arrays == before


def test_a_variant_brings_all_it_needs(toy: ToyDetector) -> None:
    ablation = {"name": "a", "target": {"unit": "component", "components": "*"}, "select": {"by": "each"}}
    variant = plan(load_spec({"name": "s", "ablations": [ablation]}), toy.anatomy)[1]
    with pytest.raises(SelectionError, match="got both"):
        toy.ablated(variant, components="smooth.weight")
    with pytest.raises(SelectionError, match="brings its own intervention"):
        toy.ablated(variant, intervention="mean")
    masks = {"smooth.weight": np.ones((3, 3), dtype=bool)}
    with pytest.raises(
        PlanError, match=r"ToyDetector takes no masks, got some of smooth\.weight: name units"
    ):
        toy.ablated(masks)
    with pytest.raises(InterventionError, match=re.escape("leave `space` out").replace("leave", "Leave")):
        toy.ablated(masks, intervention={"space": "activation", "kind": "zero"})


def test_it_says_what_it_is(toy: ToyDetector) -> None:
    n_parameters = sum(array.size for array in toy.arrays.values())
    assert repr(toy) == f"<toy detector ToyDetector: 3 classes (red, green, blue), {n_parameters} parameters>"

    class Placed(QueryDetector):
        adapter = ""
        class_names = tuple(f"class {i}" for i in range(80))
        device = "cuda:1"
        checkpoint = "toy.npz"

    said = repr(Placed())
    assert said.startswith("<detector Placed: 80 classes (class 0, class 1, class 2, …, class 79), ")
    assert said.endswith(" parameters, on cuda:1, weights of toy.npz>")
