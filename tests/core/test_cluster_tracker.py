"""What a lost worker had written counts, also if it could not say so."""

from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import studies
from dissect_core.engine import Listener, PassDone, StopRequest
from dissect_core.engine._task import Caller
from dissect_core.engine.ray._queue import Shard
from dissect_core.engine.ray._tracker import Tracker
from dissect_core.engine.ray._worker import Step
from dissect_core.progress import no_bar
from dissect_core.store import StudyFolder
from dissect_core.store._holder import Holder
from dissect_core.store._shards import write_shard


def test_a_worker_lost_before_it_could_join_its_parts(tmp_path: Path) -> None:
    study = studies.run_toy(studies.scenes(tmp_path / "images", 4), tmp_path / "out")
    whole = studies.tables(study)
    folder = StudyFolder(study.path)
    shard_file = study.path / "detections" / "shard-00000.parquet"
    table = study.table()
    images = table.column("image").to_numpy()
    for batch in (0, 1):
        part = table.filter((images // 2) == batch)
        write_shard(shard_file.with_name(f"part-00000-{batch:05}.parquet"), part, folder.fingerprint)
    shard_file.unlink()
    passed: list[PassDone] = []
    caller = Caller(Listener(bar=no_bar, watch=passed.append, say=print), StopRequest(), Holder())
    with no_bar(30, "pass", "toy") as shown:
        tracker = Tracker(folder, 2, shown, caller, lambda: 1)
        shard = Shard(0, [0, 1])
        tracker.step(shard, Step(15, "baseline", 0))
        tracker.step(shard, Step(7, "baseline"))
        shard.faults.append(("node", "the worker on host died"))
        tracker.end(shard, False)
    assert shard.batches == []
    assert passed[-1][:2] == (30, 30)
    assert studies.tables(study) == whole
    assert sorted(path.name for path in shard_file.parent.iterdir()) == [shard_file.name]
