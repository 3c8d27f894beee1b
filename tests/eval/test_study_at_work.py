"""Measuring a study while its run goes on: all numbers are of the images that were finished at the beginning."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import damage
import studies
import toy_split
from dissect_core.engine import StopRequest
from dissect_core.store import Study
from dissect_eval import GroundTruth
from dissect_eval.study import Settings, StudyDetections, measure


def test_images_that_come_meanwhile_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    split = toy_split.write_split(tmp_path / "data", 6)
    truth, request = GroundTruth.from_coco(split.annotations), StopRequest()

    def run(**options: Any) -> Study:
        return studies.run_toy(
            split.paths, tmp_path / "study", spec=damage.small_spec(), truth=truth, **options
        )

    stopped = run(stop=request, watch=lambda _: request.ask())
    settings = Settings(n_replicates=0)
    before = measure(stopped, settings=settings, partial=True)
    opened = StudyDetections(stopped)
    seen = opened.flat("baseline").ran
    init = StudyDetections.__init__

    def slow(self: StudyDetections, *given: Any, **options: Any) -> None:
        init(self, *given, **options)
        run()

    monkeypatch.setattr(StudyDetections, "__init__", slow)
    after = measure(stopped, settings=settings, partial=True)
    monkeypatch.undo()
    assert Study.open(tmp_path / "study").is_complete
    for variant in stopped.variants:
        np.testing.assert_array_equal(opened.flat(variant).ran, seen)
    assert [repr(row) for row in after.table] == [repr(row) for row in before.table]
    assert repr(after.variants) == repr(before.variants)
    assert len(StudyDetections(stopped).flat("baseline").ran) == 6 > len(seen)
