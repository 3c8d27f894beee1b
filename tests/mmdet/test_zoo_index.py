"""The index of MMDetection's zoo as the installed mmdet brings it, and one with slips; models opened by their names."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("mmdet")

from deep_dissect.cli import main
from dissect_core.detectors import DetectorRequest, adapter_tools, open_detector, zoo_models
from dissect_core.errors import DetectorOptionError
from dissect_core.spec import DetectorSpec
from dissect_mmdet import ConfigError, build_model, load_config, open_mmdet
from dissect_mmdet.demo import demo_files
from dissect_mmdet.errors import MissingDependencyError, UnknownModelError, ZooError
from dissect_mmdet.zoo import find_entry, models, read_index
from zoo_server import FOLDER, NAME, Server, file_name, serving, use_zoo, write_index


def test_the_index_of_the_installed_mmdet_is_whole() -> None:
    known = {one.name: one for one in models()}
    assert len(known) >= 500
    assert all(one.config is not None and one.config.is_file() for one in known.values())
    assert all(one.weights.startswith("https://") for one in known.values())
    assert all(one.box_ap is not None and 0 < one.box_ap < 100 for one in known.values())
    unnamed = [one.name for one in known.values() if one.weights[-13] != "-"]
    assert len(unnamed) == 2  # of which the length alone can be checked
    published = {
        "detr_r50_8xb2-150e_coco": 39.9,
        "deformable-detr_r50_16xb2-50e_coco": 44.3,
        "dino-4scale_r50_8xb2-12e_coco": 49.0,
    }
    assert {name: known[name].box_ap for name in published} == published


def test_names_are_found_in_each_form_that_people_know() -> None:
    by_name = {one.name: one for one in read_index()}
    assert find_entry("detr_r50_8xb2-150e_coco").weights.endswith("-436d03e8.pth")
    assert find_entry("rtmdet-t").name == "rtmdet_tiny_8xb32-300e_coco"
    by_config = find_entry("faster-rcnn_r50_fpn-carafe_1x_coco")  # whose name there is spelt in another way
    assert by_config.name == "faster-rcnn_r50_fpn_carafe_1x_coco"
    assert find_entry("detr_r50_8xb2-150e_coco.py").name == "detr_r50_8xb2-150e_coco"
    assert find_entry("faster-rcnn_r50_fpn_gn_ws-all_1x_coco").config is not None  # written with %2B
    assert all(alias not in by_name for one in by_name.values() for alias in one.aliases)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "detr_r50_8xb2-150e_cocoo",
            r"must be one of MMDetection's zoo, got .*\. Near matches: 'detr_r50_8xb2-150e_coco'",
        ),
        ("detr", r"Near matches: '.*detr"),
        (
            "ocsort_yolox_x_crowdhuman_mot17-private-half",
            r"has no published AP of boxes, only HOTA, IDF1, MOTA: if",
        ),
        ("dino-4scale_r50_8xb2-24e_coco", r"has no weights there: train it, and give them as `checkpoint`"),
        (
            "../../etc/passwd",
            r"must be one of MMDetection's zoo, got '\.\./\.\./etc/passwd'\. `deep-dissect models`",
        ),
        (
            "facebook/detr-resnet-50",
            r"For a model of Hugging Face Transformers say --adapter transformers\.$",
        ),
        (7, r"must be the name of a model of MMDetection's zoo, got 7"),
    ],
)
def test_a_name_that_cannot_be_opened_is_said_in_a_line(name: str, message: str) -> None:
    with pytest.raises(UnknownModelError, match=message) as raised:
        open_mmdet(model=name)
    assert "\n" not in str(raised.value)


def test_looking_for_names_loads_neither_torch_nor_mmdet() -> None:
    code = (
        "import sys; from dissect_mmdet.zoo import models; assert models(); "
        "print(*sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'mmdet', 'mmengine', 'mmcv', 'cv2'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_core_lists_them_by_entry_point() -> None:
    found = zoo_models("mmdet")
    assert [*found] == ["mmdet"]
    assert "detr_r50_8xb2-150e_coco" in [one.name for one in found["mmdet"]]


def test_an_mmdet_without_an_index_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.machinery import ModuleSpec

    package = tmp_path / "site" / "mmdet"
    package.mkdir(parents=True)
    bare = ModuleSpec("mmdet", None, origin=str(package / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: bare)
    with pytest.raises(
        ZooError, match=r"brings no index of its zoo \(.*configs\): install OpenMMLab's wheel"
    ):
        models()
    write_index(package.parent, "tiny.py", "https://zoo.example/a.pth")  # as in a checkout of mmdet
    assert [one.name for one in read_index()] == [NAME]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"needs mmdet, which is not installed here"):
        models()


def test_an_index_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (write_index(tmp_path, "tiny.py", "") / "configs" / "tiny" / "metafile.yml").write_text("Models: [")
    monkeypatch.setattr("dissect_mmdet.zoo._index.zoo_folder", lambda: tmp_path)
    with pytest.raises(
        ZooError, match=r"index of MMDetection's zoo cannot be read: .*metafile\.yml: "
    ) as raised:
        models()
    assert "\n" not in str(raised.value)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A zoo of one model, which is the bundled DETR."""
    files = demo_files("detr")
    content = files.checkpoint.read_bytes()
    path = FOLDER + file_name(content)
    index = write_index(tmp_path / "index", files.config, f"https://download.openmmlab.com{path}")
    with serving() as server:
        server.files[path] = content
        use_zoo(monkeypatch, index, server, tmp_path / "cache")
        yield server


def test_a_model_by_name_is_the_detector_of_its_files(server: Server) -> None:
    detector = open_detector("mmdet", model=NAME)
    files = demo_files("detr")
    same = open_mmdet(files.checkpoint, config=files.config)
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    one, other = detector.predict(image), same.predict(image)
    assert np.array_equal(one.boxes, other.boxes)
    assert np.array_equal(one.scores, other.scores)
    assert detector.facts == same.facts
    assert detector.class_names == same.class_names
    assert len(server.asked) == 1
    open_detector("mmdet", model=NAME)
    assert len(server.asked) == 1
    assert [one.is_here for one in models()] == [True]


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["component", "query_embedding.weight"], "query_embedding.weight_component.pth"),
        (
            ["heads", "encoder.layers.0.self_attn.attn", "--head", "1"],
            "encoder.layers.0.self_attn.attn_head_output_1.pth",
        ),
    ],
)
def test_ablated_checkpoints_of_a_model_by_name(
    command: list[str], file: str, server: Server, tmp_path: Path
) -> None:
    name, *rest = command
    for words, folder in ((["--model", NAME, *rest], "out"), (["demo:detr", *rest], "same")):
        with pytest.raises(SystemExit) as ended:
            main(["ablate", name, *words, "--out", str(tmp_path / folder)])
        assert ended.value.code in (0, None)
    (ours, theirs) = (
        torch.load(next((tmp_path / folder).glob("*.pth")), weights_only=True)["state_dict"]
        for folder in ("out", "same")
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_study_may_name_a_model(server: Server) -> None:
    """It lets no code run: the config is that of the installed mmdet, and weights are read as data."""
    opened = open_detector(DetectorSpec(adapter="mmdet", options={"model": NAME}))
    assert len(opened.class_names) == 6


def test_a_config_that_is_given_comes_before_the_zoo_s(server: Server, tmp_path: Path) -> None:
    config = tmp_path / "mine.py"
    config.write_text(
        f"_base_ = [{str(demo_files('detr').config)!r}]\nmodel = dict(test_cfg=dict(max_per_img=3))\n"
    )
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    found = open_mmdet(model=NAME, config=config).predict(image)
    assert len(found.scores) == 3


def test_tools_read_the_same_files(server: Server, tmp_path: Path) -> None:
    request = DetectorRequest(DetectorSpec(adapter="mmdet"), {"model": NAME})
    tools = adapter_tools("mmdet")
    assert tools.contents(request).anatomy.attention
    assert tools.checkpoint(request).path.parent == tmp_path / "cache" / "mmdet-zoo"
    assert tools.checkpoint(request, with_model=True).anatomy.attention


def test_weights_are_read_as_data(server: Server, tmp_path: Path) -> None:
    """A zoo that is not what it was runs nothing here."""
    import pickle

    from dissect_core import CheckpointError

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "mark",))

    file = tmp_path / "evil.pth"
    torch.save({"state_dict": Evil()}, file, pickle_module=pickle)
    content = file.read_bytes()
    path = FOLDER + file_name(content)
    server.files[path] = content
    write_index(tmp_path / "index", demo_files("detr").config, f"https://zoo.example{path}", "evil_r18_coco")
    from dissect_mmdet.zoo import _index

    _index._read.cache_clear()
    with pytest.raises(CheckpointError):
        open_mmdet(model="evil_r18_coco")
    assert not (tmp_path / "mark").exists()


def test_a_config_that_needs_a_package_names_it() -> None:
    if importlib.util.find_spec("mmpretrain") is not None:
        pytest.skip("mmpretrain is installed")
    config = find_entry("mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco").config
    assert config is not None
    with pytest.raises(
        ConfigError,
        match=r"cannot be read: .*'mmpretrain\.models'.*\. Install their package, or put its folder on",
    ) as raised:
        load_config(config)
    assert "sys.path" not in str(raised.value)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_teacher_is_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of use in training only, and no part of the weights."""
    monkeypatch.setattr("torch.hub.download_url_to_file", lambda *_, **__: pytest.fail("it is downloaded"))
    config = find_entry("lad_r101-paa-r50_fpn_2xb8_coco_1x").config
    assert config is not None
    with torch.device("meta"):
        model = build_model(load_config(config))
    assert not any(name.startswith("teacher") for name in model.state_dict())


def test_one_of_checkpoint_and_model_is_needed() -> None:
    with pytest.raises(
        DetectorOptionError, match=r"needs 'checkpoint', a file, or 'model', the name of one of"
    ):
        open_mmdet()
    with pytest.raises(
        DetectorOptionError, match=r"takes 'checkpoint' or 'model', got both, 'a\.pth' and 'b'"
    ):
        open_mmdet("a.pth", model="b")
