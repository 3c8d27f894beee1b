"""The generator of the demo scenes: the same everywhere, and what it claims to be."""

import json
from pathlib import Path

import numpy as np
import pytest

from dissect_mmdet.demo import CATEGORY_IDS, CLASS_NAMES, Scene, draw_scene, write_split
from dissect_mmdet.demo._scenes import HEIGHT, WIDTH, image_ids
from dissect_mmdet.errors import DissectMMDetError

KNOWN_CLASSES = ["circle", "star", "triangle"]
KNOWN_BOXES = [[52.0, 23.0, 61.0, 68.0], [48.0, 8.0, 26.0, 21.0], [10.0, 52.0, 22.0, 19.0]]
KNOWN_MEAN = 141.786


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene("train", number) for number in range(150)]


def test_a_scene_is_the_same_alone_and_in_any_order() -> None:
    forwards = [draw_scene("test", number) for number in (0, 1, 2)]
    backwards = [draw_scene("test", number) for number in (2, 1, 0)][::-1]
    for first, second in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.boxes_xywh, second.boxes_xywh)


def test_known_scene() -> None:
    scene = draw_scene("test", 0)
    # Boxes do not depend on the platform's rounding of colours; the picture may, by one grey level.
    assert [CLASS_NAMES[label] for label in scene.labels] == KNOWN_CLASSES
    np.testing.assert_array_equal(scene.boxes_xywh, KNOWN_BOXES)
    assert scene.image.mean() == pytest.approx(KNOWN_MEAN, abs=0.05)


def test_splits_and_seeds_share_nothing() -> None:
    pictures = [
        draw_scene("train", 0),
        draw_scene("val", 0),
        draw_scene("test", 0),
        draw_scene("test", 0, seed=1),
    ]
    assert len({scene.image.tobytes() for scene in pictures}) == 4
    ids = [set(image_ids(split, 500).tolist()) for split in ("train", "val", "test")]
    assert not ids[0] & ids[1]
    assert not ids[1] & ids[2]


def test_scenes_are_varied(scenes: list[Scene]) -> None:
    labels = np.concatenate([scene.labels for scene in scenes])
    assert set(labels) == set(range(len(CLASS_NAMES)))
    n_objects = {int((~scene.crowd).sum()) for scene in scenes}
    assert n_objects == {1, 2, 3, 4, 5, 6}
    sides = np.sqrt(np.concatenate([scene.boxes_xywh[:, 2] * scene.boxes_xywh[:, 3] for scene in scenes]))
    assert sides.min() < 20
    assert sides.max() > 60
    assert 1 <= sum(int(scene.crowd.sum()) for scene in scenes) <= 20


def test_boxes_are_tight_and_inside(scenes: list[Scene]) -> None:
    for scene in scenes:
        x, y, w, h = scene.boxes_xywh.T
        assert (x >= 0).all()
        assert (y >= 0).all()
        assert (x + w <= WIDTH).all()
        assert (y + h <= HEIGHT).all()
        assert (scene.areas <= w * h).all()
        assert (scene.areas > 0).all()


def test_objects_occlude_each_other(scenes: list[Scene]) -> None:
    overlapping = 0
    for scene in scenes:
        boxes = scene.boxes_xywh[~scene.crowd]
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        low = np.maximum(corners[:, None, :2], corners[None, :, :2])
        high = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
        shared = np.clip(high - low, 0, None).prod(axis=2)
        overlapping += int((np.triu(shared, 1) > 0).any())
    assert overlapping > len(scenes) / 5


def test_scenes_to_be_measured_on_are_easier(scenes: list[Scene]) -> None:
    measured = [draw_scene("test", number) for number in range(150)]
    smallest = [
        min(np.sqrt(s.boxes_xywh[~s.crowd, 2] * s.boxes_xywh[~s.crowd, 3]).min() for s in some)
        for some in (scenes, measured)
    ]
    assert smallest[0] < smallest[1]
    assert sum(len(s.labels) for s in measured) < sum(len(s.labels) for s in scenes)


def test_written_split_is_coco(tmp_path: Path) -> None:
    images, annotations = write_split(tmp_path, "val", 12)
    content = json.loads(annotations.read_text())
    assert [category["id"] for category in content["categories"]] == list(CATEGORY_IDS)
    assert len(content["images"]) == 12
    for image in content["images"]:
        assert image["file_name"] == f"{image['id']:012d}.png"
        assert (images / image["file_name"]).is_file()
    assert [a["id"] for a in content["annotations"]] == list(range(1, len(content["annotations"]) + 1))


def test_a_split_is_written_once_and_again_when_interrupted(tmp_path: Path) -> None:
    images, annotations = write_split(tmp_path, "val", 3)
    before = annotations.stat().st_mtime_ns
    write_split(tmp_path, "val", 3)
    assert annotations.stat().st_mtime_ns == before

    annotations.unlink()  # as after a kill: the annotation file comes last
    (images / "999999999999.png").write_bytes(b"")
    write_split(tmp_path, "val", 3)
    assert len(list(images.glob("*.png"))) == 3
    assert not list(annotations.parent.glob("*.part"))


def test_more_images_begin_with_the_same_ones(tmp_path: Path) -> None:
    few = json.loads(write_split(tmp_path / "few", "val", 3)[1].read_text())
    many = json.loads(write_split(tmp_path / "many", "val", 6)[1].read_text())
    assert many["images"][:3] == few["images"]


@pytest.mark.parametrize("name", ["test/mine.png", "annotations/instances_test.json"])
def test_scenes_replace_nothing_of_others(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(DissectMMDetError, match=r"choose (a new|another)"):
        write_split(str(tmp_path), "test", 1)
    assert path.read_text() == "{}"


def test_own_images_beside_the_scenes_stay(tmp_path: Path) -> None:
    images, _ = write_split(tmp_path, "test", 2)
    (images / "mine.png").write_text("mine")
    write_split(tmp_path, "test", 1)
    assert sorted(path.suffix for path in images.iterdir() if path.name != ".deep-dissect") == [
        ".png",
        ".png",
    ]
    assert (images / "mine.png").read_text() == "mine"
