"""Weights of a detector: all of them the checkpoint's, or refused, or filled from a fixed seed and said."""

import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dissect_core import CheckpointError
from dissect_core.engine import weights_sha256
from dissect_core.torch import save_safetensors
from dissect_mmdet import (
    CheckpointFitError,
    MMDetDetector,
    build_model,
    load_config,
    load_mmdet_checkpoint,
    open_mmdet,
)
from dissect_mmdet.demo import demo_files
from helpers import DemoData

CONFIG = demo_files("detr").config
State = dict[str, torch.Tensor]
Open = Callable[..., MMDetDetector]


@pytest.fixture(scope="module")
def state() -> State:
    return load_mmdet_checkpoint(demo_files("detr").checkpoint)["state_dict"]


@pytest.fixture(scope="module")
def sha256(state: State) -> str:
    """Of the whole detector's weights, loaded by torch alone."""
    model = build_model(load_config(CONFIG))
    model.load_state_dict(state, strict=True)
    return weights_sha256(model)


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Write a checkpoint and open it."""

    def call(checkpoint: Mapping[str, Any], config: Path = CONFIG, **options: Any) -> MMDetDetector:
        torch.save(dict(checkpoint), tmp_path / "model.pth")
        return open_mmdet(config=config, checkpoint=tmp_path / "model.pth", **options)

    return call


def renamed(state: State, rename: Callable[[str], str]) -> State:
    return {rename(name): value for name, value in state.items()}


@pytest.mark.parametrize(
    ("rename", "said"),
    [
        (lambda n: f"module.{n}", "`module.` taken off"),
        (lambda n: f"_orig_mod.{n}", "`_orig_mod.` taken off"),
        (lambda n: f"teacher.module.{n}", "`teacher.module.` taken off"),
        (lambda n: f"ema_model._orig_mod.module.{n}", "taken off"),
        (lambda n: f"detector.net.{n}", "`detector.net.` taken off"),
        (lambda n: n.replace("backbone.", "backbone._orig_mod."), "inside names"),
        (lambda n: "module." + n.replace("encoder.", "encoder._fsdp_wrapped_module."), "`module.` taken off"),
    ],
)
def test_names_without_what_training_put_before_them(
    rename: Callable[[str], str], said: str, state: State, sha256: str, opened: Open
) -> None:
    detector = opened({"state_dict": renamed(state, rename)})
    assert weights_sha256(detector.model) == sha256
    assert said in detector.fit.describe()
    assert "missing_weights" not in detector.facts


@pytest.mark.parametrize(
    ("wrap", "prefix"),
    [
        (lambda s: s, ""),
        (lambda s: {"state_dict": s}, ""),
        (lambda s: {"model": s, "optimizer": {"state": {}}}, ""),
        (lambda s: {"model_state_dict": s, "epoch": 3}, ""),
        (lambda s: {"ema": {"module": s, "updates": 7}, "epoch": 3}, ""),
        (lambda s: {"teacher": s}, ""),
        (lambda s: {"teacher": s, "student": changed(s)}, "teacher"),
        (lambda s: {"model": changed(s), "ema": {"module": s}}, "ema."),
        (lambda s: {"state_dict": {"steps": torch.tensor(9), **renamed(s, "module.{}".format)}}, ""),
        (lambda s: {"state_dict": both(s, changed(s))}, "teacher."),
        (lambda s: {"state_dict": both(changed(s), s)}, "student"),
        (
            lambda s: {"model": {f"model.{n}": v for n, v in s.items()} | {"criterion.w": torch.ones(2)}},
            "model.",
        ),
    ],
)
def test_weights_are_found_where_they_lie(
    wrap: Callable[[State], dict[str, Any]], prefix: str, state: State, sha256: str, opened: Open
) -> None:
    assert weights_sha256(opened(wrap(state), weights_prefix=prefix).model) == sha256


def changed(state: State) -> State:
    return {name: value + 1 for name, value in state.items()}


def both(teacher: State, student: State) -> State:
    return renamed(teacher, "teacher.{}".format) | renamed(student, "student.{}".format)


@pytest.mark.parametrize(
    ("wrap", "prefix", "message"),
    [
        (
            lambda s: {"state_dict": both(s, s)},
            "",
            r"behind a prefix: `teacher\.` \(193 of the model's 193\), `student\.` .*--weights-prefix teacher\.",
        ),
        (lambda s: {"teacher": s, "student": s}, "", r"got 2: 'teacher', 'student'.*weights_prefix"),
        (lambda s: {"state_dict": both(s, s)}, "ema.", r"begin with teacher, student; keys .*: state_dict"),
        (
            lambda s: renamed(s, "model.{}".format) | {"criterion.weight": torch.ones(1)},
            "",
            r"`model\.` \(193 of .*--weights-prefix model\.",
        ),
        (lambda s: {"a.weight": torch.ones(2)}, "", r"none of its 1 entries .*: a\.weight there, backbone"),
    ],
)
@pytest.mark.parametrize("allow", [False, True])
def test_weights_that_might_be_others_are_refused(
    wrap: Callable[[State], dict[str, Any]],
    prefix: str,
    message: str,
    allow: bool,
    state: State,
    opened: Open,
) -> None:
    with pytest.raises((CheckpointFitError, CheckpointError), match=message):
        opened(wrap(state), weights_prefix=prefix, allow_missing=allow)


def without(state: State, start: str) -> State:
    return {name: value for name, value in state.items() if not name.startswith(start)}


def with_more_classes(state: State) -> State:
    heads = {"bbox_head.fc_cls.weight": torch.ones(81, 128), "bbox_head.fc_cls.bias": torch.ones(81)}
    return state | heads


def deeper(state: State) -> State:
    last = {n: v for n, v in state.items() if n.startswith("encoder.layers.2")}
    return state | renamed(last, lambda n: n.replace("layers.2", "layers.3"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: without(s, "bbox_head."),
            r"8 of the model's 193 entries, 2\.8 % of its parameters and buffers, are not in it; "
            r"missing .*: bbox_head\.fc_cls\.w"
            r".* and 3 more\. Likely reason: it was saved without bbox_head\. .*--allow-missing",
        ),
        (
            lambda s: without(s, "backbone.bn1.running_var"),
            "1 of the model's 193 entries, < 0.1 % of its parameters and",
        ),
        (
            with_more_classes,
            r"shape: bbox_head\.fc_cls\.weight 81 × 128 there, 7 × 128 here, .*: 80 classes there, 6 here",
        ),
        (lambda s: s | {"query_embedding.weight": torch.ones(30, 128)}, "30 queries there, 25 here"),
        (
            deeper,
            r"without a place in parts .*encoder\.layers\.3\.\S+ .*: encoder\.layers has 4 there, 3 here",
        ),
        (lambda s: without(s, "encoder.layers.2"), r"encoder\.layers has 2 there, 3 here"),
        (
            lambda s: s | {"neck.convs.0.conv.offset": torch.ones(1)},
            r"without a place .*neck\.convs\.0\.conv\.offset",
        ),
        (lambda s: {n: v for n, v in s.items() if n.startswith("backbone.")}, "it is a backbone's alone"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_likely_reason(
    change: Callable[[State], State], message: str, state: State, opened: Open
) -> None:
    with pytest.raises(CheckpointFitError, match=message) as refused:
        opened({"state_dict": change(state)})
    assert "\n" not in str(refused.value)
    detector = opened({"state_dict": change(state)}, allow_missing=True)
    assert detector.facts["missing_weights"]["note"] == detector.fit.warning != ""


@pytest.mark.parametrize(
    "change",
    [
        lambda s: {n: v for n, v in s.items() if not n.endswith("num_batches_tracked")},
        lambda s: s | {"backbone.bn1.num_batches_tracked": torch.tensor([float("inf")])},
        lambda s: (
            s | {"mask_head.conv.weight": torch.ones(2), "bbox_head.loss_cls.class_weight": torch.ones(2)}
        ),
        lambda s: s | renamed(s, lambda n: "ema_" + n.replace(".", "_")),
        lambda s: s | renamed(changed(s), "ema_model.{}".format),
        lambda s: s | {"data_preprocessor.mean": torch.ones(3, 1, 1)},
    ],
)
def test_what_nobody_misses_is_said_and_no_more(
    change: Callable[[State], State], state: State, sha256: str, opened: Open
) -> None:
    detector = opened({"state_dict": change(state)})
    own = {n: v for n, v in detector.model.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert all(torch.equal(value, state[name]) for name, value in own.items())
    assert "missing_weights" not in detector.facts
    extra = len(change(state)) - len(state)
    assert extra <= 0 or f"not used: {extra}" in detector.fit.describe()


def test_another_normalisation_is_said(state: State, opened: Open) -> None:
    told = opened({"state_dict": state | {"data_preprocessor.mean": torch.ones(3, 1, 1)}}).fit.describe()
    assert "mean is [1.0, 1.0, 1.0] in the checkpoint, [123.675, 116.28, 103.53] in the config" in told


def test_missing_weights_are_the_same_each_time(state: State, opened: Open, demo_data: DemoData) -> None:
    less = {"state_dict": without(state, "bbox_head.") | {"query_embedding.weight": torch.ones(30, 128)}}
    hashes = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        random.seed(seed)
        generators = np.random.get_state()[1].copy(), random.getstate(), torch.get_rng_state()  # noqa: NPY002
        detector = opened(less, allow_missing=True)
        assert np.array_equal(generators[0], np.random.get_state()[1])  # noqa: NPY002
        assert generators[1] == random.getstate()
        assert torch.equal(generators[2], torch.get_rng_state())
        hashes.add(weights_sha256(detector.model))
    assert len(hashes) == 1
    own = detector.model.state_dict()
    assert all(torch.equal(own[n], v) for n, v in state.items() if not n.startswith(("bbox_head", "query")))
    record = detector.facts["missing_weights"]
    assert record["reshaped"] == {"query_embedding.weight": [[30, 128], [25, 128]]}
    assert len(record["missing"]) == 8
    assert record["filled"] == sum(
        v.numel() for n, v in state.items() if n.startswith(("bbox_head", "query"))
    )
    found = list(detector.predict(demo_data.paths[:1]))
    assert np.isfinite(found[0].boxes).all()


def test_nan_and_infinity_are_named(state: State, opened: Open) -> None:
    name = "encoder.layers.0.self_attn.attn.in_proj_weight"
    weight = state[name].clone()
    weight[0, :2] = torch.tensor([torch.nan, -torch.inf])
    message = r"holds 2 values that are NaN or infinity, in 1 entry: encoder\S+in_proj_weight \(2 of 49,152\)"
    for allow in (False, True):
        with pytest.raises(CheckpointFitError, match=message):
            opened({"state_dict": state | {name: weight}}, allow_missing=allow)


def test_half_precision_is_loaded_and_said(state: State, opened: Open) -> None:
    detector = opened({"state_dict": {name: value.half() for name, value in state.items()}})
    own = detector.model.state_dict()["query_embedding.weight"]
    assert torch.equal(own, state["query_embedding.weight"].half().float())
    assert "178 entries stored as float16" in detector.fit.describe()


def test_numbers_of_another_kind_are_refused(state: State, opened: Open) -> None:
    name = "query_embedding.weight"
    for value, message in (
        (state[name].to(torch.int8), "is int8 there, float32 here"),
        (state[name].to(torch.complex64), "is complex64 there"),
    ):
        with pytest.raises(CheckpointFitError, match=message):
            opened({"state_dict": state | {name: value}}, allow_missing=True)
    sparse = {"state_dict": state | {name: state[name].to_sparse()}}
    with pytest.raises(CheckpointError, match="_rebuild_sparse_tensor"):
        opened(sparse, allow_missing=True)
    with pytest.raises(CheckpointFitError, match="holds no plain numbers"):
        opened(sparse, allow_missing=True, trust=True)


class TiedHeads(torch.nn.Module):
    """Two names for one layer, as heads have that share their classifier; and a buffer that holds infinity."""

    def __init__(self) -> None:
        super().__init__()
        layer = torch.nn.Linear(3, 2)
        self.heads = torch.nn.ModuleList([layer, layer])
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        self.register_buffer("nothing", torch.empty(0))


def put(weights: Mapping[str, Any], **options: Any) -> tuple[TiedHeads, Any]:
    from dissect_mmdet.weights import find_weights, put_weights

    model = TiedHeads()
    found = find_weights({"state_dict": dict(weights)}, model.state_dict())
    return model, put_weights(model, found, checkpoint="a.pth", source="a config", **options)


def test_tied_parameters_need_one_of_their_names_and_one_value() -> None:
    whole = TiedHeads().state_dict()
    once = {
        name: value for name, value in whole.items() if not name.startswith("heads.1") and name != "nothing"
    }
    model, fit = put(once)
    assert fit.is_whole
    assert fit.n_values == 3 * 2 + 2 + 2
    assert torch.equal(model.heads[1].weight, whole["heads.0.weight"])
    with pytest.raises(
        CheckpointFitError, match=r"one parameter .* different values .*: heads\.1\.weight and"
    ):
        put(whole | {"heads.1.weight": torch.zeros(2, 3)}, allow_missing=True)
    neither = {name: value for name, value in whole.items() if not name.endswith("weight")}
    model, fit = put(neither, allow_missing=True)
    assert fit.missing == ("heads.0.weight", "heads.1.weight")
    assert fit.n_lacking == 6
    assert torch.equal(put(neither, allow_missing=True)[0].heads[0].weight, model.heads[1].weight)


def test_safetensors_by_its_ending_or_its_content(state: State, sha256: str, tmp_path: Path) -> None:
    for name in ("model.safetensors", "model.pth"):
        save_safetensors(renamed(state, "module.{}".format), tmp_path / name)
        assert weights_sha256(open_mmdet(config=CONFIG, checkpoint=tmp_path / name).model) == sha256


def test_layers_that_were_one_in_training_are_said(state: State, opened: Open) -> None:
    """A head with shared branches, opened by a config that gives each layer its own: names and shapes fit."""
    first = {n: v for n, v in state.items() if n.startswith("decoder.layers.0.")}
    alike = {
        renamed_to: v
        for i in (1, 2)
        for renamed_to, v in renamed(first, lambda n, i=i: n.replace("s.0", f"s.{i}", 1)).items()
    }
    assert (
        "the layers of decoder.layers hold the same numbers"
        in opened({"state_dict": state | alike}).fit.describe()
    )
    assert "same numbers" not in opened({"state_dict": state}).fit.describe()


def test_commands_on_weights_alone_name_nan_too(
    state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from commands import call

    name = "query_embedding.weight"
    torch.save({"state_dict": state | {name: state[name] * torch.nan}}, tmp_path / "nan.pth")
    for words in (
        ["inspect", tmp_path / "nan.pth"],
        ["ablate", "component", tmp_path / "nan.pth", name, "--out", tmp_path],
    ):
        status, _, err = call(capsys, *words)
        assert status == 2
        assert (
            "3,200 values that are NaN or infinity, in 1 entry: query_embedding.weight (3,200 of 3,200)"
            in err
        )


def test_commands_on_weights_alone_say_which_these_are(
    state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a model nothing tells whose names these are: what is wrapped by half is no part's whole."""
    from commands import call

    half = {f"module.{n}" if i % 2 else n: v for i, (n, v) in enumerate(state.items())}
    two = {"model": {"state_dict": state}, "ema": {"state_dict": changed(state)}}
    for name, content in (("half", half), ("two", two), ("whole", renamed(state, "module.{}".format))):
        torch.save(content, tmp_path / f"{name}.pth")
    torch.save({"optimizer": {"state": {}}, "epoch": 1}, tmp_path / "none.pth")
    for file, status, message in (
        (
            "half.pth",
            2,
            r"half\.pth: `module\.` stands before 96 of its 193 names, and not before .*\(backbone, ",
        ),
        ("none.pth", 2, r"none\.pth: A state dict must map names to tensors, .* 'optimizer' of dict"),
        (
            "two.pth",
            0,
            r"of `model\.state_dict`; the file also holds `ema\.state_dict` \(--weights-prefix ema\.\)",
        ),
        ("whole.pth", 0, r"`module\.` (is )?taken off every name"),
    ):
        path = tmp_path / file
        for words in (
            ["inspect", path],
            [
                "ablate",
                "component",
                path,
                "encoder.layers.1.self_attn.*",
                "--out",
                tmp_path / "out",
                "--force",
            ],
            ["ablate", "layers", path, "self_attn.attn.in_proj_weight", "--out", tmp_path / "out", "--force"],
            [
                "ablate",
                "units",
                path,
                "query_embedding.weight",
                "-p",
                5,
                "--out",
                tmp_path / "out",
                "--force",
            ],
        ):
            got, _, err = call(capsys, *words)
            assert got == status, err
            assert re.search(message, err), err


def test_names_of_classes_that_differ_from_the_checkpoints_are_said() -> None:
    own = open_mmdet(checkpoint="demo:detr").class_names
    assert "names" not in open_mmdet(checkpoint="demo:detr", classes=own).fit.describe()
    said = open_mmdet(checkpoint="demo:detr", classes=own[::-1]).fit.describe()
    assert (
        "the checkpoint itself names the same classes in another order (circle, square, triangle, …)" in said
    )
    other = open_mmdet(checkpoint="demo:detr", classes=["disc", *own[1:]])
    assert "the checkpoint itself names its classes otherwise (circle, " in other.fit.describe()
