"""Whose study it is: the truth tells the images and is kept, and what is not the same is refused in plain words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import pyarrow.parquet as pq

import studies
import toy_split
from dissect_core import BadImageError, StudyChangedError, StudyError
from dissect_core.engine import StopRequest
from dissect_core.store import ImageRef, Study, StudyFolder, StudyTruth
from dissect_core.store._changes import Behind
from dissect_core.store._truth import KeptTruth
from dissect_eval import GroundTruth
from dissect_eval.errors import StudyDataError
from dissect_eval.study import Settings, kept_truth, measure, summary_rows, truth_file
from toy_detector import ToyDetector

N = 6
FAST = Settings(n_replicates=0)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> toy_split.Split:
    return toy_split.write_split(tmp_path_factory.mktemp("split"), N)


@pytest.fixture(scope="module")
def truth(split: toy_split.Split) -> GroundTruth:
    return GroundTruth.from_coco(split.annotations)


@pytest.fixture(scope="module")
def made(split: toy_split.Split, truth: GroundTruth, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studies.run_toy(split.paths, tmp_path_factory.mktemp("made") / "out", truth=truth).path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "study"))


def numbers(study: Study, **more: Any) -> list[tuple[Any, ...]]:
    rows = summary_rows(measure(study, settings=FAST, **more))
    return [(row["id"], *(row[name] for name in ("AP", "AP50", "f1"))) for row in rows]


def test_the_truth_alone_tells_images_and_is_kept(
    split: toy_split.Split, truth: GroundTruth, made: Path, tmp_path: Path
) -> None:
    study = Study.open(made)
    assert isinstance(truth, StudyTruth)
    assert study.images == tuple(ImageRef(path.name, 7 * i) for i, path in enumerate(split.paths))
    assert kept_truth(study).to_coco() == truth.to_coco()
    noted = study.environment["incidental"]
    assert (noted["detector"], noted["annotations"]) == ("ToyDetector", split.annotations.name)
    assert numbers(study) == numbers(study, truth=truth)
    # The longer way gives the same study, to the byte.
    refs = [ImageRef(*ref) for ref in zip(truth.file_names, truth.image_ids.tolist(), strict=True)]
    files = {"truth.json": truth_file(split.annotations, truth)}
    for name, options in {"all": {"truth": truth}, "bare": {}}.items():
        other = studies.run_toy(split.paths, tmp_path / name, refs=refs, files=files, **options)
        assert other.facts == study.facts
        assert studies.digests(other.path) == studies.digests(made)


def test_images_may_be_a_part_of_the_truth_in_any_order(
    split: toy_split.Split, truth: GroundTruth, tmp_path: Path
) -> None:
    said: list[str] = []
    study = studies.run_toy([split.paths[4], split.paths[1]], tmp_path / "part", truth=truth, say=said.append)
    assert [ref.image_id for ref in study.images] == [28, 7]
    assert said[0] == f"2 of the truth's {N} images are run; the others count nowhere"
    assert "no torch model and has no `facts`" in said[1]
    results = measure(study, settings=FAST)
    assert results.truth.image_ids.tolist() == [7, 28]
    assert numbers(study) == numbers(study, truth=truth.subset([7, 28]))


def test_names_with_folders_are_told_by_the_ends_of_paths(tmp_path: Path) -> None:
    paths = [tmp_path / side / "a.ppm" for side in ("left", "right")]
    for path, scene in zip(paths, studies.scenes(tmp_path / "scenes", 2), strict=True):
        path.parent.mkdir()
        shutil.copy(scene, path)
    nothing = [([], []), ([], [])]
    names = ["right/a.ppm", "left/a.ppm"]
    truth = GroundTruth.from_arrays(nothing, [1, 2], {1: "red"}, file_names=names)
    study = studies.run_toy(paths, tmp_path / "out", truth=truth)
    assert study.image_folder == tmp_path, "from where the names lead to the images"
    assert study.images == (ImageRef("left/a.ppm", 2), ImageRef("right/a.ppm", 1))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            {"images": ["other.ppm"]},
            r"images of `truth`, but .*other.ppm is not among its images \(000.ppm, 001.ppm, …; 1 of 1 such",
        ),
        ({"images": ["000.ppm", "000.ppm"]}, "each image once, but 000.ppm is given 2 times"),
        ({"names": ["000.ppm"] * N}, f"000.ppm is {N} of its images"),
        ({"names": [""] * N}, "`truth` names no files"),
        (
            {"truth": "truth.json"},
            r"ground truth that was read, got truth.json. Pass what `dissect_eval.GroundTruth",
        ),
        ({"truth": {"images": []}}, "ground truth that was read, got its content"),
        ({"truth": [1]}, "have `file_names`, `image_ids` and `to_coco`.*got list"),
        ({"refs": [ImageRef("000.ppm", 1)], "images": ["000.ppm"]}, r"the id 1 \(000.ppm\) is none of its 6"),
        ({"files": {"truth.json": b"{}"}, "truth": None}, "truth.json that is no COCO instances file"),
        (
            {"files": {"truth.json": b'{"images": [], "annotations": [], "categories": []}'}},
            "differs from `truth`",
        ),
    ],
)
def test_truth_and_images_that_do_not_fit_are_named(
    split: toy_split.Split, truth: GroundTruth, tmp_path: Path, change: dict[str, Any], match: str
) -> None:
    images = [split.images / name for name in change.pop("images", [path.name for path in split.paths])]
    names = change.pop("names", truth.file_names)
    if names != truth.file_names:
        content = truth.to_coco()
        for image, name in zip(content["images"], names, strict=True):
            image["file_name"] = name
        change = {"truth": GroundTruth.from_coco(content)}
    with pytest.raises(StudyError, match=match):
        studies.run_toy(images, tmp_path / "out", **{"truth": truth, **change})
    assert not (tmp_path / "out").exists()


def halved(content: dict[str, Any]) -> None:
    for one in content["annotations"]:
        one["bbox"][2] /= 2


def one_more(content: dict[str, Any]) -> None:
    content["annotations"].append({**content["annotations"][0], "id": 999})


def renamed(content: dict[str, Any]) -> None:
    content["categories"][0]["name"] = "crimson"


def larger(content: dict[str, Any]) -> None:
    content["images"][1]["width"] += 1


def crowded(content: dict[str, Any]) -> None:
    content["annotations"][0]["iscrowd"] = 1


def renumbered(content: dict[str, Any]) -> None:
    content["annotations"][0]["id"] = 999


def reordered(content: dict[str, Any]) -> None:
    content["annotations"].reverse()


def moved_ids(content: dict[str, Any]) -> None:
    content["images"][0]["id"] = 1
    for one in content["annotations"]:
        one["image_id"] = one["image_id"] or 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            halved,
            r"truth: other coordinates of (\d+) of \1 boxes, in 6 of 6 images \(000.ppm, 001.ppm, 002.ppm, and 3",
        ),
        (one_more, r"truth: (\d+) → \d+ boxes, in 1 of 6 images \(000.ppm\)\."),
        (renamed, r"truth: other categories \(1 red → crimson\)\."),
        (larger, r"truth: other sizes of 1 of 6 images\."),
        (crowded, r"truth: other crowd flags of 1 of \d+ boxes, in 1 of 6 images \(000.ppm\)\."),
        (renumbered, r"truth: other ids of annotations\."),
        (reordered, r"truth: the same boxes in another order\."),
        (moved_ids, r"other ids of 1 of 6 images \(000.ppm 0 → 1\)\."),
    ],
)
def test_a_changed_annotation_file_is_refused(
    folder: Path, split: toy_split.Split, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    content = json.loads(split.annotations.read_text())
    change(content)
    with pytest.raises(StudyChangedError, match="since it is another one: " + said):
        studies.run_toy(split.paths, folder, truth=GroundTruth.from_coco(content))
    other = GroundTruth.from_coco(content)
    refs = [ImageRef(*ref) for ref in zip(other.file_names, other.image_ids.tolist(), strict=True)]
    with pytest.raises(StudyChangedError, match="since it is another one: " + said):
        studies.run_toy(split.paths, folder, refs=refs, files={"truth.json": json.dumps(content).encode()})


def test_another_truth_of_the_same_is_no_change(folder: Path, split: toy_split.Split) -> None:
    """What does not count may differ: outlines, the order of images, images that are not run."""
    content = json.loads(split.annotations.read_text())
    for one in content["annotations"]:
        one["segmentation"] = [[0, 0, 1, 1]]
    content["images"] = [{"id": 99, "file_name": "more.ppm"}, *content["images"][::-1]]
    assert studies.run_toy(split.paths, folder, truth=GroundTruth.from_coco(content)).is_complete


def test_a_truth_is_neither_added_nor_left_out_later(
    folder: Path, split: toy_split.Split, truth: GroundTruth, tmp_path: Path
) -> None:
    with pytest.raises(StudyChangedError, match="there was a truth"):
        refs = [ImageRef(*ref) for ref in zip(truth.file_names, truth.image_ids.tolist(), strict=True)]
        studies.run_toy(split.paths, folder, refs=refs)
    refs = [ImageRef(path.name, 7 * i) for i, path in enumerate(split.paths)]
    bare = studies.run_toy(split.paths, tmp_path / "bare", refs=refs)
    with pytest.raises(StudyChangedError, match="there was no truth"):
        studies.run_toy(split.paths, bare.path, truth=truth)


@pytest.mark.filterwarnings("ignore::dissect_core.store.UncheckedStudyWarning")
def test_the_kept_truth_is_checked_when_it_is_measured(folder: Path, truth: GroundTruth) -> None:
    before = numbers(Study.open(folder))
    studies.as_format(folder, 2)  # without checksums of files
    content = json.loads((folder / "truth.json").read_text())
    (folder / "truth.json").write_text(json.dumps(content, indent=2))  # laid out otherwise: the same
    assert numbers(Study.open(folder)) == before
    halved(content)
    (folder / "truth.json").write_text(json.dumps(content))
    with pytest.raises(
        StudyDataError, match=r"^\S+truth.json is another truth than .* with \(other values\). Restore it"
    ):
        measure(Study.open(folder), settings=FAST)
    assert numbers(Study.open(folder), truth=truth) == before
    content["annotations"] = content["annotations"][1:]
    (folder / "truth.json").write_text(json.dumps(content))
    with pytest.raises(StudyDataError, match=rf"\({truth.n_boxes} → {truth.n_boxes - 1} boxes\)"):
        measure(Study.open(folder), settings=FAST)
    (folder / "truth.json").write_text("{")
    with pytest.raises(StudyDataError, match=r"truth\.json is damaged: it is no JSON"):
        measure(Study.open(folder), settings=FAST)


def test_an_image_that_became_another_one_is_named(
    split: toy_split.Split, truth: GroundTruth, folder: Path, tmp_path: Path
) -> None:
    copies = [Path(shutil.copy(path, tmp_path)) for path in split.paths]
    assert studies.run_toy(copies, folder, truth=truth).is_complete
    copies[2].write_bytes(copies[3].read_bytes())
    with pytest.raises(
        StudyChangedError, match=r"files of 1 of its 6 images are others .* used: 002.ppm. Restore"
    ):
        studies.run_toy(copies, folder, truth=truth)
    copies[4].unlink()
    with pytest.raises(StudyChangedError, match=r"002\.ppm, 004\.ppm cannot be read any more"):
        studies.run_toy(copies, folder, truth=truth)


def test_an_image_may_be_mended_before_it_was_used(
    split: toy_split.Split, truth: GroundTruth, made: Path, tmp_path: Path
) -> None:
    copies = [Path(shutil.copy(path, tmp_path)) for path in split.paths]
    copies[5].unlink()
    with pytest.raises(BadImageError, match=r"005\.ppm"):
        studies.run_toy(copies, tmp_path / "out", truth=truth)
    assert 0 < Study.open(tmp_path / "out").progress()[0] < 3
    shutil.copy(split.paths[5], copies[5])
    assert studies.run_toy(copies, tmp_path / "out", truth=truth).is_complete
    assert studies.digests(tmp_path / "out") == studies.digests(made)
    assert '"images mended"' in (tmp_path / "out" / "log.jsonl").read_text()


def test_other_weights_are_told_as_such(split: toy_split.Split, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    detector = studies.tiny_torch_detector()
    heads = {"unit": "head", "components": "*"}
    one = {"name": "heads", "target": heads, "select": {"by": "each"}}
    options = {"spec": studies.load_spec({"name": "tiny", "ablations": [one]})}
    stop = StopRequest()
    stop.ask()
    studies.run_toy(split.paths, tmp_path / "out", detector, stop=stop, **options)
    with torch.no_grad():
        next(detector.model.parameters()).view(-1)[0] += 1
    with pytest.raises(StudyChangedError, match=r"since it is another one: weights of other values\."):
        studies.run_toy(split.paths, tmp_path / "out", detector, **options)


def test_images_added_removed_and_in_another_order(
    folder: Path, split: toy_split.Split, truth: GroundTruth
) -> None:
    for images, said in (
        (split.paths[:-1], r"6 → 5 images \(removed 005.ppm\)\."),
        (split.paths[::-1], r"the same 6 images in another order\."),
    ):
        with pytest.raises(StudyChangedError, match="since it is another one: " + said):
            studies.run_toy(images, folder, truth=truth)


def as_format_1(folder: Path, split: toy_split.Split) -> None:
    """Make of a study what the versions before kept of it: fewer facts, and annotations as they were in the file."""

    def change(frozen: dict[str, Any]) -> None:
        del frozen["truth"]
        frozen |= {"annotations_sha256": "0" * 64, "plan": "1" * 64}
        frozen["spec"]["detector"] = None

    studies.as_format(folder, 1, change)
    images = pq.read_table(folder / "images.parquet").drop_columns(["sha256"])
    pq.write_table(images, folder / "images.parquet")
    shutil.copy(split.annotations, folder / "truth.json")


@pytest.mark.filterwarnings("ignore::dissect_core.store.UncheckedStudyWarning")
def test_a_study_of_the_first_format_goes_on_unless_what_it_recorded_differs(
    folder: Path, split: toy_split.Split, truth: GroundTruth
) -> None:
    before = numbers(Study.open(folder))
    as_format_1(folder, split)
    assert numbers(Study.open(folder)) == before
    (folder / "detections" / "shard-00001.parquet").unlink()
    assert studies.run_toy(split.paths, folder, truth=truth).is_complete
    assert numbers(Study.open(folder)) == before
    content = json.loads(split.annotations.read_text())
    halved(content)
    for change, said in (
        ({"truth": GroundTruth.from_coco(content)}, "truth: other coordinates of"),
        ({"spec": studies.toy_spec(seed=4)}, "spec.seed was 3, is now 4"),
        ({"images": split.paths[:4]}, "6 → 4 images"),
        ({"on_bad_image": "skip"}, "on_bad_image was"),
        ({"detector": OtherSettings()}, None),
        ({"detector": OtherClasses()}, r"other class names \(blue → cyan\)"),
    ):
        options: dict[str, Any] = {"truth": truth, **change}
        with nullcontext() if said is None else pytest.raises(StudyChangedError, match=said):
            studies.run_toy(options.pop("images", split.paths), folder, **options)
    # A cluster asks before it has a detector.
    refs = [ImageRef(*ref) for ref in zip(truth.file_names, truth.image_ids.tolist(), strict=True)]
    kept = KeptTruth.of(truth, refs)
    begun = StudyFolder(folder)
    facts = {"spec": studies.toy_spec().identity, "truth": kept.facts, "batch_size": 2}
    begun.require_same(facts, Behind(refs, kept.content), whole=False)
    with pytest.raises(StudyChangedError, match=r"another one: truth: \d+ → 0 boxes"):
        nothing = KeptTruth.of(GroundTruth.from_coco({**content, "annotations": []}), refs)
        begun.require_same(facts, Behind(refs, nothing.content), whole=False)


def test_a_kept_truth_is_recognised_by_what_it_says(truth: GroundTruth) -> None:
    refs = [ImageRef(*ref) for ref in zip(truth.file_names, truth.image_ids.tolist(), strict=True)]
    kept = KeptTruth.of(truth, refs)
    again = KeptTruth.of(GroundTruth.from_coco(json.loads(kept.content)), refs)
    assert again.facts == kept.facts
    assert kept.facts["boxes"] == truth.n_boxes
    assert KeptTruth.of(truth, refs[:2]).facts != kept.facts
    np.testing.assert_array_equal(GroundTruth.from_coco(json.loads(kept.content)).boxes, truth.boxes)


class OtherClasses(ToyDetector):
    class_names = ("red", "green", "cyan")


class OtherSettings(ToyDetector):
    facts: ClassVar = {"config": {"model": "a", "test_pipeline": "b"}, "missing": 0}


class MoreSettings(ToyDetector):
    facts: ClassVar = {"config": {"model": "a", "test_pipeline": "c"}, "missing": 3}


def test_facts_of_the_detector_are_told(split: toy_split.Split, tmp_path: Path) -> None:
    studies.run_toy(split.paths, tmp_path / "out", OtherSettings())
    with pytest.raises(
        StudyChangedError, match=r"another config \(test pipeline\); detector.missing was 0, is now 3"
    ):
        studies.run_toy(split.paths, tmp_path / "out", MoreSettings())


def with_content(truth: GroundTruth, change: Callable[[dict[str, Any]], object]) -> GroundTruth:
    content = json.loads(json.dumps(truth.to_coco()))
    change(content)
    return GroundTruth.from_coco(content)


def names_moved_on(content: dict[str, Any]) -> None:
    """The ids are those of the study, but of other images."""
    names = [image["file_name"] for image in content["images"]]
    for image, name in zip(content["images"], [*names[1:], names[0]], strict=True):
        image["file_name"] = name


def one_less(content: dict[str, Any]) -> None:
    gone = content["images"].pop()["id"]
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != gone]


def twice_as_wide(content: dict[str, Any]) -> None:
    content["images"][0]["width"] *= 2


def in_a_folder(content: dict[str, Any]) -> None:
    for image in content["images"]:
        image["file_name"] = f"val/{image['file_name']}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            names_moved_on,
            rf"gives another image the id \d+, \S+, which is \S+ in the study \S+ \({N} of {N} such",
        ),
        (one_less, rf"has no image of the id \d+, which is \S+ in the study \S+ \(1 of {N} such images\)"),
        (
            twice_as_wide,
            rf"x \d+ pixels, and the study \S+ saw \d+ x \d+ \(1 of {N} such images\): its boxes would",
        ),
    ],
)
def test_another_truth_is_of_the_same_images(
    change: Callable[[dict[str, Any]], object], message: str, made: Path, truth: GroundTruth
) -> None:
    with pytest.raises(StudyDataError, match=message):
        numbers(Study.open(made), truth=with_content(truth, change))


def test_another_truth_may_name_files_with_their_folder(made: Path, truth: GroundTruth) -> None:
    study = Study.open(made)
    assert numbers(study, truth=with_content(truth, in_a_folder)) == numbers(study)


def test_a_truth_that_got_lost_comes_back_with_the_same_call(
    folder: Path, split: toy_split.Split, truth: GroundTruth
) -> None:
    kept = (folder / "truth.json").read_bytes()
    (folder / "truth.json").unlink()
    with pytest.raises(StudyError, match=r"its truth\.json is missing"):
        numbers(Study.open(folder))
    studies.run_toy(split.paths, folder, truth=truth)
    assert (folder / "truth.json").read_bytes() == kept
