"""A study's folder: never half-written, never mixed with another study, and safe to open whoever made it."""

import errno
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

import studies  # noqa: E402
from dissect_core import StudyChangedError, StudyError  # noqa: E402
from dissect_core.detectors import ImageDetections  # noqa: E402
from dissect_core.study import ImageRef, Row, Study, StudyFolder  # noqa: E402
from dissect_core.study import _shards as shards  # noqa: E402
from dissect_core.study._rows import rows_to_table  # noqa: E402
from toy_detector import ToyDetector  # noqa: E402


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return studies.scenes(tmp_path_factory.mktemp("study") / "images", 5)


@pytest.fixture(scope="module")
def made(images: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studies.run_toy(images, tmp_path_factory.mktemp("made") / "out").path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "study"))


class OtherClasses(ToyDetector):
    class_names = ("red", "green", "cyan")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"spec": studies.toy_spec(seed=4)}, "spec.seed was 3, is now 4"),
        ({"batch_size": 1}, "batch_size was 2, is now 1"),
        ({"shard_images": 2}, "`shard_images`: 4 → 2"),
        ({"detector": OtherClasses()}, r"since it is another one: other class names \(blue → cyan\)\."),
        ({"facts": {"checkpoint": "abc"}}, 'checkpoint was not there, is now "abc"'),
        ({"on_bad_image": "skip"}, 'on_bad_image was "fail", is now "skip"'),
        (
            {"refs": [ImageRef("a", i) for i in range(5)]},
            r"other images \(added a, a, a, and 2 more, removed 000\.ppm",
        ),
    ],
)
def test_another_study_is_refused_with_the_difference(
    folder: Path, images: list[Path], change: dict[str, Any], said: str
) -> None:
    before = studies.digests(folder)
    with pytest.raises(StudyChangedError, match=said):
        studies.run_toy(images, folder, change.pop("detector", None), **change)
    assert studies.digests(folder) == before


def test_fewer_images_and_other_versions_are_named(folder: Path, images: list[Path]) -> None:
    with pytest.raises(StudyChangedError, match=r"another one: 5 → 4 images \(removed .*ppm\)\."):
        studies.run_toy(images[:4], folder)
    content = json.loads((folder / "environment.json").read_text())
    content["frozen"]["versions"]["numpy"] = "1.0"
    (folder / "environment.json").write_text(json.dumps(content))
    with pytest.raises(StudyChangedError, match=r'versions.numpy was "1.0", is now'):
        studies.run_toy(images, folder)


def test_a_folder_with_other_files_is_not_touched(images: list[Path], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(StudyError, match="holds files and is no study"):
        studies.run_toy(images, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(StudyError, match="holds files and is no study"):
        studies.run_toy(images, tmp_path / "thesis.tex")
    (tmp_path / "empty").mkdir()
    assert studies.run_toy(images, tmp_path / "empty").is_complete


def test_a_damaged_file_is_made_again_and_the_same(folder: Path, images: list[Path]) -> None:
    before = studies.digests(folder)
    shard = folder / "detections" / "shard-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(StudyError, match=r"shard-00000.parquet is damaged.*Delete it and run"):
        Study.open(folder).found("baseline")
    assert Study.open(folder).progress() == (1, 3)
    assert studies.run_toy(images, folder).is_complete
    assert studies.digests(folder) == before
    assert '"damaged"' in (folder / "log.jsonl").read_text()


@pytest.mark.parametrize("fails_at", range(1, 9))
def test_a_full_disk_is_an_error_and_nothing_is_lost(
    images: list[Path], made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    calls = 0

    def full(file: int) -> None:
        nonlocal calls
        calls += stat.S_ISREG(os.fstat(file).st_mode)  # a folder need not be synced
        if calls == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StudyError, match="the disk is full"):
        studies.run_toy(images, tmp_path / "out")
    assert not list(tmp_path.rglob("*.tmp"))
    monkeypatch.undo()
    assert studies.run_toy(images, tmp_path / "out").is_complete
    assert studies.digests(tmp_path / "out") == studies.digests(made)


@settings(max_examples=50)
@given(st.data())
def test_rows_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    floats = st.floats(width=64, allow_nan=True, allow_infinity=True)
    rows = []
    for variant, image in [(1, 0), (0, 0), (1, 3), (0, 3)]:
        n = data.draw(st.integers(0, 4))
        found = ImageDetections(
            data.draw(arrays(np.float64, (n, 4), elements=floats)),
            data.draw(arrays(np.float64, n, elements=floats)),
            data.draw(arrays(np.int64, n, elements=st.integers(0, 2**31 - 1))),
            data.draw(st.none() | arrays(np.int64, n, elements=st.integers(0, 2**31 - 1))),
        )
        rows.append(Row(variant, image, "ok", 2**40, n, found))
    path = tmp_path_factory.mktemp("rows") / "a.parquet"
    shards.write_shard(path, rows_to_table(rows), "print")
    again = path.with_name("b.parquet")
    shards.write_shard(again, rows_to_table(rows[::-1]), "print")
    assert path.read_bytes() == again.read_bytes()
    assert shards.is_whole(path, "print", 4)
    assert not shards.is_whole(path, "print", 5)
    assert not shards.is_whole(path, "another", 4)
    read = {(r["variant"], r["image"]): r for r in shards.read_shard(path, "print").to_pylist()}
    for row in rows:
        one = read[row.variant, row.image]
        assert row.found is not None
        np.testing.assert_array_equal(np.array(one["boxes"]).reshape(-1, 4), row.found.boxes)
        np.testing.assert_array_equal(one["scores"], row.found.scores)
        assert one["labels"] == row.found.labels.tolist()
        assert one["queries"] == (None if row.found.queries is None else row.found.queries.tolist())
        assert one["masked"] == 2**40
    assert shards.read_shard(path, "print", [1]).column("variant").to_pylist() == [1, 1]


def test_shards_of_versions_that_knew_no_queries_are_read(tmp_path: Path) -> None:
    one = ImageDetections(np.ones((2, 4)), np.ones(2), np.zeros(2, dtype=np.int64), np.array([5, 6]))
    table = rows_to_table([Row(0, 0, "ok", 0, 0, one)])
    shards.write_shard(tmp_path / "new.parquet", table, "p")
    shards.write_shard(tmp_path / "old.parquet", table.drop_columns(["queries"]), "p")
    new, old = (shards.read_shard(tmp_path / f"{name}.parquet", "p") for name in ("new", "old"))
    assert new.column("queries").to_pylist() == [[5, 6]]
    assert old.column("queries").to_pylist() == [None]
    assert old.schema.names == new.schema.names
    assert old.drop_columns(["queries"]).equals(new.drop_columns(["queries"]))
    only = shards.read_shard(tmp_path / "old.parquet", "p", [0], ["queries"])
    assert only.schema.names == ["variant", "queries"]
    assert "queries" not in shards.read_shard(tmp_path / "old.parquet", "p", [0], ["scores"]).schema.names


def test_one_variant_of_many_reads_its_row_groups_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = ImageDetections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))
    rows = [Row(v, i, "ok", 0, 0, nothing) for v in range(40) for i in range(64)]
    shards.write_shard(tmp_path / "a.parquet", rows_to_table(rows), "p")
    read: list[list[int]] = []
    plain = pq.ParquetFile.read_row_groups

    def noted(self: Any, groups: list[int], **options: Any) -> Any:
        read.append(list(groups))
        return plain(self, groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", noted)
    assert shards.read_shard(tmp_path / "a.parquet", "p", [13]).num_rows == 64
    assert read == [[3]]  # four variants of 64 images a group


def test_an_unknown_variant_names_near_ones(made: Path) -> None:
    with pytest.raises(
        StudyError, match=r"no variant 'channels/channel/each/features:9'. Did you mean channels"
    ):
        Study.open(made).found("channels/channel/each/features:9")
    with pytest.raises(StudyError, match="no such folder"):
        Study.open(made / "nowhere")
    with pytest.raises(StudyError, match=r"no study: it holds no environment.json"):
        Study.open(made / "detections")


def test_a_batch_with_rows_missing_is_refused(made: Path) -> None:
    folder = StudyFolder(made)
    with pytest.raises(StudyError, match="one row for each of 15 variants and 2 images, got 1 rows"):
        folder.write_batch(0, [Row(0, 0, "bad image", 0, 0, None)])
