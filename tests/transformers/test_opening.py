"""What is opened and what is refused: folders, ids of the Hub, weights that do not fit, code of others, no network."""

from __future__ import annotations

import json
import shutil
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import ResNetConfig, ResNetForImageClassification, modeling_utils

from dissect_core import DissectError
from dissect_core.detectors import DetectorRequest, open_detector
from dissect_core.errors import ArgumentError, DetectorUnavailableError, UntrustedError
from dissect_core.spec import DetectorSpec
from dissect_transformers import (
    DissectTransformersError,
    MissingPackageError,
    ModelError,
    ModelNotFoundError,
    ProcessorError,
    RemoteCodeError,
    TransformersDetector,
    TransformersDeviceError,
    WeightsError,
    open_transformers,
)
from families import CLASS_NAMES, FAMILIES, build

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "detr"
    for part in build("detr"):
        part.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of a model's folder, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_weights_are_read_once(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tensor of the file once, by one reader: opening a large model costs one pass over its file."""
    read: list[str] = []

    class Counted:
        def __init__(self, file: Any, **options: Any) -> None:
            self._file = safe_open(file, **options)

        def get_slice(self, name: str) -> Any:
            read.append(name)
            return self._file.get_slice(name)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

    monkeypatch.setattr(modeling_utils, "safe_open", Counted)
    detector = open_transformers(saved)
    assert sorted(read) == sorted(set(read))
    assert len(read) == len(load_file(saved / WEIGHTS))
    assert detector.facts
    assert len(read) == len(load_file(saved / WEIGHTS))  # nor for what a study keeps of it


def test_an_adapter_of_peft_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(ModelError, match=r"holds an adapter of PEFT.*Merge it into its model"):
        open_transformers(tmp_path)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def refused(error: type[DissectError], text: str, *args: Any, **options: Any) -> None:
    """See that opening is refused in one line."""
    with pytest.raises(error) as caught:
        open_detector("transformers", *args, **options)
    message = str(caught.value)
    assert text in message
    assert "\n" not in message
    assert len(message) < 700


def change(file: Path, **values: Any) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **values}))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.usefixtures("no_network")
def test_a_folder_opens_without_a_network(name: str, tmp_path: Path, pictures: list[Path]) -> None:
    model, processor = build(name)
    model.save_pretrained(tmp_path / name)
    processor.save_pretrained(tmp_path / name)
    detector = open_transformers(tmp_path / name)
    assert isinstance(detector, TransformersDetector)
    assert detector.class_names == CLASS_NAMES
    assert (detector.checkpoint, detector.device) == (name, "cpu")
    assert not detector.model.training
    for mine, theirs in zip(detector.model.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    in_memory = open_transformers(model, processor=processor)
    assert np.array_equal(detector.predict(pictures[0]).boxes, in_memory.predict(pictures[0]).boxes)
    # The same detector goes on with a study, wherever it is from.
    assert detector.facts == in_memory.facts


def test_weights_in_several_files(folder: Path, tmp_path: Path) -> None:
    model, processor = build("detr")
    model.save_pretrained(tmp_path / "parts", max_shard_size="100KB")
    processor.save_pretrained(tmp_path / "parts")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    whole, parts = open_transformers(folder), open_transformers(tmp_path / "parts")
    assert all(
        torch.equal(a, b) for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True)
    )
    next((tmp_path / "parts").glob("*.safetensors")).unlink()
    refused(WeightsError, "which is missing: download the model again", tmp_path / "parts")
    change(tmp_path / "parts" / "model.safetensors.index.json", weight_map={"a": "../x.safetensors"})
    refused(WeightsError, "is no safetensors file beside it", tmp_path / "parts")


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    refused(WeightsError, "holds no weights (model.safetensors)", folder)


def test_a_folder_without_an_image_processor(folder: Path, saved: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    refused(ProcessorError, "holds no preprocessor_config.json", folder)
    assert open_transformers(folder, processor=saved).processor.size["shortest_edge"] == 72


def test_a_folder_without_a_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    refused(ModelNotFoundError, "holds no config.json", folder)


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000, '{"model_type": '])
def test_a_damaged_config(text: str, folder: Path) -> None:
    (folder / "config.json").write_text(text)
    refused(ModelError, "config.json", folder)


@pytest.mark.parametrize("settings", [{"image_processor_type": "Nothing"}, {"size": "large"}, {"size": None}])
def test_a_damaged_image_processor(settings: dict[str, Any], folder: Path) -> None:
    change(folder / "preprocessor_config.json", **settings)
    if settings == {"size": None}:  # which means the default
        assert open_transformers(folder).processor.size["shortest_edge"] == 800
    else:
        refused(ProcessorError, "no image processor can be made of it", folder)


def test_an_image_processor_of_another_kind(folder: Path) -> None:
    change(folder / "preprocessor_config.json", image_processor_type="ViTImageProcessor")
    refused(ProcessorError, "is no image processor of an object detector", folder)


def test_a_model_that_is_no_detector(tmp_path: Path) -> None:
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic")
    ResNetForImageClassification(config).save_pretrained(tmp_path / "resnet")
    text = "is no object detector, but 'ResNetForImageClassification' (type 'resnet')"
    refused(ModelError, text, tmp_path / "resnet")


def test_a_type_that_transformers_does_not_know(folder: Path) -> None:
    change(folder / "config.json", model_type="rtdetr_v2")
    refused(ModelError, "knows no type 'rtdetr_v2'. Near matches: rt_detr_v2", folder)
    change(folder / "config.json", model_type=None)
    refused(ModelError, "names no `model_type`", folder)


def test_a_damaged_file_of_weights(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    for damaged in (b"", whole[:100], whole[:-100], b"\xff" * 200):
        (folder / WEIGHTS).write_bytes(damaged)
        refused(ModelError, "cannot be built from its files", folder)


def change_weights(folder: Path, change: Any) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"num_queries": 10**9}, "that takes over 268 MB, which its weights of 0.3 MB could not fill"),
        ({"d_model": 2**17}, "that takes over 268 MB"),
        ({"encoder_ffn_dim": 10**8}, "that takes over 268 MB"),
        ({"decoder_layers": 10**9}, "that takes over 20,000 modules"),
    ],
)
def test_a_config_that_asks_for_too_much(settings: dict[str, Any], text: str, folder: Path) -> None:
    change(folder / "config.json", **settings)
    refused(ModelError, text, folder)


def test_weights_that_are_missing(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.pop("bbox_predictor.layers.0.bias"))
    text = "its weights are not this model's: 1 missing (bbox_predictor.layers.0.bias)."
    refused(WeightsError, text, folder)


def test_weights_without_a_place(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.update({"model.extra.weight": torch.ones(2)}))
    refused(WeightsError, "1 without a place in the model (model.extra.weight)", folder)


def test_weights_of_another_shape(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.update({"class_labels_classifier.bias": torch.ones(92)}))
    refused(WeightsError, "1 of another shape (class_labels_classifier.bias 92 there, 4 here)", folder)


def test_weights_of_another_model_are_told_in_one_line(folder: Path) -> None:
    model, _ = build("conditional_detr")
    model.save_pretrained(folder.with_name("other"))
    shutil.copy(folder.with_name("other") / WEIGHTS, folder / WEIGHTS)
    refused(WeightsError, "missing", folder)


def test_tied_weights_may_be_left_out_of_a_file(tmp_path: Path) -> None:
    """D-FINE's heads are its decoder's: a file holds them once."""
    model, processor = build("d_fine")
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert len(load_file(tmp_path / WEIGHTS)) < len(model.state_dict())
    opened = open_transformers(tmp_path).model
    assert opened.class_embed[0].weight is opened.model.decoder.class_embed[0].weight


def test_weights_do_not_lie_in_the_file(folder: Path, pictures: list[Path]) -> None:
    """A file that is overwritten changes nothing; and all lie at addresses for which kernels round alike."""
    detector = open_transformers(folder)
    before = detector.predict(pictures[0])
    with (folder / WEIGHTS).open("r+b") as file:
        file.seek(-50_000, 2)
        file.write(bytes(50_000))
    assert np.array_equal(detector.predict(pictures[0]).boxes, before.boxes)
    assert not any(values.data_ptr() % 64 for values in detector.model.state_dict().values())


def test_no_random_numbers_are_drawn(folder: Path) -> None:
    before = torch.get_rng_state()
    open_transformers(folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_pickled_weights_need_trust(folder: Path, pictures: list[Path]) -> None:
    expected = open_transformers(folder).predict(pictures[0])
    weights = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    refused(
        WeightsError, "its weights are a pickle (pytorch_model.bin), which is read only if you trust", folder
    )
    found = open_transformers(folder, trust=True).predict(pictures[0])
    assert np.array_equal(found.boxes, expected.boxes)


class Evil:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil-ran"),))


def test_even_with_trust_a_pickle_is_read_as_weights_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (folder / WEIGHTS).unlink()
    torch.save({"a": Evil()}, folder / "pytorch_model.bin")
    monkeypatch.chdir(tmp_path)
    refused(ModelError, "cannot be built from its files", folder, trust=True)
    assert not Path("evil-ran").exists()


CODE = """
from importlib.util import find_spec
from pathlib import Path
Path(__file__).with_name("ran").touch()
from transformers import DetrConfig, DetrForObjectDetection
class OwnConfig(DetrConfig):
    model_type = "own_detr"
class OwnModel(DetrForObjectDetection):
    config_class = OwnConfig
"""


def test_code_of_a_model_runs_only_with_trust(
    folder: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import transformers.dynamic_module_utils as dynamic

    monkeypatch.setattr(dynamic, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    (folder / "own.py").write_text(CODE)
    own = {"AutoConfig": "own.OwnConfig", "AutoModelForObjectDetection": "own.OwnModel"}
    change(folder / "config.json", model_type="own_detr", auto_map=own)
    refused(RemoteCodeError, "needs Python code that comes with it, which is run only if you trust", folder)
    assert not list(tmp_path.rglob("ran"))
    detector = open_transformers(folder, trust=True)
    assert list(tmp_path.rglob("ran"))
    assert detector.model_class == "OwnModel"
    assert len(detector.predict(pictures[0]).scores) == 10


def test_code_beside_a_known_type_is_left_alone(folder: Path, tmp_path: Path) -> None:
    (folder / "own.py").write_text(CODE)
    change(folder / "config.json", auto_map={"AutoModelForObjectDetection": "own.OwnModel"})
    assert open_transformers(folder).model_class == "DetrForObjectDetection"
    assert not list(tmp_path.rglob("ran"))


def test_code_of_an_image_processor_runs_only_with_trust(folder: Path) -> None:
    own = {"AutoImageProcessor": "own.OwnProcessor"}
    change(folder / "preprocessor_config.json", image_processor_type="OwnProcessor", auto_map=own)
    refused(RemoteCodeError, "its image processor needs Python code that comes with it", folder)


def test_a_study_cannot_trust_for_the_user(folder: Path) -> None:
    named = DetectorSpec(adapter="transformers", options={"model": str(folder), "trust": True})
    with pytest.raises(UntrustedError, match="'trust': True, which may run code"):
        open_detector(DetectorRequest(named))
    harmless = DetectorSpec(adapter="transformers", options={"model": str(folder), "device": "cpu"})
    assert open_detector(DetectorRequest(harmless)).class_names == CLASS_NAMES


@pytest.mark.usefixtures("no_network")
def test_an_id_of_the_hub_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    text = "is no folder here and not in the cache, and the network is not to be used."
    refused(ModelNotFoundError, text, "owner/name", local_files_only=True)
    refused(
        ModelNotFoundError,
        "'owner/name' at revision 'v2'",
        "owner/name",
        revision="v2",
        local_files_only=True,
    )


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as free:  # nobody listens there
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    refused(ModelNotFoundError, "not in the cache, and the Hub cannot be reached", "owner/name")


@pytest.mark.parametrize("name", ["no/such/folder/here", "../up", "a b", "owner/" + "x" * 100])
def test_what_is_neither_a_folder_nor_an_id(name: str) -> None:
    refused(ModelError, "is no folder here, and cannot be an id on the Hub", name)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": 5}, "`model` must be a path"),
        ({"model": None}, "give a folder, an id on the Hub, or a detector of Transformers"),
        ({"model": ""}, "`model` must be"),
        ({"model": "a\0b"}, "without NUL"),
        ({"model": "owner/" + "x" * 300}, "names of 1 to 255 bytes"),
        ({"model": "a/b", "device": None}, "`device` must be a text, got None"),
        ({"model": "a/b", "revision": 3}, "`revision` must be a text or None, got 3"),
        ({"model": "a/b", "trust": "yes"}, "`trust` must be True or False, got 'yes'"),
        ({"model": "a/b", "local_files_only": 1}, "`local_files_only` must be True or False, got 1"),
    ],
)
@pytest.mark.usefixtures("no_network")
def test_wrong_arguments(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        open_transformers(**options)
    assert text in str(caught.value)


def test_a_file_is_no_folder(folder: Path) -> None:
    refused(ModelError, "is a file, but a model of Transformers is a folder", folder / WEIGHTS)


def test_a_folder_has_no_revision(folder: Path) -> None:
    refused(ModelError, "which has no revision 'main'", folder, revision="main")
    model, processor = build("detr")
    refused(ModelError, "has no revision", model, processor=processor, revision="main")


def test_devices(folder: Path) -> None:
    refused(
        TransformersDeviceError,
        "device 'gpu' cannot be used here: torch knows no such device",
        folder,
        device="gpu",
    )
    if not torch.cuda.is_available():
        refused(TransformersDeviceError, "device 'cuda' cannot be used here", folder, device="cuda")


def test_models_in_memory(pictures: list[Path]) -> None:
    model, processor = build("detr")
    refused(ProcessorError, "a model in memory needs `processor`", model)
    refused(ProcessorError, "object is no image processor of an object detector", model, processor=object())
    refused(ModelError, "got an object of type Linear", torch.nn.Linear(2, 2), processor=processor)
    model.train()
    detector = open_transformers(model, processor=processor)
    assert not model.training
    assert len(detector.predict(pictures[0]).scores) == 10


def test_every_error_has_one_root() -> None:
    import dissect_transformers

    errors = [
        getattr(dissect_transformers, name) for name in dissect_transformers.__all__ if name.endswith("Error")
    ]
    assert len(errors) > 5
    assert all(issubclass(error, DissectTransformersError) for error in errors)


def test_a_package_that_a_model_needs(folder: Path) -> None:
    backbone = {"model_type": "timm_backbone", "backbone": "resnet18", "out_indices": [1, 2, 3, 4]}
    change(folder / "config.json", backbone_config=backbone)
    if find_spec("timm") is not None:
        pytest.skip("timm is installed")
    with pytest.raises(MissingPackageError, match="needs a package that is not installed") as caught:
        open_transformers(folder)
    assert "timm" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(DetectorUnavailableError, match="timm"):
        open_detector("transformers", folder)
