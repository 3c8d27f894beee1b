"""Images with their truth, as one object."""

import json
import shutil
from pathlib import Path

import pytest

import deep_dissect as dd
from deep_dissect.errors import ImageFilesError
from dissect_eval import GroundTruth
from toy_split import Split


def test_a_split_gives_truth_paths_and_ids(split: Split) -> None:
    data = dd.CocoSplit(split.annotations, split.images)
    truth = GroundTruth.from_coco(split.annotations)
    assert len(data) == 8
    assert data.ids == tuple(truth.image_ids.tolist())
    assert list(data.images) == split.paths == list(data)
    assert data.images[:2] == tuple(split.paths[:2])
    assert data.truth.to_coco() == truth.to_coco()
    assert data.class_names == ("red", "green", "blue")
    assert [(ref.file_name, ref.image_id) for ref in data.refs][1] == ("001.ppm", 7)
    assert repr(data) == f"<CocoSplit of 8 images with {truth.n_boxes} objects from truth.json>"


def test_limit_and_slices_take_truth_and_images_together(split: Split) -> None:
    data = dd.CocoSplit(str(split.annotations), str(split.images), limit=3)
    assert data.ids == (0, 7, 14)
    assert data.truth.n_images == 3
    part = data[1:]
    assert (part.ids, part.images) == ((7, 14), data.images[1:])
    assert part.truth.image_ids.tolist() == [7, 14]
    assert data[0] == split.paths[0]


def test_a_fingerprint_is_of_content(split: Split, tmp_path: Path) -> None:
    data = dd.CocoSplit(split.annotations, split.images)
    copy = Path(shutil.copytree(split.images, tmp_path / "elsewhere"))
    assert dd.CocoSplit(split.annotations, copy).fingerprint == data.fingerprint
    with (copy / "003.ppm").open("r+b") as file:
        file.seek(200)
        file.write(b"\x01")
    assert dd.CocoSplit(split.annotations, copy).fingerprint != data.fingerprint
    content = json.loads(split.annotations.read_text())
    content["annotations"][0]["bbox"][2] += 1
    assert dd.CocoSplit(content, split.images).fingerprint != data.fingerprint
    assert data[:4].fingerprint != data.fingerprint


def test_missing_images_are_named_with_near_matches(split: Split, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(split.images, tmp_path / "images"))
    (copy / "002.ppm").rename(copy / "0002.ppm")
    with pytest.raises(
        ImageFilesError, match=r"1 of 8 images .* are not in .*002\.ppm.* Near matches .*0002\.ppm"
    ):
        dd.CocoSplit(split.annotations, copy)
    assert dd.CocoSplit(split.annotations, copy, check=False).images[2] == copy / "002.ppm"
    with pytest.raises(ImageFilesError, match="folder of another split"):
        dd.CocoSplit(split.annotations, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit": 0}, "`limit` must be 1 or more, got 0"),
        ({"images": None}, "`images` must be the folder of the images, got None"),
        ({"images": "nowhere"}, "`images` must be the folder .*nowhere': no such folder"),
        (
            {"annotations": {"images": [], "annotations": [], "categories": []}},
            "`annotations` must name an image",
        ),
        ({"annotations": "demo:scenes"}, "`images` must be left out of demo:scenes"),
    ],
)
def test_errors_name_the_argument(split: Split, arguments: dict[str, object], message: str) -> None:
    given = {"annotations": split.annotations, "images": split.images, **arguments}
    with pytest.raises(dd.FrontDoorError, match=message):
        dd.CocoSplit(**given)  # type: ignore[arg-type]
