"""A study's folder: never half-written, never mixed with another study, and safe to open whoever made it."""

import errno
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

import studies  # noqa: E402
from dissect_core import StudyChangedError, StudyError  # noqa: E402
from dissect_core.detectors import ImageDetections  # noqa: E402
from dissect_core.store import (  # noqa: E402
    ImageRef,
    Row,
    Study,
    StudyFolder,
    _shards as shards,
)
from dissect_core.store._rows import rows_to_table  # noqa: E402
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
    studies.edit_record(folder, lambda content: content["frozen"]["versions"].update(numpy="1.0"))
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


def test_a_damaged_shard_is_named_and_made_again_on_request_alone(folder: Path, images: list[Path]) -> None:
    before = studies.digests(folder)
    shard = folder / "detections" / "shard-00000.parquet"
    damaged = shard.read_bytes()[:-100]
    shard.write_bytes(damaged)
    looks: list[Callable[[], object]] = [
        lambda: Study.open(folder).found("baseline"),
        lambda: Study.open(folder).progress(),
        lambda: studies.run_toy(images, folder),
    ]
    for look in looks:
        with pytest.raises(StudyError, match=r"shard-00000.parquet is damaged: .*Run .* with `repair`"):
            look()
    assert shard.read_bytes() == damaged
    assert studies.run_toy(images, folder, repair=True).is_complete
    assert studies.digests(folder) == before
    assert '"damaged"' in (folder / "log.jsonl").read_text()
    assert shard.with_name(f"{shard.name}.damaged").read_bytes() == damaged


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
    for variant, image in [(1, 3), (0, 3), (1, 4), (0, 4)]:
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
    file = shards.ShardFile(path, "print", 2, range(3, 5))
    file.check()
    for other, said in (
        (replace(file, n_variants=3), "4 rows instead of 6"),
        (replace(file, fingerprint="p"), "belongs to another study"),
        (replace(file, images=range(2, 4)), "not those of the study's variants and images"),
    ):
        with pytest.raises(StudyError, match=said):
            other.check()
    read = {(r["variant"], r["image"]): r for r in file.read().to_pylist()}
    for row in rows:
        one = read[row.variant, row.image]
        assert row.found is not None
        np.testing.assert_array_equal(np.array(one["boxes"]).reshape(-1, 4), row.found.boxes)
        np.testing.assert_array_equal(one["scores"], row.found.scores)
        assert one["labels"] == row.found.labels.tolist()
        assert one["queries"] == (None if row.found.queries is None else row.found.queries.tolist())
        assert one["masked"] == 2**40
    assert file.read([1]).column("variant").to_pylist() == [1, 1]


def test_shards_of_versions_that_knew_no_queries_are_read(tmp_path: Path) -> None:
    one = ImageDetections(np.ones((2, 4)), np.ones(2), np.zeros(2, dtype=np.int64), np.array([5, 6]))
    table = rows_to_table([Row(0, 0, "ok", 0, 0, one)])
    shards.write_shard(tmp_path / "new.parquet", table, "p")
    mark = {b"dissect_core.study": b"p"}
    pq.write_table(table.drop_columns(["queries"]).replace_schema_metadata(mark), tmp_path / "old.parquet")
    files = [
        shards.ShardFile(tmp_path / f"{name}.parquet", "p", 1, range(1), is_checked)
        for name, is_checked in (("new", True), ("old", False))
    ]
    new, old = (file.read() for file in files)
    assert new.column("queries").to_pylist() == [[5, 6]]
    assert old.column("queries").to_pylist() == [None]
    assert old.schema.names == new.schema.names
    assert old.drop_columns(["queries"]).equals(new.drop_columns(["queries"]))
    only = files[1].read([0], ["queries"])
    assert only.schema.names == ["variant", "queries"]
    assert "queries" not in files[1].read([0], ["scores"]).schema.names
    with pytest.raises(StudyError, match="it has no checksums"):
        replace(files[1], is_checked=True).read()


def test_one_variant_of_many_reads_its_row_groups_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = ImageDetections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))
    rows = [Row(v, i, "ok", 0, 0, nothing) for v in range(40) for i in range(64)]
    shards.write_shard(tmp_path / "a.parquet", rows_to_table(rows), "p")
    read: list[int] = []
    plain = pq.ParquetFile.read_row_group

    def noted(self: Any, group: int, **options: Any) -> Any:
        read.append(group)
        return plain(self, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", noted)
    assert shards.ShardFile(tmp_path / "a.parquet", "p", 40, range(64)).read([13]).num_rows == 64
    assert read == [3]  # four variants of 64 images a group


def test_an_unknown_variant_names_near_ones(made: Path) -> None:
    with pytest.raises(
        StudyError, match=r"no variant 'channels/channel/each/features:9'. Near matches: 'channels"
    ):
        Study.open(made).found("channels/channel/each/features:9")
    with pytest.raises(StudyError, match="no such folder"):
        Study.open(made / "nowhere")
    with pytest.raises(StudyError, match=r"no study: it holds no environment.json"):
        Study.open(made / "detections")


def test_a_batch_with_rows_missing_is_refused(made: Path) -> None:
    folder = StudyFolder(made)
    with pytest.raises(StudyError, match="one row for each of 15 variants and 2 images, got 1 rows"):
        folder.detections.write_batch(0, [Row(0, 0, "bad image", 0, 0, None)])
