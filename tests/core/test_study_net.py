"""The net under a study: replay that goes wrong is caught on the first batch, and so is a random detector."""

from __future__ import annotations

import secrets
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pyarrow")

import studies  # noqa: E402
from dissect_core import RandomDetectorError, ReplayError  # noqa: E402
from dissect_core.detectors import ImageDetections  # noqa: E402
from dissect_core.engine import RandomDetectorWarning  # noqa: E402
from dissect_core.spec import load_spec  # noqa: E402
from dissect_core.store import Study  # noqa: E402
from dissect_core.torch.replay import (  # noqa: E402
    ReplayWarning,
    _prove as proof,
)
from toy_detector import ToyDetector, write_scenes  # noqa: E402

ROWS = load_spec(
    {
        "name": "rows",
        "ablations": [
            {
                "name": "head",
                "target": {"unit": "row", "components": "head.weight"},
                "select": {"by": "each"},
            }
        ],
    }
)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return studies.scenes(tmp_path / "images", 4)


def peeking_detector() -> Any:
    """A detector whose backbone reads the head's weight through NumPy, before the head is called."""
    detector = studies.tiny_torch_detector()
    view = detector.model.head.weight.detach().numpy()

    class Peeking(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.relu() * float(1 + np.abs(view).sum())

    detector.model.backbone[2] = Peeking()
    return detector


def test_a_use_that_was_not_seen_is_found_out_before_replay(images: list[Path], tmp_path: Path) -> None:
    with pytest.warns(ReplayWarning, match=r"variants of head\.weight, whose use is not seen"):
        study = studies.run_toy(images, tmp_path / "out", peeking_detector(), spec=ROWS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReplayWarning)
        plain = studies.run_toy(images, tmp_path / "plain", peeking_detector(), spec=ROWS, replay=False)
    assert studies.tables(study)["shard-00000.parquet"] == studies.tables(plain)["shard-00000.parquet"]


def test_replay_that_goes_wrong_all_the_same_is_caught_by_full_passes(
    images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof.Prover, "unseen", lambda _self, _parameters: [])
    with pytest.raises(
        ReplayError, match=r"'head/row/.*The first module to give something else is 'backbone\.2'"
    ):
        studies.run_toy(images, tmp_path / "out", peeking_detector(), spec=ROWS)


class RandomToy(ToyDetector):
    """Its scores differ a little each time."""

    def __init__(self) -> None:
        super().__init__()
        self._rng = np.random.default_rng(0)

    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        found = super().predict_batch(batch)
        return [
            ImageDetections(f.boxes, f.scores * self._rng.uniform(0.5, 1, len(f.scores)), f.labels)
            for f in found
        ]


def test_a_random_detector_is_refused_before_anything_is_written(images: list[Path], tmp_path: Path) -> None:
    with pytest.raises(
        RandomDetectorError,
        match=r"same detections .* the scores of image 0 of the batch differ \(by up to .*--allow-random",
    ):
        studies.run_toy(images, tmp_path / "out", RandomToy(), allow_random=False)
    assert not (tmp_path / "out").exists()


def test_or_measured_with_its_own_noise(images: list[Path], tmp_path: Path) -> None:
    with pytest.warns(RandomDetectorWarning, match="own noise beside every loss"):
        study = studies.run_toy(images, tmp_path / "said", RandomToy())
    said: list[str] = []
    asked = studies.run_toy(images, tmp_path / "asked", RandomToy(), allow_random=True, say=said.append)
    assert any("the baseline 11 times, which shows its noise" in text for text in said)
    assert study.variants == asked.variants
    assert [name for name in study.variants if "again" in name] == [
        f"baseline/again/{i}" for i in range(1, 11)
    ]
    scores = {study.found(name).scores.tobytes() for name in study.variants if name.startswith("baseline")}
    assert len(scores) == 11, "each is a pass of its own"


def test_a_study_that_goes_on_keeps_to_it(images: list[Path], tmp_path: Path) -> None:
    first = studies.run_toy(images, tmp_path / "out", RandomToy(), allow_random=True)
    again = studies.run_toy(images, tmp_path / "out", RandomToy())
    assert again.variants == first.variants


def test_a_detector_that_turns_random_later_is_refused(images: list[Path], tmp_path: Path) -> None:
    """The first images do not show it; the first batch does."""

    class Later(RandomToy):
        calls = 0

        def predict_batch(self, batch: Any) -> list[ImageDetections]:
            self.calls += 1
            return super().predict_batch(batch) if self.calls > 2 else ToyDetector.predict_batch(self, batch)

    with pytest.raises(RandomDetectorError, match="same detections"):
        studies.run_toy(images, tmp_path / "out", Later())
    assert Study.open(tmp_path / "out").progress()[0] == 0


def test_its_losses_are_no_claims_within_that_noise(tmp_path: Path) -> None:
    pytest.importorskip("dissect_eval")
    from dissect_eval import GroundTruth
    from dissect_eval.study import Settings, StudyTables, measure

    scenes = write_scenes(tmp_path, 6)
    truth = GroundTruth.from_arrays(
        [(scene.boxes, scene.labels) for scene in scenes],
        range(len(scenes)),
        dict(enumerate(ToyDetector.class_names)),
    )
    images = [scene.path for scene in scenes]
    study = studies.run_toy(images, tmp_path / "out", RandomToy(), allow_random=True)
    results = measure(study, truth, Settings(n_replicates=100))
    floor = results.noise["AP", None]
    assert floor > 0
    assert any("not deterministic" in note for note in results.notes)
    for row in results.table.select(metric="AP", category_id=None):
        if row.variant in study.variants[11:] and abs(row.difference) <= floor:
            assert row.p_adjusted == 1
    summary = StudyTables.of(results).summary
    assert {row["AP_noise"] for row in summary} == {floor}
    assert results.n_tests == sum("again" not in name for name in study.variants) - 1


def test_noise_that_only_later_images_show_is_measured_too(images: list[Path], tmp_path: Path) -> None:
    """The first batch is the same each time, and the record of it would answer all passes of the baseline."""
    detector = studies.tiny_torch_detector()

    class Drawing(torch.nn.Module):
        calm = True

        def forward(self, x: Any) -> Any:
            return x.relu() if self.calm else x.relu() + secrets.randbelow(2**20) / 2**20

    detector.model.backbone[2] = Drawing()
    prepare = detector.prepare

    def prepared(paths: Any, batch_size: int = 1) -> Any:
        for path, batch in zip(paths, prepare(paths, 1), strict=True):
            yield (path == images[0], batch)

    predict = detector.predict_batch

    def predicted(batch: Any) -> Any:
        detector.model.backbone[2].calm, pixels = batch
        return predict(pixels)

    detector.prepare, detector.predict_batch = prepared, predicted
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReplayWarning)
        study = studies.run_toy(
            images, tmp_path / "out", detector, spec=ROWS, allow_random=True, batch_size=1, verify=1.0
        )
    again = [study.found(name).by_image() for name in study.variants if "again" in name]
    assert len({found[0].scores.tobytes() for found in again}) == 1
    assert all(len({found[i].scores.tobytes() for found in again}) == len(again) for i in (1, 2, 3))
