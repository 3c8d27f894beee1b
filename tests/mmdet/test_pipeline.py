"""Images as the config reads them: tensors and meta information against MMDetection's own pipeline."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from PIL import Image

from dissect_core import BadImageError
from dissect_core.engine import Listener, run
from dissect_core.progress import no_bar
from dissect_core.spec import load_spec
from dissect_core.store import ImageRef
from dissect_eval import GroundTruth
from dissect_eval.study import read_pixels
from dissect_mmdet import ConfigError, ImageError, MMDetDetector
from dissect_mmdet.detector import TestPipeline
from mmdet_loaders import LoadAnnotations, LoadImageFromFile, LoadMoreAnnotations, PackDetInputs, Resize


def drawn(height: int, width: int, channels: int = 3) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng([height, width, channels])
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


def turned(orientation: int) -> Callable[[Path], object]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return lambda path: Image.fromarray(drawn(40, 60)).save(path, exif=exif.tobytes(), quality=95)


IMAGES: dict[str, Callable[[Path], object]] = {
    "colour.png": lambda path: Image.fromarray(drawn(40, 60)).save(path),
    "turned-3.jpg": turned(3),
    "turned-6.jpg": turned(6),
    "mirrored-5.jpg": turned(5),
    "ten-bit.png": lambda path: cv2.imwrite(str(path), drawn(40, 60).astype(np.uint16) * 4),
    "sixteen-bit-grey.png": lambda path: cv2.imwrite(str(path), drawn(40, 60, 1).astype(np.uint16) * 256),
    "cmyk.jpg": lambda path: Image.fromarray(drawn(40, 60, 4), "CMYK").save(path),
    "grey.jpg": lambda path: Image.fromarray(drawn(40, 60, 1)).save(path),
    "palette.png": lambda path: Image.fromarray(drawn(40, 60)).quantize(16).save(path),
    "see-through.png": lambda path: Image.fromarray(drawn(40, 60, 4)).save(path),
    "one-pixel.png": lambda path: Image.fromarray(drawn(1, 1).reshape(1, 1, 3)).save(path),
    "elongated.png": lambda path: Image.fromarray(drawn(3, 90)).save(path),
    "line.png": lambda path: Image.fromarray(drawn(1, 3000).reshape(1, 3000, 3)).save(path),
    "plain.bmp": lambda path: Image.fromarray(drawn(40, 60)).save(path),
    "plain.tif": lambda path: Image.fromarray(drawn(40, 60)).save(path),
    "plain.webp": lambda path: Image.fromarray(drawn(40, 60)).save(path),
    "moving.gif": lambda path: Image.fromarray(drawn(40, 60)).save(path),
    "damaged.jpg": lambda path: path.write_bytes(b"\xff\xd8 no more"),
    "empty.png": lambda path: path.touch(),
}
FILE = {"type": "LoadImageFromFile"}
LOADERS: dict[str, dict[str, Any]] = {
    "as bundled": FILE,
    "mmcv's name": {"type": "mmcv.LoadImageFromFile"},
    "mmdet's name": {"type": "mmdet.LoadImageFromFile", "backend_args": None},
    "the class": {"type": LoadImageFromFile, "backend_args": {"backend": "local"}},
    "not turned": {**FILE, "color_type": "color_ignore_orientation"},
    "unchanged": {**FILE, "color_type": "unchanged", "to_float32": True},
    "grey": {**FILE, "color_type": "grayscale"},
    "pillow": {**FILE, "imdecode_backend": "pillow"},
    "pillow, unchanged": {**FILE, "imdecode_backend": "pillow", "color_type": "unchanged"},
    "pillow, not turned": {**FILE, "imdecode_backend": "pillow", "color_type": "color_ignore_orientation"},
    "empty ones ignored": {**FILE, "ignore_empty": True},
    "registered subclass": {"type": "LoadImageTwiceAsBright", "to_float32": True},
    "another kind": {"type": "LoadNothingLikeIt"},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    for name, write in IMAGES.items():
        write(folder / name)
    return folder


def with_steps(detector: MMDetDetector, change: Callable[[list[Any]], object]) -> MMDetDetector:
    """The detector with another test pipeline."""
    one = copy.copy(detector)
    one._pipeline, one.config = None, copy.deepcopy(detector.config)
    change(one.config.test_dataloader.dataset.pipeline)
    return one


def with_loader(detector: MMDetDetector, loader: dict[str, Any]) -> MMDetDetector:
    return with_steps(detector, lambda steps: steps.__setitem__(0, loader))


@pytest.mark.parametrize("loader", LOADERS)
def test_tensors_and_meta_information_are_mmdetections(
    detr: MMDetDetector, images: Path, loader: str
) -> None:
    one = with_loader(detr, LOADERS[loader])
    steps = [
        step for step in one.config.test_dataloader.dataset.pipeline if step["type"] != "LoadAnnotations"
    ]
    if loader == "mmdet's name":  # known here alone
        steps[0] = {**steps[0], "type": "mmcv.LoadImageFromFile"}
    theirs, pipeline = Compose(copy.deepcopy(steps)), TestPipeline(one.config)
    n_read = 0
    for name in IMAGES:
        path = images / name
        try:
            expected = theirs({"img_path": str(path), "img_id": 0})
        except Exception:
            expected = None
        if expected is None:
            with pytest.raises(ImageError, match=name):
                pipeline(path, 0)
            continue
        given = pipeline(path, 0)
        assert given["inputs"].dtype == expected["inputs"].dtype, name
        assert torch.equal(given["inputs"], expected["inputs"]), name
        got, wanted = given["data_samples"].metainfo, expected["data_samples"].metainfo
        assert got.keys() == wanted.keys(), name
        assert all(np.array_equal(got[key], wanted[key]) for key in wanted), name
        height, width = wanted["ori_shape"]
        assert one.image_sizes({"data_samples": [given["data_samples"]]}) == [(width, height)]
        n_read += 1
    assert n_read >= 14


def test_a_model_that_takes_no_such_image_names_it(detr: MMDetDetector, images: Path) -> None:
    """The preprocessor of a model of colours finds one channel in grey."""
    one = with_loader(detr, LOADERS["unchanged"])
    pair = [images / "colour.png", images / "grey.jpg"]
    message = r"^image \S*grey.jpg: the model's preprocessor stops there: IndexError: "
    for paths, size in ((pair, 2), (pair[1:], 1)):
        with pytest.raises(ImageError, match=message) as error:
            list(one.predict(paths, batch_size=size))
        assert "\n" not in str(error.value)

    def stops_at_grey(batch: Any) -> Any:
        if any("colour" not in path for path in batch["paths"]):
            raise IndexError("too grey")
        return detr.predict_batch(batch)

    other = copy.copy(detr)
    other.predict_batch = stops_at_grey  # type: ignore[method-assign]
    with pytest.raises(ImageError, match=r"^image \S*grey.jpg: the model stops there: IndexError: too grey"):
        list(other.predict([images / "colour.png", images / "grey.jpg"], batch_size=2))


@pytest.mark.parametrize("loader", ["as bundled", "not turned", "pillow", "another kind"])
def test_a_picture_lies_as_the_loader_reads_it(detr: MMDetDetector, images: Path, loader: str) -> None:
    pipeline = TestPipeline(with_loader(detr, LOADERS[loader]).config)
    is_turned = pipeline.read(images / "turned-6.jpg").shape[:2] == (60, 40)
    assert pipeline.turns_by_exif is is_turned is (loader in ("as bundled", "pillow"))


ANNOTATIONS: dict[str, Any] = {
    "by name": {"type": "LoadAnnotations", "with_bbox": True},
    "mmdet's name": {"type": "mmdet.LoadAnnotations", "with_bbox": True, "with_mask": True},
    "mmcv's": {"type": "mmcv.LoadAnnotations", "with_seg": True},
    "panoptic": {"type": "LoadPanopticAnnotations", "backend_args": None},
    "empty": {"type": "LoadEmptyAnnotations"},
    "the class": {"type": LoadAnnotations},
    "a subclass, as an object": LoadMoreAnnotations(with_bbox=True),
    "in a composition": {
        "type": "Compose",
        "transforms": [{"type": "LoadAnnotations"}, {"type": "Resize", "scale": (96, 64)}],
    },
}


@pytest.mark.parametrize("step", ANNOTATIONS)
def test_steps_that_load_annotations_are_left_out_by_kind(
    detr: MMDetDetector, images: Path, step: str
) -> None:
    def change(steps: list[Any]) -> None:
        steps[:] = [each for each in steps if each["type"] != "LoadAnnotations"]
        if step == "in a composition":
            steps[1] = ANNOTATIONS[step]
        else:
            steps.insert(2, ANNOTATIONS[step])

    path = images / "colour.png"
    (got,) = with_steps(detr, change).prepare([path])
    plain = Compose([LoadImageFromFile(), Resize(**_scale(detr, step)), PackDetInputs()])
    assert torch.equal(got["inputs"][0], plain({"img_path": str(path), "img_id": 0})["inputs"])
    assert "bboxes" not in got["data_samples"][0].gt_instances


def _scale(detector: MMDetDetector, step: str) -> dict[str, Any]:
    if step == "in a composition":
        return {"scale": (96, 64)}
    (resize,) = (s for s in detector.config.test_dataloader.dataset.pipeline if s["type"] == "Resize")
    return {key: value for key, value in resize.items() if key != "type"}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"type": "LoadImageFromNDArray"}], "images in memory .LoadImageFromNDArray."),
        ([{"type": "LoadMultiChannelImageFromFiles"}], "a list of files for each image"),
        ([FILE, {"type": "LoadProposals"}], "proposals of another model"),
        (
            [FILE, {"type": "NoSuchStep"}],
            "the step NoSuchStep of the config's test pipeline cannot be made",
        ),
        ([{**FILE, "colour": 1}], "the step LoadImageFromFile .*colour"),
        ([FILE], "must end with PackDetInputs"),
        ([None], "a step of the config's test pipeline must be a dict with a `type`, got None"),
    ],
)
def test_pipelines_that_no_study_can_run_are_refused(
    detr: MMDetDetector, images: Path, steps: list[Any], message: str
) -> None:
    def change(pipeline: list[Any]) -> None:
        pipeline[:] = steps

    with pytest.raises(ConfigError, match=message):
        next(with_steps(detr, change).prepare([images / "colour.png"]))


def test_a_pipeline_that_is_no_list_is_refused(detr: MMDetDetector) -> None:
    one = with_steps(detr, lambda steps: None)
    one.config.test_dataloader.dataset["pipeline"] = "LoadImageFromFile"
    with pytest.raises(ConfigError, match=r"must be a list of steps, got 'LoadImageFromFile'"):
        next(one.prepare(["image.png"]))


RANDOM: dict[str, dict[str, Any]] = {
    "colours": {"type": "PhotoMetricDistortion"},
    "sizes": {"type": "RandomResize", "scale": [(96, 64), (192, 128)], "keep_ratio": True},
    "now and then": {
        "type": "RandomApply",
        "prob": 0.2,
        "transforms": [{"type": "Pad", "size_divisor": 256}],
    },
    "by a generator of its own": {"type": "ShiftByOwnChance"},
}


@pytest.mark.parametrize("step", RANDOM)
def test_pipelines_that_are_random_are_refused(detr: MMDetDetector, images: Path, step: str) -> None:
    """Two evaluations would give two numbers, and a study that goes on would mix them."""
    one = with_steps(detr, lambda steps: steps.insert(1, RANDOM[step]))
    with pytest.raises(
        ConfigError, match=r"\(LoadImageFromFile, .*\) makes something else of colour.png each time"
    ):
        next(one.prepare([images / "colour.png"]))


def test_steps_that_draw_and_change_nothing_are_let_through(detr: MMDetDetector, images: Path) -> None:
    (plain,) = detr.prepare([images / "colour.png"])
    for step in (
        {"type": "RandomFlip", "prob": 0.0},
        {"type": "RandomApply", "prob": 1.0, "transforms": [{"type": "Pad", "size_divisor": 1}]},
    ):
        (got,) = with_steps(detr, lambda steps, step=step: steps.insert(2, step)).prepare(
            [images / "colour.png"]
        )
        assert torch.equal(got["inputs"][0], plain["inputs"][0])


@pytest.mark.parametrize(
    "step",
    [
        {"type": "RandomFlip", "prob": 1.0},
        {"type": "RandomFlip", "prob": 1.0, "direction": "vertical"},
        {"type": "ShearX", "prob": 1.0, "level": 5},
        {"type": "Rotate", "prob": 1.0, "level": 5},
    ],
    ids=lambda step: f"{step['type']}, {step.get('direction', '')}",
)
def test_steps_that_move_images_are_refused(detr: MMDetDetector, images: Path, step: dict[str, Any]) -> None:
    """Boxes are given in the frame of the input, of which scale alone is taken back."""
    one = with_steps(detr, lambda steps: steps.insert(2, step))
    with pytest.raises(ConfigError, match=rf"the step {step['type']} of .* mirrors, turns or shifts images"):
        next(one.prepare([images / "colour.png"]))


def test_a_config_without_a_test_pipeline_says_so(detr: MMDetDetector) -> None:
    one = copy.copy(detr)
    one._pipeline, one.config = None, copy.deepcopy(detr.config)
    one.config.pop("test_dataloader")
    with pytest.raises(ConfigError, match="no test pipeline"):
        next(one.prepare(["image.png"]))


def test_options_that_no_decoder_knows_are_the_step_s_fault(detr: MMDetDetector, images: Path) -> None:
    one = with_loader(detr, {**FILE, "color_type": "colourful"})
    with pytest.raises(ImageError, match=r"colour.png cannot be read by LoadImageFromFile .*colourful"):
        next(one.prepare([images / "colour.png"]))


def test_a_step_that_stops_at_an_image_names_both(detr: MMDetDetector, images: Path) -> None:
    with pytest.raises(ImageError, match=r"line.png: the step Resize of the config's test pipeline stops"):
        next(detr.prepare([images / "line.png"]))
    with pytest.raises(ImageError, match=r"gone.png: no such file"):
        next(detr.prepare([images / "gone.png"]))
    with pytest.raises(ImageError, match=rf"image {images}: is a folder"):
        next(detr.prepare([images]))
    whole = with_steps(
        detr, lambda steps: steps.__setitem__(slice(2), [{"type": "Compose", "transforms": steps[:2]}])
    )
    with pytest.raises(ImageError, match=r"line.png: the step Compose of the config's test pipeline stops"):
        next(whole.prepare([images / "line.png"]))


@pytest.mark.parametrize("loader", ["as bundled", "not turned"])
def test_losses_see_images_as_predictions_do(detr: MMDetDetector, images: Path, loader: str) -> None:
    one = with_loader(detr, LOADERS[loader])
    width, height = (40, 60) if loader == "as bundled" else (60, 40)
    box = [5.0, 6.0, width - 12.0, height - 15.0]
    truth = GroundTruth.from_coco(
        {
            "images": [{"id": 7, "file_name": "turned-6.jpg", "width": width, "height": height}],
            "categories": [{"id": 1, "name": "circle"}],
            "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": box, "area": box[2] * box[3]}],
        }
    )
    path = images / "turned-6.jpg"
    (plain,), (batch,) = one.prepare([path]), one.prepare_with_truth([path], truth)
    assert torch.equal(plain["inputs"][0], batch["inputs"][0])
    sample = batch["data_samples"][0]
    scale = np.tile(sample.scale_factor, 2)
    x, y, w, h = box
    expected = np.array([x, y, x + w, y + h]) * scale
    torch.testing.assert_close(
        sample.gt_instances.bboxes.tensor[0].double(), torch.tensor(expected), atol=1e-4, rtol=0
    )


def test_losses_refuse_images_of_another_size_than_annotated(detr: MMDetDetector, images: Path) -> None:
    """True boxes would lie elsewhere in the image, and scores by gradient would be of other places."""
    content = {
        "images": [{"id": 7, "file_name": "colour.png", "width": 120, "height": 80}],
        "categories": [{"id": 1, "name": "circle"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [5, 6, 40, 20], "area": 800}],
    }
    path = images / "colour.png"
    with pytest.raises(
        ImageError, match=r"colour.png is read as 60 x 40 pixels, but was annotated as 120 x 80: its"
    ):
        next(detr.prepare_with_truth([path], GroundTruth.from_coco(content)))
    content["images"] = [{"id": 7, "file_name": "colour.png"}]  # of a size that nobody tells
    assert next(detr.prepare_with_truth([path], GroundTruth.from_coco(content)))


def test_a_study_keeps_to_the_frame_in_which_the_detector_sees_its_images(
    detr: MMDetDetector, images: Path, tmp_path: Path
) -> None:
    """The truth of an image as its camera wrote it: right for a loader that does not turn it, refused for others."""
    spec = load_spec(
        {
            "name": "one",
            "ablations": [
                {
                    "name": "a",
                    "target": {"unit": "component", "components": "query_embedding"},
                    "select": {"by": "all"},
                }
            ],
        }
    )
    truth = GroundTruth.from_coco(
        {
            "images": [{"id": 7, "file_name": "turned-6.jpg", "width": 60, "height": 40}],
            "categories": [{"id": 1, "name": "circle"}],
            "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [5, 6, 40, 20], "area": 800}],
        }
    )
    paths, options = (
        [images / "turned-6.jpg"],
        {"truth": truth, "refs": [ImageRef("turned-6.jpg", 7)], "listener": Listener(bar=no_bar)},
    )
    with pytest.raises(
        BadImageError, match=r"turned-6.jpg is read as 40 x 60 pixels, but was annotated as 60 x 40"
    ):
        run(spec, detr, paths, tmp_path / "turned", **options)
    study = run(spec, with_loader(detr, LOADERS["not turned"]), paths, tmp_path / "as it is", **options)
    assert not study.turns_by_exif
    as_it_is = read_pixels(paths[0], turned=study.turns_by_exif)
    assert as_it_is is not None
    assert as_it_is.shape == (40, 60, 3)
    turned = read_pixels(paths[0])
    assert turned is not None
    assert turned.shape == (60, 40, 3)


def test_open_vocabularies_are_told_the_class_names(detr: MMDetDetector, images: Path) -> None:
    one = with_steps(detr, lambda steps: steps[-1].update(meta_keys=("text", "custom_entities", "ori_shape")))
    one.config.test_dataloader.dataset["return_classes"] = True
    (batch,) = one.prepare([images / "colour.png"])
    assert batch["data_samples"][0].text == detr.class_names
    assert batch["data_samples"][0].custom_entities is True
