"""Damage anywhere in a study's folder: equal numbers, or a refusal that names the file."""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

import damage  # noqa: E402
import studies  # noqa: E402
from dissect_core import DissectError, StudyError, StudyLockedError  # noqa: E402
from dissect_core.store import Study, StudyFolder, UncheckedStudyWarning  # noqa: E402
from dissect_eval import EvalError, GroundTruth  # noqa: E402

COUNTS = ("variants", "batch_size", "shard_batches")

SEED = int(os.environ.get("DISSECT_DAMAGE_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
TRIALS = int(os.environ.get("DISSECT_DAMAGE_TRIALS", "60"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return damage.small_study(tmp_path_factory.mktemp("made"))


def test_numbers_are_equal_or_refused(made: Path, tmp_path: Path) -> None:
    before, rng = damage.numbers(made), random.Random(SEED)
    refusals = []
    for trial in range(TRIALS):
        folder = Path(shutil.copytree(made, tmp_path / str(trial)))
        what = f"DISSECT_DAMAGE_SEED={SEED}, trial {trial}: {damage.damage(folder, rng)}"
        try:
            found = damage.numbers(folder)
        except (DissectError, EvalError) as error:
            refusals.append(str(error))
        else:
            assert found == before, what
        shutil.rmtree(folder)
    assert len(refusals) > TRIALS // 2, f"DISSECT_DAMAGE_SEED={SEED}: only {len(refusals)} were refused"
    assert all(len(text.splitlines()) == 1 for text in refusals)


def facts(**changed: Any) -> Callable[[Path], None]:
    """Other facts, with checksums that fit: whoever made the folder meant it."""
    return lambda folder: studies.edit_record(folder, lambda content: content["frozen"].update(changed))


def longer_lists(folder: Path) -> None:
    """A few kilobytes that hold more boxes than images have."""
    path = folder / "detections" / "shard-00000.parquet"
    table = pq.read_table(path)
    field, n = table.schema.field("boxes"), 12 * 10**6
    ends = np.concatenate([[0], np.full(table.num_rows, n)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(np.zeros(n)), type=field.type)
    pq.write_table(
        table.set_column(table.schema.names.index("boxes"), field, lists), path, compression="zstd"
    )


def fewer_in_the_footer(folder: Path) -> None:
    """The same, and a footer that says nothing of it."""
    longer_lists(folder)
    path = folder / "detections" / "shard-00000.parquet"
    content = path.read_bytes()
    size = int.from_bytes(content[-8:-4], "little")
    footer, column = content[-8 - size : -8], pq.ParquetFile(path).metadata.row_group(0).column(5)
    for told in (column.num_values, column.total_uncompressed_size):
        footer = footer.replace(varint(2 * told), varint(2 * 100, len(varint(2 * told))))
    path.write_bytes(content[: -8 - size] + footer + content[-8:])
    assert pq.ParquetFile(path).metadata.row_group(0).column(5).num_values == 100


def varint(value: int, n_bytes: int = 0) -> bytes:
    """Thrift's, of some bytes at least."""
    parts = [value & 127]
    while (value := value >> 7) or len(parts) < n_bytes:
        parts.append(value & 127)
    return bytes([part | 128 for part in parts[:-1]] + parts[-1:])


def one_text_for_all(folder: Path) -> None:
    """A text that a dictionary holds once."""
    path = folder / "plan.parquet"
    table = pq.read_table(path)
    text = pa.array(["x" * 3 * 10**6] * table.num_rows)
    at = table.schema.names.index("ablation")
    table = table.set_column(at, table.schema.field(at), text)
    pq.write_table(table, path, dictionary_pagesize_limit=10**8)
    record(path)


def texts_by_their_beginnings(folder: Path) -> None:
    """Texts of which each is all of the one before."""
    path = folder / "plan.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path, use_dictionary=False, column_encoding={"id": "DELTA_BYTE_ARRAY"})
    record(path)


def longer_text(folder: Path) -> None:
    path = folder / "plan.parquet"
    table = pq.read_table(path)
    text = pa.array(["x" * 3 * 10**7] * table.num_rows)
    pq.write_table(table.set_column(1, table.schema.field("ablation"), text), path, compression="zstd")
    record(path)


def twice_an_id(folder: Path) -> None:
    path = folder / "images.parquet"
    table = pq.read_table(path)
    ids = pa.array([7] * table.num_rows)
    at = table.schema.names.index("image_id")
    pq.write_table(table.set_column(at, table.schema.field(at), ids), path)
    record(path)


def other_types(table: str, column: str, value: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / f"{table}.parquet"
        content = pq.read_table(path)
        at = content.column_names.index(column)
        pq.write_table(content.set_column(at, column, pa.array([value] * content.num_rows)), path)
        record(path)

    return change


def record(path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    studies.edit_record(path.parent, lambda content: content["files"].update({path.name: digest}))


def without_checksums(folder: Path) -> None:
    path = folder / "detections" / "shard-00001.parquet"
    table = pq.read_table(path)
    mark = {b"dissect_core.study": StudyFolder(folder).fingerprint.encode()}
    pq.write_table(table.replace_schema_metadata(mark), path)


def swapped_shards(folder: Path) -> None:
    first, second = sorted((folder / "detections").iterdir())
    first.rename(folder / "aside")
    second.rename(first)
    (folder / "aside").rename(second)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        *((facts(**{name: value}), name) for name in COUNTS for value in (10**12, -1, "3", True, None, 1.5)),
        (facts(variants=2**31 - 1), "belongs to another study"),
        (facts(detector={}), "class_names"),
        (facts(detector={"class_names": [1, 2]}), "class_names"),
        (facts(images={"count": 10**12}), "count"),
        (facts(scoring={"class_map": [1]}), "scoring"),
        (facts(spec=3), "spec"),
        (longer_lists, "bytes are too many"),
        (fewer_in_the_footer, "column boxes.list.element has other pages than its footer says"),
        (one_text_for_all, "it would take"),
        (texts_by_their_beginnings, "unknown encoding"),
        (longer_text, "it would take"),
        (other_types("plan", "id", 3), "column `id` must be string, is int64"),
        (other_types("plan", "id", [3]), "column `id` must be string, is list"),
        (other_types("plan", "kind", b"ablation"), "column `kind` must be string, is binary"),
        (other_types("plan", "removed", ["encoder"]), "column `removed` must be list"),
        (other_types("plan", "dose", None), "column `dose` lacks a value"),
        (other_types("images", "file_name", None), "column `file_name` lacks a value"),
        (other_types("images", "image_id", 0.5), "column `image_id` must be int64, is double"),
        (twice_an_id, "`image_id` must name each row"),
        (without_checksums, "shard-00001.parquet is damaged: it has no checksums"),
        (swapped_shards, "rows instead of"),
        (lambda folder: (folder / "truth.json").unlink(), "its truth.json is missing"),
        (lambda folder: (folder / "plan.parquet").unlink(), "its plan.parquet is missing"),
        (
            lambda folder: (folder / "detections" / "shard-00001.parquet").unlink(),
            "shard-00001.parquet is missing now|2 of 3 batches",
        ),
    ],
)
def test_what_cannot_be_is_said_at_once(
    made: Path, tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "study"))
    change(folder)
    with pytest.raises((DissectError, EvalError), match=said):
        damage.numbers(folder)


@pytest.mark.parametrize("text", ['{"frozen": 1, "frozen": 2}', '{"frozen": ' + "9" * 5000 + "}"])
def test_odd_json_is_refused(made: Path, tmp_path: Path, text: str) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "study"))
    (folder / "environment.json").write_text(text)
    with pytest.raises(StudyError, match=r"gives 'frozen' twice|a number of 5,000 digits"):
        Study.open(folder)


def test_lines_of_a_log_that_are_none_are_left_out(made: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "study"))
    lines = [
        "[" * 100_000,
        "9" * 10_000,
        "null",
        '{"event": 3, "time": 4}',
        '{"event": ["started"], "time": "now"}',
        '{"event": "shard failed", "time": "now", "shard": 1, "images": 3, "error": "x"}',
        '{"event": "shard failed", "time": "now", "shard": 1, "images": [4, 5], "error": "x"}',
        json.dumps({"event": "e" * 2**21, "time": "now"}),
        json.dumps({"event": "e" * 1000, "time": "now"}),
    ]
    (folder / "log.jsonl").write_text("\n".join(lines))
    study = Study.open(folder)
    assert [entry["images"] for entry in study.failures()] == [[4, 5]]
    assert len(study.log()[-1]["event"]) <= 200


def test_folders_of_earlier_versions_are_read_with_one_warning(made: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "study"))
    before = damage.numbers(folder)
    studies.as_format(folder, 2)
    with pytest.warns(
        UncheckedStudyWarning, match="cannot be checked: it was begun by an earlier version"
    ) as seen:
        assert damage.numbers(folder) == before
    assert len(seen) == 1


def test_whatever_is_damaged_is_mended_on_request(made: Path, tmp_path: Path) -> None:
    split_paths = sorted((made.parent / "data" / "images").glob("*.ppm"))
    truth = GroundTruth.from_coco(made.parent / "data" / "truth.json")
    folder = Path(shutil.copytree(made, tmp_path / "study"))
    before = damage.numbers(folder)
    for name in ("truth.json", "plan.parquet", "images.parquet", "spec.yaml"):
        (folder / name).write_bytes(b"damaged")
    spec = damage.small_spec()
    with pytest.raises(StudyError, match="is damaged: it is not what was written"):
        studies.run_toy(split_paths, folder, spec=spec, truth=truth)
    studies.run_toy(split_paths, folder, spec=spec, truth=truth, repair=True)
    assert damage.numbers(folder) == before
    assert (folder / "plan.parquet.damaged").read_bytes() == b"damaged"


def test_nothing_is_mended_under_a_run_that_is_at_work(made: Path, tmp_path: Path) -> None:
    split_paths = sorted((made.parent / "data" / "images").glob("*.ppm"))
    truth = GroundTruth.from_coco(made.parent / "data" / "truth.json")
    folder = Path(shutil.copytree(made, tmp_path / "study"))
    (folder / "plan.parquet").write_bytes(b"damaged")
    names = {path.name for path in folder.iterdir()}
    with StudyFolder(folder).locked(), pytest.raises(StudyLockedError, match="is being run by"):
        studies.run_toy(split_paths, folder, spec=damage.small_spec(), truth=truth, repair=True)
    assert {path.name for path in folder.iterdir()} - {"run.lock"} == names - {"run.lock"}
    assert (folder / "plan.parquet").read_bytes() == b"damaged"


def test_what_cannot_be_put_aside_is_said(made: Path, tmp_path: Path) -> None:
    split_paths = sorted((made.parent / "data" / "images").glob("*.ppm"))
    truth = GroundTruth.from_coco(made.parent / "data" / "truth.json")
    folder = Path(shutil.copytree(made, tmp_path / "study"))
    shard = folder / "detections" / "shard-00000.parquet"
    shard.write_bytes(b"damaged")
    shard.with_name(f"{shard.name}.damaged").mkdir()
    with pytest.raises(StudyError, match=r"cannot be put aside as shard-00000.parquet.damaged"):
        studies.run_toy(split_paths, folder, spec=damage.small_spec(), truth=truth, repair=True)


@pytest.mark.parametrize("name", ["._shard-00000.parquet", "shard-00000 (1).parquet", "shard-0.parquet"])
def test_files_of_other_names_are_no_shards(made: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "study"))
    before = damage.numbers(folder)
    (folder / "detections" / name).write_bytes(b"left by another program")
    assert damage.numbers(folder) == before
