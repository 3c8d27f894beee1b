import collections
import io
import os
import pickle
import pickletools
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dissect_core import CheckpointError  # noqa: E402
from dissect_core.torch import load_checkpoint, save_checkpoint, state_dict_of  # noqa: E402
from dissect_core.torch.checkpoints import (  # noqa: E402
    chosen_state,
    other_places,
    put_state,
    state_dict_place,
)


class Harmless:
    """Stands for what frameworks put into their checkpoints."""

    def __init__(self) -> None:
        self.values = [1, 2]


class Touch:
    """Pickles as a call that leaves a file behind."""

    def __init__(self, call: Any, *args: Any) -> None:
        self.call = (call, args)

    def __reduce__(self) -> Any:
        return self.call


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture(params=["os.system", "os.mkdir", "eval", "exec", "open", "pathlib", "numpy", "nested"])
def evil(request: pytest.FixtureRequest, canary: Path) -> Any:
    weights = {"weight": torch.ones(2)}
    payloads: dict[str, Any] = {
        "os.system": Touch(os.system, f"echo > {canary}"),
        "os.mkdir": Touch(os.mkdir, str(canary)),
        "eval": Touch(eval, f"open({str(canary)!r}, 'w').close()"),
        "exec": Touch(exec, f"open({str(canary)!r}, 'w').close()"),
        "open": Touch(open, str(canary), "w"),
        "pathlib": Touch(Path.touch, canary),
        "numpy": Touch(np.savetxt, str(canary), [1.0]),
        "nested": {"deep": [Touch(os.mkdir, str(canary))]},
    }
    return {"state_dict": weights, "meta": payloads[request.param]}


def legacy_tar(path: Path, payload: bytes) -> None:
    """The format of torch before 0.1.10: a tar of three pickles."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in (("storages", payload), ("tensors", payload), ("pickle", payload)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def write(how: str, content: Any, path: Path) -> None:
    if how == "zip":
        torch.save(content, path)
    elif how == "legacy":
        torch.save(content, path, _use_new_zipfile_serialization=False)
    elif how == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    elif how == "tar":
        legacy_tar(path, pickle.dumps(content, protocol=2))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(content, protocol=2))
            archive.writestr("archive/version", "3\n")
            archive.writestr("archive/byteorder", "little")


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle", "tar", "handmade zip"])
@pytest.mark.parametrize("name", ["model.pth", "model.tar", "model.safetensors", "model"])
def test_hostile_files_run_nothing(how: str, name: str, evil: Any, canary: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    write(how, evil, path)
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(path)
    assert not canary.exists()


def test_the_canary_sings_when_the_file_is_trusted(canary: Path, tmp_path: Path) -> None:
    """Shows that the hostile files above are truly hostile."""
    for how in ("zip", "legacy", "handmade zip"):
        write(how, {"meta": Touch(os.mkdir, str(canary))}, tmp_path / "m.pth")
        load_checkpoint(tmp_path / "m.pth", trust=True)
        canary.rmdir()


def test_the_environment_cannot_switch_the_safe_reader_off(
    canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    write("zip", {"meta": Touch(os.mkdir, str(canary))}, tmp_path / "m.pth")
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "m.pth")
    assert not canary.exists()


@pytest.mark.parametrize("how", ["zip", "legacy"])
def test_a_call_of_the_system_is_named_as_hostile(how: str, canary: Path, tmp_path: Path) -> None:
    write(how, {"meta": Touch(os.mkdir, str(canary))}, tmp_path / "m.pth")
    with pytest.raises(CheckpointError, match=rf"{os.name}\.mkdir, .*probably hostile.*trust=True"):
        load_checkpoint(tmp_path / "m.pth")
    write(how, {"meta": Touch(eval, "1")}, tmp_path / "m.pth")
    with pytest.raises(CheckpointError, match=r"builtins\.eval, .*probably hostile"):
        load_checkpoint(tmp_path / "m.pth")


def test_everything_refused_is_named_at_once(tmp_path: Path) -> None:
    torch.save({"a": Harmless(), "b": collections.UserDict(), "c": torch.ones(1)}, tmp_path / "m.pth")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(tmp_path / "m.pth")
    message = str(caught.value)
    assert "collections.UserDict" in message
    assert f"{Harmless.__module__}.Harmless" in message
    assert "`allow`" in message
    assert "`trust=True`" in message
    assert "hostile" not in message


@pytest.mark.parametrize("how", ["zip", "legacy"])
def test_what_is_allowed_is_read(how: str, tmp_path: Path) -> None:
    write(how, {"meta": Harmless(), "weight": torch.ones(1)}, tmp_path / "m.pth")
    with pytest.raises(CheckpointError, match="Harmless"):
        load_checkpoint(tmp_path / "m.pth")
    assert load_checkpoint(tmp_path / "m.pth", allow=[Harmless])["meta"].values == [1, 2]
    name = f"{Harmless.__module__}.Harmless"
    assert load_checkpoint(tmp_path / "m.pth", allow=[(Harmless, name)])["meta"].values == [1, 2]
    with pytest.raises(CheckpointError, match="Harmless"):
        load_checkpoint(tmp_path / "m.pth")  # allowed for that one call only


def test_what_pytorch_was_told_to_allow_does_not_count(tmp_path: Path) -> None:
    torch.save({"meta": Harmless()}, tmp_path / "m.pth")
    with torch.serialization.safe_globals([Harmless]):
        with pytest.raises(CheckpointError, match="Harmless"):
            load_checkpoint(tmp_path / "m.pth")
        assert Harmless in torch.serialization.get_safe_globals()


@pytest.mark.parametrize("trust", [False, True])
def test_a_file_too_large_for_the_memory(
    trust: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"weight": torch.ones(1)}, tmp_path / "m.pth")

    def full(*args: Any, **kwargs: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(torch, "load", full)
    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(CheckpointError, match=r"m\.pth does not fit into memory"):
        load_checkpoint(tmp_path / "m.pth", trust=trust)


@pytest.mark.parametrize("how", ["zip", "legacy"])
def test_weights_come_back_bit_for_bit(how: str, tmp_path: Path) -> None:
    weights = {
        "f32": torch.randn(3, 4),
        "bf16": torch.randn(3).bfloat16(),
        "f16": torch.randn(3).half(),
        "steps": torch.tensor(7),
        "nan": torch.tensor([float("nan"), -0.0]),
    }
    write(how, {"state_dict": weights, "meta": {"epoch": 12, "classes": ("cat", "dog")}}, tmp_path / "m.pth")
    for path in (tmp_path / "m.pth", str(tmp_path / "m.pth")):
        content = load_checkpoint(path)
        assert content["meta"] == {"epoch": 12, "classes": ("cat", "dog")}
        for name, tensor in weights.items():
            read = content["state_dict"][name]
            assert read.dtype == tensor.dtype
            assert read.view(-1).view(torch.uint8).equal(tensor.view(-1).view(torch.uint8))


def test_an_ordered_state_dict_keeps_its_type(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "m.pth")
    assert isinstance(load_checkpoint(tmp_path / "m.pth"), collections.OrderedDict)


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "detr_r50.pth").touch()
    with pytest.raises(
        CheckpointError, match=r"detr-r50\.pth does not exist\. Near matches there: detr_r50\.pth"
    ):
        load_checkpoint(tmp_path / "detr-r50.pth")
    with pytest.raises(CheckpointError, match=r"does not exist\. Check the path"):
        load_checkpoint(tmp_path / "nowhere" / "m.pth")


def test_a_folder_and_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is a folder. Give the path of a checkpoint file"):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match=r"cannot be read \(embedded null byte\)"):
        load_checkpoint("a\0b")
    (tmp_path / "m.pth").touch()
    with pytest.raises(CheckpointError, match=r"m.pth is empty. Download or save it again"):
        load_checkpoint(tmp_path / "m.pth")


@pytest.mark.parametrize("how", ["zip", "legacy"])
@pytest.mark.parametrize("trust", [False, True])
def test_a_truncated_file_at_any_length(how: str, trust: bool, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.pth", tmp_path / "cut.pth"
    write(how, {"state_dict": {"weight": torch.randn(50, 10)}}, whole)
    content = whole.read_bytes()
    for length in range(1, len(content), max(1, len(content) // 200)):
        cut.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"cut\.pth is (truncated|damaged)"):
            load_checkpoint(cut, trust=trust)


def test_damage_in_the_middle_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    torch.save({"state_dict": {"weight": torch.randn(50, 10)}}, path)
    content = path.read_bytes()
    position = content.index(b"weight")
    path.write_bytes(content[: position - 20] + b"\xff" * 20 + content[position:])
    with pytest.raises(CheckpointError, match=r"m\.pth is truncated or damaged .* Download or save it again"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>404</html>", "is a web page"),
        (b"\n <html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer.*git lfs pull"),
        (b'{"images": []}', "is a JSON file"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b"hello, world", "is damaged, or not a checkpoint at all"),
        (bytes(range(256)) * 4, "is damaged, or not a checkpoint at all"),
    ],
)
def test_files_of_another_kind(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "m.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "m.pth")


def test_files_that_other_readers_are_for(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}              ")
    with pytest.raises(CheckpointError, match=r"safetensors format.*load_safetensors"):
        load_checkpoint(tmp_path / "m.safetensors")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "no weights here")
    with pytest.raises(CheckpointError, match=r"other.zip is truncated or damaged"):
        load_checkpoint(tmp_path / "other.zip")


def test_a_torchscript_program(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("m/constants.pkl", pickle.dumps((), protocol=2))
        archive.writestr("m/version", "3\n")
    with pytest.raises(CheckpointError, match=r"TorchScript program.*state_dict"):
        load_checkpoint(tmp_path / "m.pt")


@pytest.mark.parametrize("content", [[1, 2], torch.ones(2), 3, {1: torch.ones(2)}])
def test_content_that_is_no_mapping_of_names(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "m.pth")
    with pytest.raises(
        CheckpointError, match=f"must hold a mapping with string keys, got {type(content).__name__}"
    ):
        load_checkpoint(tmp_path / "m.pth")


def test_a_trusted_file_may_need_code_that_is_missing(tmp_path: Path) -> None:
    code = b"\x80\x02cno_such_package\nThing\n."
    assert "no_such_package" in [arg for _, arg, _ in pickletools.genops(code) if arg][-1]  # type: ignore[operator]
    with zipfile.ZipFile(tmp_path / "m.pth", "w") as archive:
        archive.writestr("m/data.pkl", code)
        archive.writestr("m/version", "3\n")
        archive.writestr("m/byteorder", "little")
    with pytest.raises(CheckpointError, match=r"needs code that is not installed: .*no_such_package"):
        load_checkpoint(tmp_path / "m.pth", trust=True)
    with pytest.raises(CheckpointError, match=r"it contains no_such_package.Thing"):
        load_checkpoint(tmp_path / "m.pth")


@pytest.mark.parametrize(
    "wrap", [lambda w: w, lambda w: {"model": w}, lambda w: {"state_dict": w, "model": {}}]
)
def test_state_dict_is_found_and_is_the_object_itself(wrap: Any) -> None:
    weights = {"weight": torch.ones(2), "norm._extra_state": {"any": "thing"}}
    assert state_dict_of(wrap(weights)) is weights


def test_a_parameter_may_be_called_model() -> None:
    assert list(state_dict_of({"model": torch.ones(1)})) == ["model"]


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ({}, "the checkpoint holds nothing"),
        ({"meta": {"epoch": 1}}, "the checkpoint holds 'meta' of dict"),
        ({"state_dict": {}}, r"`checkpoint\['state_dict'\]` holds nothing"),
        ({"model": {"weight": np.ones(2)}}, r"`checkpoint\['model'\]` holds 'weight' of ndarray"),
        ({"state_dict": {0: torch.ones(1)}}, "holds 0 of Tensor"),
    ],
)
def test_checkpoints_without_a_state_dict(checkpoint: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        state_dict_of(checkpoint)


@pytest.mark.parametrize(
    ("wrap", "place", "others"),
    [
        (lambda w: w, (), []),
        (lambda w: {"model_state_dict": w, "optimizer": {"state": {}}}, ("model_state_dict",), []),
        (lambda w: {"ema": {"module": w, "updates": 3}}, ("ema", "module"), []),
        (lambda w: {"ema": {"module": w}, "model": w}, ("model",), ["ema.module"]),
        (lambda w: {"model": {"state_dict": w}}, ("model", "state_dict"), []),
    ],
)
def test_state_dict_is_found_under_other_keys_and_put_back(
    wrap: Any, place: tuple[str, ...], others: list[str]
) -> None:
    checkpoint = wrap({"weight": torch.ones(2)})
    assert state_dict_place(checkpoint) == place
    assert other_places(checkpoint) == others
    written = put_state(checkpoint, place, {"weight": torch.zeros(2)})
    assert not state_dict_of(written)["weight"].any()
    assert state_dict_of(checkpoint)["weight"].all()
    assert [*written] == [*checkpoint]


def test_one_of_several_state_dicts_is_chosen_by_its_key_or_prefix() -> None:
    one, other = {"weight": torch.ones(1)}, {"weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"got 2: 'teacher', 'student'.*--weights-prefix teacher\."):
        state_dict_of({"teacher": one, "student": other})
    assert chosen_state({"teacher": one, "student": other}, "student")[2] is other
    assert chosen_state({"model": one, "ema": {"module": other}}, "ema.")[0] == ("ema", "module")
    both = {"state_dict": {"teacher.weight": torch.ones(1), "student.weight": torch.zeros(1)}}
    assert chosen_state(both, "student.")[:2] == (("state_dict",), "student.")
    with pytest.raises(
        CheckpointError, match=r"got 'em'\. Names begin with teacher, student; keys .*: state_dict"
    ):
        chosen_state(both, "em")


def test_a_saved_state_dict_can_be_loaded(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    save_checkpoint({"state_dict": model.state_dict()}, tmp_path / "m.pth")
    torch.nn.Linear(3, 2).load_state_dict(state_dict_of(load_checkpoint(tmp_path / "m.pth")))
