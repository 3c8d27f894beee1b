from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from dissect_eval import DetectionError, Detections

BOXES, SCORES, LABELS = [[1.0, 2.0, 4.0, 6.0], [0.0, 0.0, 8.0, 9.0]], [0.75, 0.5], [1, 0]
NOTHING = np.zeros((0, 4), dtype=np.float32), np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int64)

SAMPLE = ("bboxes", "scores", "labels")
TORCHVISION = ("boxes", "scores", "labels")
SUPERVISION = ("xyxy", "confidence", "class_id")
ULTRALYTICS = ("xyxy", "conf", "cls")


def fields(keys, values=(BOXES, SCORES, LABELS)):
    return dict(zip(keys, values, strict=True))


def thing(keys, values=(BOXES, SCORES, LABELS)):
    return SimpleNamespace(
        **{k: None if v is None else np.asarray(v) for k, v in fields(keys, values).items()}
    )


class OtherDevice:
    """A tensor that NumPy may not touch before `detach` and `cpu`, as one on a GPU that requires gradients."""

    def __init__(self, values, ready=()):
        self.values, self.ready = values, ready

    def detach(self):
        return OtherDevice(self.values, (*self.ready, "detach"))

    def cpu(self):
        return OtherDevice(self.values, (*self.ready, "cpu"))

    def numpy(self):
        assert self.ready == ("detach", "cpu")
        return np.asarray(self.values)

    def __array__(self, *args, **kwargs):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


def check(found, image_ids=(3, 7)):
    """Image 7 came first and has both boxes, image 3 has none."""
    assert found.image_ids.tolist() == list(image_ids)
    assert found.image_splits.tolist() == [0, 0, 2]
    np.testing.assert_array_equal(found.boxes, BOXES)
    np.testing.assert_array_equal(found.scores, SCORES)
    assert found.category_ids.tolist() == [20, 10]


@pytest.mark.parametrize("as_dict", [True, False])
def test_samples(as_dict):
    make = fields if as_dict else thing
    samples = [
        {"img_id": 7, "pred_instances": make(SAMPLE)},
        {"img_id": np.int64(3), "pred_instances": make(SAMPLE, NOTHING)},
    ]
    if not as_dict:
        samples = [
            SimpleNamespace(pred_instances=samples[0]["pred_instances"], metainfo={"img_id": 7}),
            SimpleNamespace(pred_instances=samples[1]["pred_instances"], img_id=3),
        ]
    check(Detections.from_samples(samples, [10, 20]))
    check(Detections.from_samples(iter(samples), np.array([10, 20]), image_ids=[9, 5]), (5, 9))


def test_samples_of_mmengine():
    """With the base class of `DetDataSample`, which needs no compiled mmcv."""
    torch = pytest.importorskip("torch")
    structures = pytest.importorskip("mmengine.structures")
    samples = []
    for image, (boxes, scores, labels) in ((7, (BOXES, SCORES, LABELS)), (3, NOTHING)):
        sample = structures.BaseDataElement(metainfo={"img_id": image})
        sample.pred_instances = structures.InstanceData(
            bboxes=torch.tensor(np.asarray(boxes), requires_grad=True),
            scores=torch.tensor(np.asarray(scores), requires_grad=True),
            labels=torch.tensor(np.asarray(labels)),
        )
        samples.append(sample)
    check(Detections.from_samples(samples, [10, 20]))
    check(Detections.from_samples([sample.to_dict() for sample in samples], [10, 20]))
    check(Detections.from_samples([sample.pred_instances for sample in samples], [10, 20], [7, 3]))


def test_boxes_in_a_class_of_their_own():
    boxes = SimpleNamespace(tensor=np.asarray(BOXES))  # as MMDetection's HorizontalBoxes
    samples = [{"bboxes": boxes, "scores": SCORES, "labels": LABELS}, fields(SAMPLE, NOTHING)]
    check(Detections.from_samples(samples, [10, 20], [7, 3]))


def test_torch_number_types():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        output = {
            "boxes": torch.tensor(BOXES, dtype=dtype, requires_grad=True),
            "scores": torch.tensor(SCORES, dtype=dtype),
            "labels": torch.tensor(LABELS, dtype=torch.int32),
        }
        check(
            Detections.from_torchvision(
                [output, fields(TORCHVISION, NOTHING)], torch.tensor([7, 3]), [10, 20]
            )
        )


def test_torchvision_labels_are_category_ids_by_default():
    outputs = [fields(TORCHVISION, (BOXES, SCORES, [20, 10])), fields(TORCHVISION, NOTHING)]
    check(Detections.from_torchvision(outputs, [7, 3]))
    check(Detections.from_torchvision(outputs, (7, 3), range(21)))
    with_background = [fields(TORCHVISION, (BOXES, SCORES, [2, 1])), fields(TORCHVISION, NOTHING)]
    check(Detections.from_torchvision(with_background, [7, 3], [0, 10, 20]))
    assert Detections.from_torchvision([], []).n_images == 0


def test_other_devices():
    output = {key: OtherDevice(value) for key, value in fields(TORCHVISION).items()}
    check(Detections.from_torchvision([output, fields(TORCHVISION, NOTHING)], [7, 3], [10, 20]))


def test_supervision():
    empty = thing(SUPERVISION, (NOTHING[0], None, None))
    check(Detections.from_supervision([thing(SUPERVISION), empty], [7, 3], [10, 20]))


def test_ultralytics():
    results = [
        SimpleNamespace(boxes=thing(ULTRALYTICS, (BOXES, SCORES, [1.0, 0.0]))),
        SimpleNamespace(boxes=thing(ULTRALYTICS, (np.zeros((0, 4)), np.zeros(0), np.zeros(0)))),
    ]
    check(Detections.from_ultralytics((result for result in results), [7, 3], [10, 20]))


def from_torchvision(**change):
    return Detections.from_torchvision([{**fields(TORCHVISION), **change}], [7])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: from_torchvision(scores=None), r"Image 7: `scores` must be given, got dict without it"),
        (lambda: from_torchvision(labels=[1.5, 0.0]), r"Image 7: `labels` must be whole numbers, got 1.5"),
        (lambda: from_torchvision(scores=[0.5, np.nan]), r"Image 7: detection 1 must be finite"),
        (lambda: from_torchvision(scores=[0.5]), r"Image 7: boxes, scores and labels must have shapes"),
        (lambda: from_torchvision(labels=[[1], [0]]), r"Image 7: boxes, scores and labels must have shapes"),
        (
            lambda: from_torchvision(boxes=[[1, 2, 3, 4], [1]]),
            r"Image 7: `boxes` must be an array of numbers",
        ),
        (
            lambda: Detections.from_torchvision(fields(TORCHVISION), [7]),
            r"`outputs` must be a sequence with one item per image, got dict\. For one image put it in \[ \]",
        ),
        (
            lambda: Detections.from_supervision(thing(SUPERVISION), [7], [1]),
            r"`detections` must be a sequence with one item per image",
        ),
        (
            lambda: Detections.from_ultralytics(SimpleNamespace(boxes=1), [7], [1]),
            r"`results` must be a sequence with one item per image",
        ),
        (
            lambda: Detections.from_torchvision([fields(TORCHVISION)], [7, 8]),
            r"`outputs` and `image_ids` must be of one length, got 1 and 2",
        ),
        (
            lambda: Detections.from_torchvision([fields(TORCHVISION)], ["a.jpg"]),
            r"image 0: `image_ids` must be an integer",
        ),
        (
            lambda: Detections.from_torchvision([fields(TORCHVISION)], [7], [10]),
            r"Image 7: label must be an index into `category_ids_of_labels` \(0 to 0\), got 1",
        ),
        (
            lambda: Detections.from_supervision([thing(SUPERVISION, (BOXES, None, LABELS))], [7], [1]),
            r"Image 7: `confidence` must be given, got None\..*GroundTruth\.from_supervision",
        ),
        (
            lambda: Detections.from_supervision([thing(SUPERVISION, (BOXES, SCORES, None))], [7], [1]),
            r"Image 7: `class_id` must be given",
        ),
        (
            lambda: Detections.from_ultralytics([SimpleNamespace(boxes=None)], [7], [1]),
            r"Image 7: a result must have `boxes`, got None\. Classifiers",
        ),
        (
            lambda: Detections.from_samples([{"pred_instances": fields(SAMPLE)}], [1, 2]),
            r"`samples` item 0 must hold an `img_id`, got none\. Pass `image_ids`",
        ),
        (
            lambda: Detections.from_samples([{"img_id": 7}], [1, 2]),
            r"Image 7: `bboxes` must be given, got dict without it",
        ),
        (
            lambda: Detections.from_samples([{"img_id": 7, "pred_instances": fields(SAMPLE)}] * 2, [1, 2]),
            r"`image_ids` must be unique, but these occur more than once: 7",
        ),
    ],
)
def test_errors(make, match):
    with pytest.raises(DetectionError, match=match):
        make()
