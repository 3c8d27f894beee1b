"""Inference with ground truth: MMDetection's own predictions, the file's boxes, MMEngine's prints."""

import contextlib
import io
import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import deep_dissect as dd
from dissect_core import CheckpointError
from dissect_eval import BoxError
from dissect_mmdet import CheckpointFitError, ConfigError, ImageError, open_mmdet
from dissect_mmdet.demo import demo_files
from dissect_mmdet.errors import AnnotationError

from .conftest import Coco, TinyDetr


@pytest.fixture(scope="module")
def run(tiny_detr: TinyDetr, coco: Coco) -> tuple[list[Any], str]:
    """The samples, and what was printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        samples = dd.run_inference_and_integrate_ground_truth(
            str(tiny_detr.config), str(tiny_detr.checkpoint), str(coco.annotations), coco.paths, device="cpu"
        )
    return samples, printed.getvalue()


@pytest.fixture(scope="module")
def theirs(tiny_detr: TinyDetr, coco: Coco) -> tuple[list[Any], str]:
    """The same through MMDetection's own functions."""
    from mmdet.apis import inference_detector, init_detector

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = init_detector(str(tiny_detr.config), str(tiny_detr.checkpoint), device="cpu")
        return [inference_detector(model, path) for path in coco.paths], printed.getvalue()


def test_predictions_are_mmdetections(run: tuple[list[Any], str], theirs: tuple[list[Any], str]) -> None:
    from mmdet.structures import DetDataSample

    assert len(run[0]) == len(theirs[0]) == 3
    for ours, other in zip(run[0], theirs[0], strict=True):
        assert type(ours) is DetDataSample
        assert ours.img_path == other.img_path
        assert ours.ori_shape == other.ori_shape == (64, 96)
        for field, value in other.pred_instances.items():
            torch.testing.assert_close(ours.pred_instances[field], value, rtol=0, atol=0)


def test_prints_are_mmengines(
    run: tuple[list[Any], str], theirs: tuple[list[Any], str], tiny_detr: TinyDetr
) -> None:
    assert run[1] == theirs[1]
    assert run[1] == (
        f"Loads checkpoint by local backend from path: {tiny_detr.checkpoint}\n"
        "The model and loaded state dict do not match exactly\n\n"
        "unexpected key in source state_dict: data_preprocessor.mean, data_preprocessor.std\n\n"
    )


def test_no_mismatch_no_message(
    tiny_detr: TinyDetr, coco: Coco, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(tiny_detr.checkpoint, weights_only=True)
    weights = {k: v for k, v in content["state_dict"].items() if not k.startswith("data_preprocessor")}
    torch.save({**content, "state_dict": weights}, tmp_path / "exact.pth")
    dd.compute_predictions_mmdet(
        tiny_detr.config, tmp_path / "exact.pth", ["000000000139.jpg"], coco.images, "cpu"
    )
    assert capsys.readouterr().out == f"Loads checkpoint by local backend from path: {tmp_path}/exact.pth\n"
    del weights["query_embedding.weight"]
    torch.save({**content, "state_dict": weights}, tmp_path / "less.pth")
    boxes = []
    for _ in range(2):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            boxes.append(
                dd.compute_predictions_mmdet(
                    tiny_detr.config, tmp_path / "less.pth", ["000000000139.jpg"], coco.images, "cpu"
                )
            )
        assert any("3,200 of the model's" in str(one.message) for one in told)
        assert capsys.readouterr().out.endswith(
            "\n\nmissing keys in source state_dict: query_embedding.weight\n\n"
        )
    assert torch.equal(*boxes)


def test_ground_truth_is_the_files(run: tuple[list[Any], str], coco: Coco) -> None:
    content = json.loads(coco.annotations.read_text())
    for sample, image in zip(run[0], content["images"], strict=True):
        assert sample.img_id == image["id"]
        here = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        boxes = [[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in here)]
        truth = sample.gt_instances
        assert (truth.bboxes.dtype, truth.labels.dtype) == (torch.float32, torch.int64)
        torch.testing.assert_close(truth.bboxes, torch.tensor(boxes).reshape(-1, 4), rtol=0, atol=0)
        assert truth.labels.tolist() == [a["category_id"] for a in here]
    assert sum(a["iscrowd"] for a in content["annotations"]) == 1
    assert len(run[0][-1].gt_instances) == 0


def test_one_sample_by_hand(coco: Coco, make_sample: Callable[..., Any]) -> None:
    sample = make_sample(([], []), ([[0, 0, 1, 1]], [1], [0]))
    again = dd.integrate_ground_truth(sample, dd.load_annotations(coco.annotations), 150)
    assert again is sample
    assert sample.gt_instances.labels.tolist() == [1, 7, 9]
    assert sample.gt_instances.bboxes.device == sample.pred_instances.bboxes.device


def test_ground_truth_goes_to_the_device_of_the_predictions(
    coco: Coco, make_sample: Callable[..., Any]
) -> None:
    sample = make_sample(([], []), ([[0, 0, 1, 1]], [1], [0]))
    sample.pred_instances = sample.pred_instances.to("meta")
    dd.integrate_ground_truth(sample, dd.load_annotations(coco.annotations), 150)
    assert sample.gt_instances.bboxes.device.type == sample.gt_instances.labels.device.type == "meta"
    del sample.pred_instances
    dd.integrate_ground_truth(sample, dd.load_annotations(coco.annotations), 150)
    assert sample.gt_instances.bboxes.device.type == "cpu"


def test_negative_truth_is_an_error(make_sample: Callable[..., Any]) -> None:
    content = {"annotations": [{"image_id": 1, "category_id": 1, "bbox": [5, 5, -1, 2]}]}
    with pytest.raises(BoxError, match="width and height >= 0"):
        dd.integrate_ground_truth(make_sample(([], []), ([], [], [])), content, 1)


def test_pickled_result_is_scored_with_its_own_names(run: tuple[list[Any], str], tmp_path: Path) -> None:
    with (tmp_path / "igt_0.pkl").open("wb") as file:
        pickle.dump(run[0], file)
    dd.calculate_average_f1_score_per_class_and_save_results(f"{tmp_path}/igt_", f"{tmp_path}/", 1)
    found = json.loads((tmp_path / "f1_score_classification_per_class_result_0.json").read_text())
    assert list(found) == ["circle", "square", "triangle", "star", "ring", "cross", "unknown"]


def test_names_are_stored_once(run: tuple[list[Any], str]) -> None:
    one, three = (len(pickle.dumps(samples)) for samples in (run[0][:1], run[0]))
    assert run[0][0].category_names is run[0][1].category_names
    assert run[0][0].category_names == ((1, "circle"), (7, "square"), (9, "unknown"))
    assert three < 3 * one


@pytest.mark.parametrize(
    ("name", "number"), [("a/b/000000000139.jpg", 139), ("000000581781.png", 581781), ("7.jpeg", 7)]
)
def test_image_id_from_path(name: str, number: int) -> None:
    assert dd.parse_image_id_from_path(name) == number
    assert dd.parse_image_id_from_path(Path(name)) == number


@pytest.mark.parametrize("name", ["COCO_val2014_000000000042.jpg", "cat.jpg", "-1.jpg", "²³.jpg"])
def test_name_that_is_no_image_id(name: str) -> None:
    with pytest.raises(ValueError, match=r"the name must be COCO's image id") as caught:
        dd.parse_image_id_from_path(name)
    assert isinstance(caught.value, AnnotationError)


def infer(tiny: TinyDetr, annotations: Path, paths: list[Any]) -> list[Any]:
    return dd.run_inference_and_integrate_ground_truth(
        tiny.config, tiny.checkpoint, annotations, paths, "cpu"
    )


def test_ids_come_from_file_names_of_the_annotations(tiny_detr: TinyDetr, coco: Coco, tmp_path: Path) -> None:
    content = json.loads(coco.annotations.read_text())
    content["images"][0]["file_name"] = "train/IMG_0042.jpg"
    (tmp_path / "a.json").write_text(json.dumps(content))
    (tmp_path / "IMG_0042.jpg").write_bytes(Path(coco.paths[0]).read_bytes())
    (sample,) = infer(tiny_detr, tmp_path / "a.json", [tmp_path / "IMG_0042.jpg"])
    assert sample.img_id == 139
    assert len(sample.gt_instances) == 3


def test_images_of_another_split(tiny_detr: TinyDetr, coco: Coco, tmp_path: Path) -> None:
    (tmp_path / "000000000001.jpg").write_bytes(Path(coco.paths[0]).read_bytes())
    with pytest.raises(AnnotationError, match="knows none of the 1 images"):
        infer(tiny_detr, coco.annotations, [tmp_path / "000000000001.jpg"])


def test_bad_images(tiny_detr: TinyDetr, coco: Coco, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="`full_paths` is empty"):
        infer(tiny_detr, coco.annotations, [])
    with pytest.raises(FileNotFoundError, match=r"000000000139\.jpg: no such file") as caught:
        infer(tiny_detr, coco.annotations, [tmp_path / "000000000139.jpg"])
    assert isinstance(caught.value, ImageError)
    (tmp_path / "000000000139.jpg").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"000000000139\.jpg cannot be decoded"):
        infer(tiny_detr, coco.annotations, [tmp_path / "000000000139.jpg"])


def test_bad_annotation_files(tiny_detr: TinyDetr, coco: Coco, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(FileNotFoundError, match="no such file") as caught:
        dd.load_annotations(annotation_path=path)
    assert isinstance(caught.value, AnnotationError)
    for content, message in (
        ("{", "cannot be read"),
        ("[]", "holds a list"),
        ('{"images": []}', "`annotations`"),
    ):
        path.write_text(content)
        with pytest.raises(AnnotationError, match=message):
            infer(tiny_detr, path, coco.paths)


def test_bad_detectors(tiny_detr: TinyDetr, coco: Coco, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file") as caught:
        infer(tiny_detr._replace(config=tmp_path / "a.py"), coco.annotations, coco.paths)
    assert isinstance(caught.value, ConfigError)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        infer(tiny_detr._replace(checkpoint=tmp_path / "a.pth"), coco.annotations, coco.paths)
    with pytest.raises(CheckpointFitError, match="does not fit"):
        infer(tiny_detr._replace(config=demo_files("dino").config), coco.annotations, coco.paths)


def test_all_boxes_of_all_images(tiny_detr: TinyDetr, coco: Coco, theirs: tuple[list[Any], str]) -> None:
    expected = torch.cat([sample.pred_instances.bboxes for sample in theirs[0]])
    names = [Path(path).name for path in coco.paths]
    for content, folder in (
        (names, coco.images),
        (names, f"{coco.images}/"),
        (str(coco.images), coco.images),
    ):
        boxes = dd.compute_predictions_mmdet(tiny_detr.config, tiny_detr.checkpoint, content, folder, "cpu")
        torch.testing.assert_close(boxes, expected, rtol=0, atol=0)
    assert expected.shape == (75, 4)


def test_raw_outputs_are_those_behind_the_predictions(
    tiny_detr: TinyDetr, coco: Coco, run: tuple[list[Any], str]
) -> None:
    """Sigmoid, scaling and sorting of the raw outputs, done here, give MMDetection's predictions."""
    names = [Path(path).name for path in coco.paths]
    boxes, classes, sizes = dd.compute_mmdet_results_unsorted(
        tiny_detr.config, tiny_detr.checkpoint, coco.root, names, "val2017", "cpu"
    )
    assert (boxes.shape, classes.shape) == ((3, 25, 4), (3, 25, 7))
    assert sizes == [{"name": name, "width": 96, "height": 64} for name in names]
    for sample, logits, scores in zip(run[0], boxes, classes, strict=True):
        best, label = scores.softmax(-1)[:, :-1].max(-1)
        order = best.argsort(descending=True)
        found = sample.pred_instances
        torch.testing.assert_close(found.scores, best[order])
        assert torch.equal(found.labels, label[order])
        xyxy = dd.box_cxcywh_to_xyxy(logits.sigmoid()) * torch.tensor([96.0, 64, 96, 64])
        limits = torch.tensor([96.0, 64, 96, 64])
        torch.testing.assert_close(
            found.bboxes, xyxy[order].clamp(min=0).minimum(limits), rtol=1e-5, atol=1e-4
        )


def test_raw_outputs_of_other_heads(tmp_path: Path, coco: Coco) -> None:
    from dissect_mmdet import build_model, load_config

    config = demo_files("deformable_detr").config
    state = build_model(load_config(config)).state_dict()
    state["level_embed"] = torch.zeros_like(
        state["level_embed"]
    )  # the constructor leaves here what was in memory
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    with pytest.raises(ConfigError, match=r"a DeformableDETR has no bbox_head\.fc_reg"):
        dd.compute_mmdet_results_unsorted(
            config, tmp_path / "a.pth", coco.root, str(coco.images), "val2017", "cpu"
        )


def test_hooks_are_gone_afterwards(tiny_detr: TinyDetr) -> None:
    from deep_dissect.v1.model_inference import _last_outputs

    detector = open_mmdet(config=tiny_detr.config, checkpoint=tiny_detr.checkpoint)
    with pytest.raises(RuntimeError), _last_outputs(detector):
        assert detector.model.bbox_head.fc_reg._forward_hooks  # type: ignore[union-attr]
        raise RuntimeError
    assert not detector.model.bbox_head.fc_reg._forward_hooks  # type: ignore[union-attr]


class _Images:
    """A map-style data set that never raises an IndexError."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[torch.Tensor, dict[str, Any]]:
        return torch.full((3, 4, 4), float(index)), {}


def test_torch_hub_models_see_one_image_at_a_time(coco: Coco) -> None:
    seen = dd.compute_predictions_torch_hub(
        lambda images: (len(images), float(images[0].mean()), torch.is_grad_enabled()), _Images()
    )
    assert seen == [(1, 0.0, False), (1, 1.0, False)]


def test_torch_hub_images_go_where_the_model_is() -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1, device="meta"))

        def forward(self, images: list[torch.Tensor]) -> str:
            return images[0].device.type

    assert dd.compute_predictions_torch_hub(Model(), _Images()) == ["meta", "meta"]


def test_init_detector_reads_safely_and_predicts_alike(
    tiny_detr: TinyDetr, coco: Coco, theirs: tuple[list[Any], str], tmp_path: Path
) -> None:
    with warnings.catch_warnings(record=True):  # MMDetection's own
        model = dd.init_detector(str(tiny_detr.config), str(tiny_detr.checkpoint), device="cpu")
        found = [dd.inference_detector(model, path) for path in coco.paths]
        without = dd.init_detector(tiny_detr.config, device="cpu")
    for ours, other in zip(found, theirs[0], strict=True):
        torch.testing.assert_close(ours.pred_instances.bboxes, other.pred_instances.bboxes, rtol=0, atol=0)
    assert not without.training

    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "was_here",)

    torch.save({"state_dict": {}, "meta": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError):
        dd.init_detector(tiny_detr.config, tmp_path / "evil.pth", device="cpu")
    assert not (tmp_path / "was_here").exists()


def test_image_size_is_that_of_the_file_as_stored(coco: Coco, tmp_path: Path) -> None:
    from PIL import Image

    assert dd.get_image_size(coco.paths[0]) == (96, 64)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned by a quarter
    Image.new("RGB", (20, 10)).save(tmp_path / "turned.jpg", exif=turned)
    assert dd.get_image_size(image_path=tmp_path / "turned.jpg") == (20, 10)
    with pytest.raises(FileNotFoundError, match="no such file") as caught:
        dd.get_image_size(tmp_path / "no.jpg")
    assert isinstance(caught.value, ImageError)
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(ImageError, match=r"text\.jpg cannot be decoded"):
        dd.get_image_size(tmp_path / "text.jpg")


def test_box_conversions() -> None:
    torch.manual_seed(0)
    corner = torch.rand(2, 5, 2)
    xyxy = torch.cat([corner, corner + torch.rand(2, 5, 2)], dim=-1)
    cxcywh = dd.box_xyxy_to_cxcywh(xyxy)
    torch.testing.assert_close(cxcywh[..., :2], (xyxy[..., :2] + xyxy[..., 2:]) / 2)
    torch.testing.assert_close(cxcywh[..., 2:], xyxy[..., 2:] - xyxy[..., :2])
    torch.testing.assert_close(dd.box_cxcywh_to_xyxy(cxcywh), xyxy)
    low, size = xyxy[..., :2], xyxy[..., 2:] - xyxy[..., :2]
    assert torch.equal(cxcywh, torch.cat([low + 0.5 * size, size], dim=-1))  # to the last bit
    assert dd.box_cxcywh_to_xyxy(cxcywh.double()).dtype == torch.float64
    normal = dd.normalize_bboxes(torch.tensor([[64, 48, 320, 240]]), (640, 480))
    torch.testing.assert_close(normal, torch.tensor([[0.1, 0.1, 0.5, 0.5]]))
