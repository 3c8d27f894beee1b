"""Pickled samples: what is read, and that nothing in a hostile file runs."""

import builtins
import collections
import io
import os
import pickle
import pickletools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dissect_mmdet import PickleRefusedError
from dissect_mmdet.errors import DissectMMDetError, SamplesNotFoundError
from dissect_mmdet.samples import Naming, Record, load_samples, naming_of, truth_and_detections
from hostile_pickles import HOSTILE, Code, build, call, value, whole

TRUTH = ([[0, 0, 10, 10], [5, 5, 50, 60]], [1, 90])
FOUND = ([[1, 1, 9, 9]], [0.5], [79])


class Call:
    """Pickles as a call of anything."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


class Build:
    """Pickles as an object of a class that is given any state."""

    def __init__(self, cls: Any, state: Any) -> None:
        self.parts = cls.__new__, (cls,), state

    def __reduce__(self) -> Any:
        return self.parts


def dump(content: Any, path: Path, protocol: int | None = None) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """A file that hostile content would make."""
    return tmp_path / "was_here"


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_samples_are_read(protocol: int, make_sample: Callable[..., Any], tmp_path: Path) -> None:
    sample = make_sample(
        TRUTH, FOUND, scale_factor=np.array([1.5, 2.0]), flip=np.float64(0.5), tags={"a", "b"}
    )
    path = dump([sample, make_sample(([], []), ([], [], []))], tmp_path / "igt_0.pkl", protocol)
    first, second = load_samples(path)
    assert first.get("img_path") == "000000000139.jpg"
    assert first.get("ori_shape") == (100, 100)
    assert first.get("scale_factor").tolist() == [1.5, 2.0]
    assert (first.get("flip"), first.get("tags"), first.get("absent", 7)) == (0.5, {"a", "b"}, 7)
    for name in ("gt_instances", "pred_instances"):
        for field, held in getattr(sample, name).items():
            torch.testing.assert_close(first.get(name).get(field), held, rtol=0, atol=0)
    assert second.get("gt_instances").get("bboxes").shape == (0, 4)


def test_file_names_nothing_beyond_the_table(make_sample: Callable[..., Any]) -> None:
    """The real files need no more than a handful of names, so the table can be as short as it is."""
    data = pickle.dumps([make_sample(TRUTH, FOUND)], protocol=2)
    named = {arg for op, arg, _ in pickletools.genops(data) if op.name == "GLOBAL"}
    assert named == {
        "mmdet.structures.det_data_sample DetDataSample",
        "mmengine.structures.instance_data InstanceData",
        "torch._utils _rebuild_tensor_v2",
        "torch.storage _load_from_bytes",
        "collections OrderedDict",
        "__builtin__ set",
        "_codecs encode",
    }


def test_other_tensors_are_read(make_sample: Callable[..., Any], tmp_path: Path) -> None:
    from mmdet.structures.bbox import HorizontalBoxes

    sample = make_sample(TRUTH, FOUND)
    sample.gt_instances.bboxes = HorizontalBoxes(torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]]))
    sample.pred_instances.scores = torch.nn.Parameter(torch.tensor([0.25], dtype=torch.bfloat16))
    sample.pred_instances.bboxes = torch.arange(16.0).reshape(4, 4).T[1:2]
    (read,) = load_samples(dump([sample], tmp_path / "0.pkl"))
    assert read.get("gt_instances").get("bboxes").get("tensor").tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert read.get("pred_instances").get("scores").item() == 0.25
    assert read.get("pred_instances").get("bboxes").tolist() == [[1, 5, 9, 13]]


def test_cuda_tensors_come_to_the_cpu(
    make_sample: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file written on a machine with a GPU names the device of each storage."""
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    path = dump([make_sample(TRUTH, FOUND)], tmp_path / "0.pkl")
    assert b"cuda:0" in path.read_bytes()
    (sample,) = load_samples(path)
    boxes = sample.get("gt_instances").get("bboxes")
    assert boxes.device.type == "cpu"
    assert boxes.tolist() == TRUTH[0]


def test_reading_needs_no_mmdetection(make_sample: Callable[..., Any], tmp_path: Path) -> None:
    path = dump([make_sample(TRUTH, FOUND)], tmp_path / "0.pkl")
    code = (
        "import sys\n"
        "for name in ('mmdet', 'mmcv', 'mmengine'): sys.modules[name] = None\n"
        "from dissect_mmdet.samples import load_samples\n"
        f"print(load_samples({str(path)!r})[0].get('gt_instances').get('labels').tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[1, 90]\n", done.stderr


def hostile_calls(flag: Path) -> dict[str, Any]:
    touch = f"open({str(flag)!r}, 'w').close()"
    return {
        "posix.system": Call(os.system, f"touch {flag}"),
        "builtins.eval": Call(eval, touch),
        "builtins.exec": Call(exec, touch),
        "builtins.getattr": Call(getattr, Path, "touch"),
        "io.open": Call(builtins.open, str(flag), "w"),
        "subprocess.Popen": Call(subprocess.Popen, ["touch", str(flag)]),
        "torch.serialization.load": Call(torch.load, str(flag)),
        "_pickle.loads": Call(pickle.loads, pickle.dumps(Call(eval, touch))),
        "builtins.type": Call(type, "X", (), {}),
    }


@pytest.mark.parametrize("name", hostile_calls(Path("x")))
@pytest.mark.parametrize("nested", [False, True])
def test_hostile_call_is_refused(
    name: str, nested: bool, make_sample: Callable[..., Any], flag: Path, tmp_path: Path
) -> None:
    hostile = hostile_calls(flag)[name]
    sample = make_sample(TRUTH, FOUND)
    vars(sample.pred_instances)["extra"] = hostile
    path = dump([sample] if nested else hostile, tmp_path / "0.pkl")
    with pytest.raises(
        PickleRefusedError, match=rf"0\.pkl: refused, it asks for {re.escape(name)}\. Nothing"
    ):
        load_samples(path)
    assert not flag.exists()


def hostile_bytes(flag: Path, zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(Call(os.system, f"touch {flag}"), buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@pytest.mark.parametrize("zipped", [False, True])
def test_hostile_bytes_inside_a_tensor_are_refused(zipped: bool, flag: Path, tmp_path: Path) -> None:
    """A plain `torch.storage._load_from_bytes` would run them."""
    load = torch.storage._load_from_bytes
    path = dump([Call(load, hostile_bytes(flag, zipped))], tmp_path / "0.pkl")
    with pytest.raises(PickleRefusedError, match=r"asks for posix\.system inside the values of a tensor"):
        load_samples(path)
    assert not flag.exists()
    pickle.loads(path.read_bytes())
    assert flag.exists()  # so the file was really hostile


def test_only_storages_pass_as_values_of_a_tensor(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"a": 1}, buffer)
    for data in (buffer.getvalue(), b"", b"no storage", 7):
        path = dump([Call(torch.storage._load_from_bytes, data)], tmp_path / "0.pkl")
        with pytest.raises(PickleRefusedError, match=r"0\.pkl"):
            load_samples(path)


def test_tensor_cannot_reach_beyond_its_storage(tmp_path: Path) -> None:
    typed = torch.zeros(2)._typed_storage()  # type: ignore[no-untyped-call]
    rebuild = torch._utils._rebuild_tensor_v2
    for args in (
        (typed, 0, (1000,), (1,)),
        (typed, -4, (2,), (1,)),
        (typed, 0, (2,), (-1,)),
        ("x", 0, (1,), (1,)),
    ):
        path = dump([Call(rebuild, *args, False, collections.OrderedDict())], tmp_path / "0.pkl")
        with pytest.raises(PickleRefusedError, match="it is damaged, or no pickle of samples"):
            load_samples(path)


def test_state_cannot_reach_classes_or_functions(make_sample: Callable[..., Any], tmp_path: Path) -> None:
    """BUILD sets attributes of whatever lies on the stack: there must be nothing of ours that matters."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    table = {
        "class": b"cmmdet.structures.det_data_sample\nDetDataSample\n",
        "function": b"ctorch._utils\n_rebuild_tensor_v2\n",
        "method": b"ctorch.storage\n_load_from_bytes\n",
    }
    before = dict(vars(DetDataSample)), dict(vars(InstanceData)), dict(vars(Record))
    for target in table.values():
        for state in (b"N}Vpwned\nI1\ns\x86b", b"}Vpwned\nI1\nsb"):
            path = tmp_path / "0.pkl"
            path.write_bytes(b"\x80\x02" + target + state + b".")
            with pytest.raises(PickleRefusedError):
                load_samples(path)
    assert before == (dict(vars(DetDataSample)), dict(vars(InstanceData)), dict(vars(Record)))
    (clean,) = load_samples(dump([make_sample(TRUTH, FOUND)], tmp_path / "clean.pkl"))
    assert not hasattr(clean, "pwned")
    assert not hasattr(Record, "pwned")


def test_odd_state_of_a_sample_is_refused(tmp_path: Path) -> None:
    name = b"cmmdet.structures.det_data_sample\nDetDataSample\n"
    for state in (b"]", b"N}\x86", b"}I1\nI2\ns"):
        path = tmp_path / "0.pkl"
        path.write_bytes(b"\x80\x02]" + name + b")\x81" + state + b"ba.")
        with pytest.raises(PickleRefusedError, match="must be a dict of its fields"):
            load_samples(path)


def test_dotted_names_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "0.pkl"
    for module, name in (
        ("torch", "os.system"),
        ("collections", "OrderedDict.__init__"),
        ("builtins", "set.x"),
    ):
        path.write_bytes(b"\x80\x04\x8c" + bytes([len(module)]) + module.encode() + b"\x8c")
        path.write_bytes(path.read_bytes() + bytes([len(name)]) + name.encode() + b"\x93.")
        with pytest.raises(PickleRefusedError, match=rf"asks for {module}\.{name}"):
            load_samples(path)


def test_persistent_references_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0.pkl").write_bytes(b"\x80\x02Vsomewhere\nQ.")
    with pytest.raises(PickleRefusedError, match="persistent reference 'somewhere'"):
        load_samples(tmp_path / "0.pkl")


@pytest.mark.parametrize("content", [{"a": 1}, [1, 2], "text", ({},), torch.zeros(3)])
def test_anything_but_a_list_of_samples_is_refused(content: Any, tmp_path: Path) -> None:
    with pytest.raises(PickleRefusedError, match="must hold a list of DetDataSample"):
        load_samples(dump(content, tmp_path / "0.pkl"))


def test_damaged_files(make_sample: Callable[..., Any], tmp_path: Path) -> None:
    whole = dump([make_sample(TRUTH, FOUND)], tmp_path / "0.pkl").read_bytes()
    path = tmp_path / "damaged.pkl"
    for size in (1, 40, 500, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(PickleRefusedError, match=r"damaged\.pkl: it is damaged, or no pickle of samples"):
            load_samples(path)
    path.write_bytes(b"")
    with pytest.raises(PickleRefusedError, match=r"damaged\.pkl: the file is empty"):
        load_samples(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.pkl: no such file") as caught:
        load_samples(tmp_path / "nothing.pkl")
    assert isinstance(caught.value, SamplesNotFoundError)
    assert isinstance(caught.value, DissectMMDetError)


def in_a_sample(content: Any) -> Code:
    """Put hostile content into a field of a sample."""
    sample = call("mmdet.structures.det_data_sample.DetDataSample", new=True)
    return value([build(sample, Code(b"}" + value("x") + value(content) + b"s"))])


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_content_is_refused(case: str, tmp_path: Path) -> None:
    """The cases of checkpoints: 1.0's pickles are read by the same machine."""
    path = tmp_path / "0.pkl"
    path.write_bytes(whole(in_a_sample(HOSTILE[case])))
    with pytest.raises(PickleRefusedError, match=r"0\.pkl: ") as caught:
        load_samples(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert np.dtype("f8").fields is None


def test_a_field_may_have_any_name(make_sample: Callable[..., Any], tmp_path: Path) -> None:
    """Fields that are called as what a record has do not hide it."""
    fields = dict.fromkeys(("get", "__class__", "__dict__", "__setstate__", "_fields", "_get"), "field")
    sample = build(call("mmdet.structures.det_data_sample.DetDataSample", new=True), {**fields, "_kept": 1})
    (tmp_path / "0.pkl").write_bytes(whole([sample]))
    (read,) = load_samples(tmp_path / "0.pkl")
    assert all(read.get(name) == "field" for name in fields)
    assert read.get("kept") == 1
    assert read.get("_kept") == 1
    assert type(read) is Record


NAMING = Naming(("cat",), {1: "cat"})


@pytest.mark.parametrize("where", ["gt_instances", "pred_instances"])
@pytest.mark.parametrize(
    ("field", "content"),
    [
        (None, 5),
        (None, "text"),
        ("bboxes", "text"),
        ("bboxes", {"a": 1}),
        ("bboxes", torch.ones(3)),
        ("bboxes", torch.ones(2, 4)),
        ("bboxes", torch.ones(1, 4, dtype=torch.complex64)),
        ("bboxes", np.array(["a"])),
        ("bboxes", [[1, 2], [3]]),
        ("labels", torch.ones(1, 1)),
        ("labels", torch.tensor(1)),
        ("labels", ["cat"]),
    ],
)
def test_odd_fields_are_named(where: str, field: str | None, content: Any) -> None:
    instances = Record()
    instances.__setstate__({"bboxes": torch.ones(1, 4), "labels": torch.zeros(1), "scores": torch.ones(1)})
    if field is not None:
        vars(instances)["_fields"][field] = content
    sample = Record()
    sample.__setstate__({where: content if field is None else instances})
    with pytest.raises(PickleRefusedError, match=rf"samples: `{'' if field else 'instances'}.*must be"):
        truth_and_detections([sample], NAMING)


@pytest.mark.parametrize("pairs", [((1,),), ("ab",), ((None, "cat"),), (("1", "cat"),)])
def test_odd_names_are_refused(pairs: Any) -> None:
    sample = Record()
    sample.__setstate__({"class_names": ("cat",), "category_names": pairs})
    with pytest.raises(PickleRefusedError, match="must hold pairs of a category id and a name"):
        naming_of([sample], NAMING)
