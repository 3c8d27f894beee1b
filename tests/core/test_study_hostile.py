"""A study's folder made by someone else: it runs no code, and what is wrong with it is said."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

import studies  # noqa: E402
from dissect_core import DissectError  # noqa: E402
from dissect_core.store import (  # noqa: E402
    Study,
    StudyFolder,
    _shards as shards,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    return studies.run_toy(studies.scenes(folder / "images", 5), folder / "out").path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "study"))


def break_json(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "environment.json").write_text(text)


def swap_column(folder: Path) -> None:
    path = folder / "detections" / "shard-00000.parquet"
    pq.write_table(pq.read_table(path).rename_columns([*"abcdefghi"]), path)


def break_lists(folder: Path) -> None:
    """A box too few: columns that do not fit each other."""
    path = folder / "detections" / "shard-00000.parquet"
    table = pq.read_table(path)
    boxes = [each[:-1] for each in table.column("boxes").to_pylist()]
    field = table.schema.field("boxes")
    broken = table.set_column(table.schema.get_field_index("boxes"), field, pa.array(boxes, field.type))
    shards.write_shard(path, broken, StudyFolder(folder).fingerprint)


@pytest.mark.parametrize(
    "attack",
    [
        break_json(""),
        break_json("[1]"),
        break_json('{"frozen": {"format": 99}}'),
        break_json('{"frozen": {"format": 1, "variants": "many"}}'),
        break_json('{"frozen": {"format": 1, "variants": 1, "images": {"count": -1}, "batch_size": 0}}'),
        break_json("[" * 100_000),
        lambda folder: (folder / "spec.yaml").write_text("!!python/object/apply:os.system ['touch pwned']"),
        lambda folder: (folder / "spec.yaml").write_text("[" * 100_000),
        lambda folder: (folder / "plan.parquet").write_bytes(b"PAR1 nonsense PAR1"),
        lambda folder: (folder / "plan.parquet").unlink(),
        lambda folder: shutil.copy(folder / "images.parquet", folder / "plan.parquet"),
        swap_column,
        break_lists,
        lambda folder: shutil.rmtree(folder / "detections"),
    ],
)
def test_a_hostile_folder_is_refused(
    folder: Path, attack: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    attack(folder)

    def look() -> None:
        study = Study.open(folder)
        assert study.spec
        assert study.images
        study.found(study.variants[1])

    with pytest.raises(DissectError) as caught:
        look()
    assert "study" in str(caught.value) or "spec" in str(caught.value)
    assert not (tmp_path / "pwned").exists()


@settings(max_examples=60)
@given(st.data())
def test_bytes_changed_anywhere_are_an_error_or_harmless(
    made: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = Path(shutil.copytree(made, tmp_path_factory.mktemp("fuzz") / "study"))
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)
    path = data.draw(st.sampled_from(files))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        study = Study.open(folder)
        assert isinstance(study.is_complete, bool)
        for variant in study.variants:
            study.found(variant).by_image()
    except DissectError:
        pass
