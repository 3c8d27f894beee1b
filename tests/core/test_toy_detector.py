"""The toy detector: it detects, it loses what is removed, and a study of it runs from spec to F1."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from dissect_core import DissectError
from dissect_core.detectors import Detector, LossDetector, TorchDetector
from dissect_core.plan import Variant, plan
from dissect_core.spec import load_spec
from dissect_eval import Detections, GroundTruth, detection_metrics
from dissect_eval.matching import DetectionMetrics
from toy_detector import Scene, ToyDetector, read_ppm, write_ppm, write_scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    return write_scenes(tmp_path_factory.mktemp("scenes"), 25)


@pytest.fixture(scope="module")
def truth(scenes: list[Scene]) -> GroundTruth:
    per_image = [(scene.boxes, scene.labels) for scene in scenes]
    return GroundTruth.from_arrays(per_image, range(len(scenes)), ToyDetector.class_names)


def measured(detector: Detector, scenes: list[Scene], truth: GroundTruth) -> DetectionMetrics:
    batches = detector.prepare([scene.path for scene in scenes], batch_size=4)
    found = [each for batch in batches for each in detector.predict_batch(batch)]
    ids, labels = range(len(scenes)), range(len(detector.class_names))
    return detection_metrics(truth, Detections.from_arrays(found, list(ids), list(labels)))


def planned(target: Mapping[str, object], select: Mapping[str, object]) -> list[Variant]:
    ablation = {"name": "a", "target": target, "select": select}
    return plan(load_spec({"name": "toy", "seed": 3, "ablations": [ablation]}), ToyDetector().anatomy)


def test_it_is_a_detector_without_a_loss_or_a_torch_model() -> None:
    detector: Detector = ToyDetector()
    assert isinstance(detector, Detector)
    assert not isinstance(detector, LossDetector)
    assert not isinstance(detector, TorchDetector)


def test_images_survive_their_file(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    image[0, 0] = 10  # a line break among the pixels
    write_ppm(tmp_path / "a.ppm", image)
    np.testing.assert_array_equal(read_ppm(tmp_path / "a.ppm"), image)


def test_it_really_detects(scenes: list[Scene], truth: GroundTruth) -> None:
    found = measured(ToyDetector(), scenes, truth)
    assert len(set(truth.category_ids)) == 3
    assert found.micro.f1 > 0.98
    assert found.mean_giou > 0.85


def test_a_colour_has_two_features(scenes: list[Scene], truth: GroundTruth) -> None:
    """Without one of them red is still found; without both all of it is lost, and nothing else."""
    detector = ToyDetector()
    whole = measured(detector, scenes, truth)
    recalls = []
    for channels in ([0], [0, 3]):
        _, variant = planned(
            {"unit": "channel", "components": "features"}, {"by": "indices", "indices": channels}
        )
        with detector.ablated(variant) as report:
            assert report.changed > 0
            lost = measured(detector, scenes, truth)
        recalls.append(lost.per_class[0].recall)
        for label in (1, 2):
            assert lost.per_class[label].n_true_positives >= whole.per_class[label].n_true_positives
    assert recalls[0] > 0.5
    assert recalls[1] == 0


def test_a_study_from_spec_to_f1(scenes: list[Scene], truth: GroundTruth) -> None:
    """More and more of the classifier's rows at zero, three draws each."""
    detector = ToyDetector()
    rows = {"unit": "row", "components": "classifier.weight"}
    variants = planned(rows, {"by": "fraction", "fractions": [0.25, 0.5, 1], "repeats": 3})
    assert [v.kind for v in variants] == ["baseline", *["ablation"] * 7]
    f1: dict[float, list[float]] = {}
    for variant in variants:
        with detector.ablated(variant) as report:
            assert report.masked == 6 * variant.n_units
            f1.setdefault(variant.dose, []).append(measured(detector, scenes, truth).micro.f1)
    mean = {dose: float(np.mean(values)) for dose, values in f1.items()}
    assert mean[0.0] == measured(detector, scenes, truth).micro.f1 > 0.98
    assert mean[0.0] > mean[0.25] > mean[0.5] > mean[1.0] == 0


def test_what_weights_cannot_do_is_refused() -> None:
    detector = ToyDetector()
    target = {"unit": "channel", "components": "features"}
    mean = {"kind": "mean", "space": "activation"}
    ablation = {"name": "a", "target": target, "select": {"by": "all"}, "interventions": mean}
    _, variant = plan(load_spec({"name": "s", "ablations": [ablation]}), detector.anatomy)
    with pytest.raises(DissectError, match="cannot be written as weights"), detector.ablated(variant):
        pass
