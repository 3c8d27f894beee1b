"""The ten lines by which the front door is designed run as they are written."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import deep_dissect as dd

TEN_LINES = """
import deep_dissect as dd

detector = dd.open_detector("demo:deformable_detr")            # or ("mmdet", config=..., checkpoint=...), …
data     = dd.CocoSplit("instances_val2017.json", "val2017", limit=500)
plan     = dd.plan("layer_knockout", detector)
with detector.ablated(plan[3]) as report:
    found = detector.predict(data.images[:8])
study    = dd.run_study(plan, detector, data, "out/layers", batch_size=4)
results  = study.measure(replicates=200)
results.summary
results.report()
dd.compare("out/layers", "out/other")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images under the names that the lines use, and an earlier study of another detector."""
    from dissect_mmdet.demo import write_split

    images, annotations = write_split(tmp_path / "scenes", "test", 10)
    shutil.copy(annotations, tmp_path / "instances_val2017.json")
    shutil.copytree(images, tmp_path / "val2017")
    monkeypatch.chdir(tmp_path)
    data = dd.CocoSplit("instances_val2017.json", "val2017", limit=4)
    dd.run_study("layer_knockout", "demo:detr", data, "out/other", batch_size=4)
    return tmp_path


def test_the_ten_lines_run_as_written(folder: Path) -> None:
    names: dict[str, Any] = {}
    *lines, last = TEN_LINES.strip().splitlines()
    exec("\n".join(lines), names)
    compared = eval(last, names)
    assert len(names["found"]) == 8
    assert names["report"].changed or names["report"].masked
    assert names["study"].is_complete
    assert names["results"].measured.settings.n_replicates == 200
    assert len(names["results"].summary) == len(names["plan"]) == 22
    assert (folder / "out/layers/report.html").is_file()
    assert len(compared.rows) > 10
    # The same lines again go on with the same study; what differs is refused.
    again = dd.run_study(names["plan"], names["detector"], names["data"], "out/layers", batch_size=4)
    assert again.is_complete
    with pytest.raises(dd.ERRORS, match=r"truth|images"):
        dd.run_study(names["plan"], names["detector"], names["data"][:9], "out/layers", batch_size=4)
