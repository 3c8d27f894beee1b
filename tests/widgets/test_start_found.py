"""What the start page finds: detectors and studies in the current folder, and recent studies elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from dissect_widgets import DetectorModel, Workbench
from dissect_widgets.detector import BUNDLED, label_of
from dissect_widgets.start import detectors_below, recent_studies, remember_study, studies_below


def write_transformers(folder: Path, **changes: object) -> Path:
    folder.mkdir(parents=True)
    config = {"architectures": ["RTDetrForObjectDetection"], "model_type": "rt_detr", **changes}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(bytes(3_000_000))
    return folder


def test_detectors_are_found_by_their_looks(tmp_path: Path) -> None:
    write_transformers(tmp_path / "models" / "rtdetr")
    write_transformers(tmp_path / "classifier", architectures=["ResNetForImageClassification"])
    write_transformers(tmp_path / "odd", architectures="DetrForObjectDetection")
    write_transformers(tmp_path / ".hidden")
    write_transformers(tmp_path / "a" / "b" / "c" / "too-deep")
    (write_transformers(tmp_path / "no-weights") / "model.safetensors").unlink()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("[" * 100_000)
    (tmp_path / "epoch_12.pth").write_bytes(bytes(41_000_000))
    os.utime(tmp_path / "models" / "rtdetr", (1, 1))
    (tmp_path / "loop").symlink_to(tmp_path)
    found = [(str(one.path.relative_to(tmp_path)), one.about) for one in detectors_below(tmp_path)]
    assert found == [("epoch_12.pth", "checkpoint, 41 MB"), ("models/rtdetr", "Transformers, rt_detr, 3 MB")]


def test_a_folder_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    assert detectors_below(tmp_path / "nowhere") == []


def test_recent_studies_are_kept_once_and_latest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEP_DISSECT_STATE", str(tmp_path / "state" / "deep"))
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    for folder in (*folders, folders[0]):
        remember_study(folder)
    assert recent_studies() == [folders[0], folders[2], folders[1]]
    folders[2].rmdir()
    assert recent_studies() == [folders[0], folders[1]]


@pytest.mark.parametrize(
    "content", ["", "[", "{}", '"a"', "[1, null, [], {}]", '["relative", "/a\\u0000b"]', "[" * 100_000]
)
def test_a_damaged_list_of_recent_studies_is_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("DEEP_DISSECT_STATE", str(tmp_path))
    (tmp_path / "recent-studies.json").write_text(content)
    assert recent_studies() == []
    remember_study(tmp_path)
    assert recent_studies() == [tmp_path]


def test_nothing_is_remembered_where_that_is_not_wanted_or_not_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEP_DISSECT_STATE", "")
    remember_study(tmp_path)
    assert recent_studies() == []
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEEP_DISSECT_STATE", str(tmp_path / "file"))
    remember_study(tmp_path)
    assert recent_studies() == []


def test_a_study_that_was_looked_at_is_found_from_another_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEP_DISSECT_STATE", str(tmp_path / "state"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    first = Workbench()
    first.look_at(folder)
    first.close()
    second = Workbench()
    start = second.panels["start"]
    assert [row.id for row in start.studies.rows] == [str(folder)]
    start.studies.do("open", str(folder))
    assert second.step == "results"
    second.close()


def test_a_folder_is_listed_once_however_it_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    found = studies_below(folder.parent, also=[tmp_path / "link"])
    assert len(found) == len({one.folder.resolve() for one in found})


def test_what_a_study_found_is_told_of_its_intervals(folder: Path, tmp_path: Path) -> None:
    (one,) = [one for one in studies_below(folder) if one.folder == folder]
    rows = json.loads((folder / "summary.json").read_text())["variants"]
    ablations = [row for row in rows if row["kind"] == "ablation"]
    sure = sum(row["AP_low"] > 0 or row["AP_high"] < 0 for row in ablations if row["AP_low"] is not None)
    assert one.found == f"{sure} of {len(ablations)} ablations: AP interval without 0"


def test_cards_of_found_detectors_open_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_transformers(tmp_path / "rtdetr")
    for number in range(5):
        (tmp_path / f"epoch_{number}.pth").write_bytes(b"x")
    os.utime(folder, (2e9, 2e9))
    workbench = Workbench()
    start = workbench.panels["start"]
    shown = [key for key in start.detectors if key.startswith("/")]
    assert len(shown) == 4
    assert shown[0] == str(folder)
    assert start.detectors[str(folder)].description == "rtdetr\nTransformers, rt_detr, 3 MB"
    assert "one of 2 more found here" in start.detectors["own"].description
    (tmp_path / "epoch_0.pth").unlink()
    start.refresh.click()
    assert "one of 1 more found here" in start.detectors["own"].description
    start.detectors[str(tmp_path / "epoch_4.pth")].click()
    workbench.detector.wait(60)
    assert workbench.detector.state == "failed"
    assert "The detector cannot be opened: " in start.status.value
    workbench.close()


@pytest.mark.parametrize("name", BUNDLED)
def test_what_the_cards_say_of_bundled_detectors_is_so(name: str) -> None:
    pytest.importorskip("mmdet")
    import torch

    model = DetectorModel()
    model.look_for(name)
    model.open()
    assert model.wait(120) == "open"
    anatomy = model.detector.anatomy
    n_parameters = sum(component.n_parameters for component in anatomy.components)
    n_heads = sum(layout.n_heads for layout in anatomy.attention.values())
    meta = torch.load(model.detector.fit.checkpoint, weights_only=True)["meta"]
    ap50 = f"{meta['test_metrics']['bbox_mAP_50']:.3f}".removeprefix("0")
    title, about = BUNDLED[name]
    assert about == f"bundled · {n_parameters / 1e6:.1f} M parameters · {n_heads} heads · AP50 {ap50}"
    assert label_of(model.detector, {}).endswith(title.replace(" ", ""))
