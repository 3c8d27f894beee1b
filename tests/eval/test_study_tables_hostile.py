"""Tables of a study's folder that somebody wrote as nobody measures them."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

import damage  # noqa: E402
from dissect_core.store import Study  # noqa: E402
from dissect_eval import StudyDataError  # noqa: E402
from dissect_eval.study import Settings, StudyTables, measure  # noqa: E402
from dissect_eval.study.stored._about import sealed  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = damage.small_study(tmp_path_factory.mktemp("made"))
    results = measure(Study.open(folder), settings=Settings(n_replicates=0))
    for name, content in StudyTables.of(results).files().items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "study"))


def seal(folder: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
    """Write checksums that fit: whoever made the folder meant it."""
    about = json.loads((folder / "summary.json").read_text())
    del about["sha256"]
    about["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in about["files"]
    }
    change(about)
    (folder / "summary.json").write_text(json.dumps(sealed(about)))


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("summary", "id", 3),
        ("summary", "id", "baseline"),
        ("summary", "kind", [1]),
        ("summary", "dose", "a half"),
        ("summary", "dose", None),
        ("summary", "removed", ["encoder"]),
        ("summary", "AP_low", b"low"),
        ("per_class", "category", {"name": "car"}),
        ("errors", "ap", "x" * 10**6),
        ("errors", "variant", "another"),
        ("repeats", "mean", [0.5]),
    ],
)
def test_columns_hold_what_is_written(folder: Path, table: str, column: str, value: Any) -> None:
    path = folder / f"{table}.parquet"
    content = pq.read_table(path)
    at = content.column_names.index(column)
    pq.write_table(content.set_column(at, column, pa.array([value] * content.num_rows)), path)
    seal(folder)
    with pytest.raises(StudyDataError, match=rf"^\S+{table}.parquet cannot be read: it") as refused:
        StudyTables.read(folder)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batches", 3),
        ("n_images", "many"),
        ("selections", [1]),
        ("notes", {"a": 1}),
        ("settings", {"metrics": []}),
        ("settings", {"metrics": ["AP", "luck"]}),
        ("settings", {"metrics": ["AP"], "confidence": "high"}),
    ],
)
def test_what_is_said_of_tables_is_of_its_types(folder: Path, name: str, value: Any) -> None:
    seal(folder, lambda about: about.update({name: value}))
    with pytest.raises(StudyDataError, match=rf"summary.json cannot be read: its `{name}"):
        StudyTables.read(folder)


def test_tables_are_no_larger_than_what_is_measured(folder: Path) -> None:
    path = folder / "errors.parquet"
    content = pq.read_table(path).slice(0, 1)
    pq.write_table(content.take(pa.array([0] * 10**6)), path)
    seal(folder)
    with pytest.raises(StudyDataError, match=r"errors.parquet cannot be read: it would take"):
        StudyTables.read(folder)


def test_tables_are_read_as_they_were(folder: Path) -> None:
    before = StudyTables.read(folder)
    seal(folder)
    assert StudyTables.read(folder).about == before.about
