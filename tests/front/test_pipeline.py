"""One way from a study to its numbers: whoever runs it, nothing that makes it this study is left out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import deep_dissect as dd
import studies
from dissect_core import StudyChangedError
from dissect_core.progress import no_bar
from dissect_eval import GroundTruth
from toy_detector import ToyDetector
from toy_split import Split


def quiet(said: list[str] | None = None) -> dd.Listener:
    return dd.Listener(bar=no_bar, say=(lambda _: None) if said is None else said.append)


def run(split: Split, out: Path, study: Any = None, **options: Any) -> dd.Study:
    data = options.pop("data", None) or dd.CocoSplit(split.annotations, split.images)
    listener = options.pop("listener", quiet())
    study = studies.toy_spec() if study is None else study
    return dd.run_study(study, ToyDetector(), data, out, batch_size=2, listener=listener, **options)


@pytest.fixture(scope="module")
def study(split: Split, tmp_path_factory: pytest.TempPathFactory) -> dd.Study:
    return run(split, tmp_path_factory.mktemp("run") / "study")


def test_a_run_is_the_engines_with_truth_and_names(study: dd.Study, split: Split, tmp_path: Path) -> None:
    truth = GroundTruth.from_coco(split.annotations)
    again = studies.run_quietly(
        studies.toy_spec(), ToyDetector(), split.paths, tmp_path / "engine", batch_size=2, truth=truth
    )
    assert studies.digests(study.path) == studies.digests(again.path)
    assert study.environment["frozen"] == again.environment["frozen"]
    assert "truth" in study.environment["frozen"]
    assert study.is_complete
    assert isinstance(study, dd.Study)
    assert isinstance(dd.Study.open(study.path), dd.Study)
    assert repr(study).startswith("<Study 'toy' in ")


def test_a_study_with_another_truth_is_refused(study: dd.Study, split: Split, tmp_path: Path) -> None:
    content = json.loads(split.annotations.read_text())
    content["annotations"][0]["bbox"][2] += 1
    data = dd.CocoSplit(content, split.images)
    with pytest.raises(StudyChangedError, match="truth"):
        run(split, study.path, data=data)


def test_studies_are_names_files_mappings_specs_and_plans(split: Split, tmp_path: Path) -> None:
    spec, detector = studies.toy_spec(), ToyDetector()
    file = tmp_path / "study.json"
    file.write_text(json.dumps(studies.SPEC))
    plans = [dd.plan(given, detector) for given in (spec, str(file), file, studies.SPEC)]
    assert all(plan == plans[0] for plan in plans)
    assert len(plans[0]) == 15
    first = run(split, tmp_path / "plan", plans[0])
    assert studies.digests(first.path) == studies.digests(run(split, tmp_path / "file", file).path)
    with pytest.raises(dd.FrontDoorError, match=r"shipped studies \(.*Near matches: 'layer_knockout'"):
        dd.plan("layer_knokout", detector)


def test_a_folder_of_a_shipped_studys_name_is_no_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deep_dissect.demo import demo_spec
    from deep_dissect.pipeline import spec_of

    monkeypatch.chdir(tmp_path)
    for name in ("demo", "layer_knockout"):
        (tmp_path / name).mkdir()
    assert spec_of("layer_knockout").name == "Knock out layers and sublayers"
    assert demo_spec(repeats=3).ablations[0].select.by == "fraction"
    (tmp_path / "mine.yaml").write_text(json.dumps(studies.SPEC))
    assert spec_of("mine.yaml").name == "toy"


def test_a_plan_of_something_else_is_refused(split: Split, tmp_path: Path) -> None:
    whole = dd.plan(studies.toy_spec(), ToyDetector())
    with pytest.raises(dd.ERRORS, match="plan"):
        run(split, tmp_path / "out", dd.Plan(whole.spec, whole[:-1]))
    assert not (tmp_path / "out").exists()


def test_scores_by_gradients_need_data() -> None:
    content = {
        "name": "best",
        "ablations": [
            {
                "name": "best",
                "target": {"unit": "channel", "components": "features"},
                "select": {"by": "top", "score": "weight_gradient", "counts": [1]},
            }
        ],
    }
    with pytest.raises(
        dd.FrontDoorError, match="`data` must be given for 'best', which selects by weight_gradient"
    ):
        dd.plan(content, ToyDetector())


def test_options_are_those_of_a_run(split: Split, tmp_path: Path) -> None:
    with pytest.raises(
        dd.FrontDoorError,
        match=r"no option 'batchsize'. Near matches: 'batch_size'.",
    ):
        run(split, tmp_path / "out", batchsize=3)
    with pytest.raises(dd.FrontDoorError, match="`detector` must be given, or named by the study"):
        dd.run_study(
            studies.toy_spec(), None, dd.CocoSplit(split.annotations, split.images), tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_classes_are_matched_before_anything_is_run(split: Split, tmp_path: Path) -> None:
    content = json.loads(split.annotations.read_text())
    content["categories"][2]["name"] = "violet"
    data = dd.CocoSplit(content, split.images)
    with pytest.raises(dd.ERRORS, match="violet"):
        run(split, tmp_path / "out", data=data)
    assert not (tmp_path / "out").exists()
    said: list[str] = []
    done = run(split, tmp_path / "out", data=data, class_map={"blue": "violet"}, listener=quiet(said))
    assert done.scoring == {"class_map": {"blue": "violet"}}
    run(split, tmp_path / "common", data=data, common_classes=True, listener=quiet(said))
    assert any("violet" in text and text.startswith("note: ") for text in said)


def test_missing_images_fail_at_once_or_are_skipped(split: Split, tmp_path: Path) -> None:
    content = json.loads(split.annotations.read_text())
    content["images"].append({"id": 500, "file_name": "gone.ppm", "width": 96, "height": 64})
    data = dd.CocoSplit(content, split.images, check=False)
    with pytest.raises(dd.FrontDoorError, match=r"gone\.ppm"):
        run(split, tmp_path / "out", data=data)
    assert not (tmp_path / "out").exists()
    done = run(split, tmp_path / "out", data=data, on_bad_image="skip")
    assert done.bad_images() == [8]


def test_what_was_loaded_is_said_once_the_first_pass_begins(split: Split, tmp_path: Path) -> None:
    class Fit:
        checkpoint = "toy.pth"

        def describe(self) -> str:
            return "all of it loaded"

    detector = ToyDetector()
    detector.fit = Fit()  # type: ignore[attr-defined]
    events: list[str] = []

    def bar(total: int, unit: str, label: str) -> Any:
        events.append(unit)
        return no_bar(total, unit, label)

    data = dd.CocoSplit(split.annotations, split.images, limit=2)
    listener = replace(quiet(events), bar=bar)
    dd.run_study(studies.toy_spec(), detector, data, tmp_path / "out", listener=listener)
    assert events.count("toy.pth: all of it loaded") == 1
    assert events.index("toy.pth: all of it loaded") == events.index("pass") - 1
