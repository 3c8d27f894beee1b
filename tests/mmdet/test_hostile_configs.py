"""Configs that come with files: only what MMDetection registers is looked up, and nothing is imported or read."""

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from commands import call, skip_without_mmdet
from dissect_core import DissectError
from mmdet_configs import MODULE, PIPELINE, THING, changed, stored

skip_without_mmdet()

from dissect_mmdet import ConfigError, build_model, config_of_checkpoint, open_mmdet  # noqa: E402
from dissect_mmdet.configs._plain import is_plain  # noqa: E402
from dissect_mmdet.configs._registry import closed_registries, registered  # noqa: E402
from dissect_mmdet.demo import demo_files  # noqa: E402
from dissect_mmdet.detector import TestPipeline  # noqa: E402

PLACES: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "model": (("model",), THING),
    "backbone": (("model", "backbone"), THING),
    "one type": (("model", "bbox_head", "type"), f"{MODULE}.Thing"),
    "preprocessor": (("model", "data_preprocessor"), THING),
    "augment of the preprocessor": (("model", "data_preprocessor", "batch_augments"), [THING]),
    "norm": (("model", "backbone", "norm_cfg"), THING),
    "initial weights": (("model", "backbone", "init_cfg"), THING),
    "second initial weights": (("model", "init_cfg"), [{"type": "Normal", "layer": "Conv2d"}, THING]),
    "assigner": (("model", "train_cfg", "assigner"), THING),
    "cost in a list": (("model", "train_cfg", "assigner", "match_costs"), [THING]),
    "test_cfg": (("model", "test_cfg"), {"nms": THING}),
    "tuple in a dict": (("model", "anything"), {"deep": ({"er": (THING,)},)}),
    "step": ((*PIPELINE, -1), THING),
    "step in steps": (
        (*PIPELINE, -1),
        {"type": "Compose", "transforms": [{"type": "RandomApply", "transforms": [THING]}]},
    ),
    "steps to choose from": ((*PIPELINE, -1), {"type": "RandomChoice", "transforms": [[THING]]}),
    "name that a step looks up later": (
        (*PIPELINE, -1),
        {"type": "RandomResize", "scale": (9, 9), "resize_type": f"{MODULE}.Thing"},
    ),
    "scope": (("model", "backbone", "_scope_"), MODULE),
    "scope in a name": (("model", "backbone", "type"), f"{MODULE}.ResNet"),
    "scope of a step": ((*PIPELINE, 0, "_scope_"), MODULE),
    "program": (("model",), {"type": "subprocess.Popen", "args": ["true"]}),
    "builtin": (("model", "backbone"), {"type": "builtins.exec", "object": "1"}),
    "torch's own": (("model", "backbone"), {"type": "torch.load", "f": "x"}),
    "unregistered of mmengine": (("model", "backbone"), {"type": "mmengine.load", "file": "x.pkl"}),
    "module of mmdet": (("model", "backbone"), {"type": "mmdet.models"}),
    "through a module": (
        ("model", "backbone"),
        {"type": "mmengine.registry.registry.import_module", "name": MODULE},
    ),
    "wrapper of models": (("model",), {"type": "DataParallel", "module": 1}),
    "data set": (("model", "backbone"), {"type": "CocoDataset"}),
    "evaluated name": (("model", "test_cfg"), {"nms": {"type": f"__import__('{MODULE}')"}}),
    "evaluated mode": (
        ("model", "anything"),
        {"type": "CameraMotionCompensation", "warp_mode": f"__import__('{MODULE}')"},
    ),
    "no text": (("model", "backbone", "type"), 3),
    "list": (("model", "backbone", "type"), ["ResNet"]),
    "dict": (("model", "backbone", "type"), {"type": "ResNet"}),
    "nothing": (("model", "backbone", "type"), None),
    "program of a teacher": (("model", "teacher_config"), "evil.py"),
    "pickle of a teacher": (("model", "teacher_ckpt"), "evil.pth"),
    "pickle of a tracker": (("model", "anything"), {"type": "AppearanceFreeLink", "checkpoint": "evil.pth"}),
    "language model": (("model", "language_model"), {"type": "BertModel", "name": "evil"}),
    "language model of a head": (("model", "bbox_head", "lang_model_name"), "evil"),
    "tokenizer": ((*PIPELINE, -1), {"type": "RandomSamplingNegPos", "tokenizer_name": "evil"}),
    "file of a step": (
        (*PIPELINE, -1),
        {"type": "RandomSamplingNegPos", "tokenizer_name": "bert-base-uncased", "label_map_file": "a.json"},
    ),
    "address": (("model", "backbone", "anything"), "http://localhost/x"),
    "other library": (("model",), {"type": "Detectron2Wrapper", "detector": {"weights": "x.pkl"}}),
}


@pytest.mark.parametrize("case", PLACES)
def test_foreign_names_are_refused_wherever_they_are(
    case: str, config_values: dict[str, Any], marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(*words: object, **more: object) -> None:
        raise AssertionError(f"looked up {words}")

    for name in ("get_object_from_string", "import_module"):
        monkeypatch.setattr(f"mmengine.registry.registry.{name}", reached)
    modules = set(sys.modules)
    with pytest.raises(ConfigError, match=r"^the config inside the checkpoint.* --trust") as refused:
        config_of_checkpoint(stored(changed(config_values, *PLACES[case])))
    message = str(refused.value)
    assert "\n" not in message
    assert ("`model" in message) or ("`test_dataloader" in message)
    assert not marker.exists()
    assert not {name for name in set(sys.modules) - modules if name.partition(".")[0] == MODULE}


def test_the_place_and_the_remedies_are_named(config_values: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigError,
        match=r"`model.backbone.type` is 'subprocess.Popen', .*--trust; .*--custom-imports MODULE; .*--config",
    ):
        config_of_checkpoint(
            stored(changed(config_values, ("model", "backbone"), {"type": "subprocess.Popen"}))
        )


@pytest.mark.parametrize("name", ["model", "step"])
def test_the_command_refuses_them(
    name: str, config_values: dict[str, Any], marker: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.pth"
    torch.save({"state_dict": {"w": torch.ones(2)}, **stored(changed(config_values, *PLACES[name]))}, file)
    status, _, err = call(capsys, "inspect", file)
    assert (status, err.count("\n")) == (2, 1)
    assert "Nothing was imported or run" in err
    assert not marker.exists()


def test_closed_registries_give_only_what_they_hold(marker: Path) -> None:
    from mmdet.registry import MODELS
    from mmengine.registry import registry

    before = registry.get_object_from_string, registry.import_module
    with closed_registries():
        for name in (f"{MODULE}.Thing", "subprocess.Popen", "os.system", "Nothing", "", ".", "mmdet.models"):
            assert MODELS.get(name) is None
        for scope in (MODULE, "os", "json.decoder"):
            with pytest.raises(KeyError, match="is not in the"):
                MODELS.build({"type": "Thing", "_scope_": scope})
        assert MODELS.get("mmdet.models.detectors.DETR") is MODELS.get("DETR")
        assert MODELS.get("torch.nn.ReLU") is torch.nn.ReLU
    assert not marker.exists()
    assert MODULE not in sys.modules
    assert (registry.get_object_from_string, registry.import_module) == before
    assert MODELS.get("subprocess.Popen") is not None  # the user's own configs may


def test_packages_beside_mmdetection_take_no_names_away(config_values: dict[str, Any]) -> None:
    from mmengine.registry import MODELS, Registry

    beside = Registry("models", parent=MODELS, scope="beside")
    try:
        beside.register_module(name="ResNet", module=type("ResNet", (), {"__module__": "beside.resnet"}))
        assert is_plain(config_of_checkpoint(stored(config_values)))
        foreign = changed(config_values, ("model", "backbone", "type"), "beside.ResNet")
        with pytest.raises(ConfigError, match=r"`model.backbone.type` is 'beside.ResNet'"):
            config_of_checkpoint(stored(foreign))
        foreign = changed(config_values, ("model", "backbone"), {"type": "ResNet", "_scope_": "beside"})
        with pytest.raises(ConfigError, match="unknown scope"):
            config_of_checkpoint(stored(foreign))
    finally:
        del MODELS.children["beside"]


def test_a_language_model_that_lies_in_the_folder_is_not_read(
    config_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    speaks = changed(
        config_values, ("model", "language_model"), {"type": "BertModel", "name": "bert-base-uncased"}
    )
    assert config_of_checkpoint(stored(speaks)) is not None
    (tmp_path / "bert-base-uncased").mkdir()
    with pytest.raises(ConfigError, match=r"`model.language_model.name` .* lies in this folder"):
        config_of_checkpoint(stored(speaks))


@pytest.mark.parametrize("begins", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xc5\xd0\xd3\xc6"])
def test_no_image_is_a_program(
    begins: bytes, config_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ran(*_words: object, **_more: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", ran)
    loader = {"type": "LoadImageFromFile", "imdecode_backend": "pillow"}
    config = config_of_checkpoint(stored(changed(config_values, (*PIPELINE, 0), loader)))
    image = tmp_path / "a.jpg"
    image.write_bytes(begins + b"%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n")
    pipeline = TestPipeline(config)
    for read in (lambda: pipeline(image, 0), lambda: pipeline.read(image)):
        with pytest.raises(DissectError, match=r"a\.jpg is PostScript, which is a program"):
            read()


def test_registries_are_closed_for_one_thread_and_open_again_after_an_error() -> None:
    from mmdet.registry import MODELS
    from mmengine.registry import registry

    before = registry.get_object_from_string
    others: list[Any] = []
    with pytest.raises(ZeroDivisionError), closed_registries():
        with closed_registries():
            thread = threading.Thread(target=lambda: others.append(MODELS.get("subprocess.Popen")))
            thread.start()
            thread.join()
        assert MODELS.get("subprocess.Popen") is None
        raise ZeroDivisionError
    assert others[0].__name__ == "Popen"
    assert registry.get_object_from_string is before


def test_what_the_walk_would_miss_is_not_found(
    config_values: dict[str, Any], marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dissect_mmdet.configs._plain.is_admitted", lambda *_: True)
    config = config_of_checkpoint(stored(changed(config_values, *PLACES["backbone"])))
    with pytest.raises(ConfigError, match="cannot be built: KeyError"):
        build_model(config)
    config = config_of_checkpoint(stored(changed(config_values, *PLACES["step"])))
    detector = open_mmdet(config=config, checkpoint="demo:detr")
    with pytest.raises(ConfigError, match="cannot be made: KeyError"):
        detector.turns_by_exif  # noqa: B018  # it makes the pipeline
    assert not marker.exists()


def test_looked_up_while_it_runs(
    config_values: dict[str, Any], marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dissect_mmdet.configs._plain.is_admitted", lambda *_: True)
    path, step = PLACES["name that a step looks up later"]
    config = config_of_checkpoint(stored(changed(config_values, path, step)))
    with pytest.raises(DissectError):
        open_mmdet(config=config, checkpoint="demo:detr").turns_by_exif  # noqa: B018
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("mmdet.models.detectors.DETR", True),
        ("mmdet.models.detectors.detr.DETR", True),
        ("torch.nn.ReLU", True),
        ("torch.nn.modules.batchnorm.BatchNorm2d", True),
        ("mmcv.transforms.loading.LoadImageFromFile", True),
        ("torch.nn.Bilinear", False),
        ("mmdet.models.detectors.detr.DETR.__init__", False),
        ("mmdet.models.detectors.detr.DETR.__class__", False),
        ("mmdet.models", False),
        ("torch.utils.cpp_extension.load", False),
    ],
)
def test_full_names_stand_for_what_is_registered(name: str, is_known: bool) -> None:
    assert (registered(name) is not None) is is_known


def test_custom_imports_admit_a_package(
    config_values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "models.py").write_text(
        "from mmdet.models.detectors import DETR\nfrom mmdet.registry import MODELS\n"
        "@MODELS.register_module(force=True)\nclass MyDETR(DETR):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "mine.pth"
    whole = torch.load(demo_files("detr").checkpoint, weights_only=False)
    whole["meta"].update(stored(changed(config_values, ("model", "type"), "MyDETR"))["meta"])
    torch.save(whole, file)
    with pytest.raises(ConfigError, match=r"`model.type` is 'MyDETR'.* --custom-imports"):
        open_mmdet(checkpoint=file)
    detector = open_mmdet(checkpoint=file, custom_imports=["package_of_mine.models"])
    assert type(detector.model).__name__ == "MyDETR"
    assert is_plain(pickle.loads(pickle.dumps(detector)).config)
    with pytest.raises(ConfigError, match="MyDETR"):  # named by nobody for this call
        open_mmdet(checkpoint=file)


def test_modules_find_mmdetection_ready(tmp_path: Path) -> None:
    (tmp_path / "module_of_mine.py").write_text("from mmdet.models.detectors import DETR\n")
    program = "from dissect_mmdet.configs import import_modules; import_modules(['module_of_mine'])"
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": paths}, check=True)


def test_trust_lets_a_stored_config_name_and_import_anything(
    config_values: dict[str, Any], marker: Path
) -> None:
    hostile = {**changed(config_values, *PLACES["backbone"]), "custom_imports": {"imports": [MODULE]}}
    config = config_of_checkpoint(stored(hostile), trust=True)
    assert config is not None
    assert not is_plain(config)
    assert marker.exists()


def test_files_of_initial_weights_and_backends_are_left_out(config_values: dict[str, Any]) -> None:
    harmless = changed(
        config_values,
        ("model", "backbone", "init_cfg"),
        {"type": "mmengine.PretrainedInit", "checkpoint": "x"},
    )
    harmless = changed(harmless, ("model", "neck", "init_cfg"), [{"checkpoint": "http://localhost/x"}])
    backend = {"backend": "memcached", "sys_path": "/tmp", "server_list_cfg": "a", "client_cfg": "b"}
    harmless = changed(harmless, (*PIPELINE, 0, "backend_args"), backend)
    config = config_of_checkpoint(stored(harmless))
    before = list(sys.path)
    assert open_mmdet(config=config, checkpoint="demo:detr").turns_by_exif in (True, False)
    assert sys.path == before
