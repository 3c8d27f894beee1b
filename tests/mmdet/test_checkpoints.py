"""Official checkpoints load without trust, and nothing in them runs."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dissect_core import CheckpointError
from dissect_mmdet import load_mmdet_checkpoint
from helpers import Touch
from hostile_pickles import F8, Code, archive, array, build, call, name, value

NEEDS_MORE = "trust=True"


def test_training_checkpoint_of_mmengine(tmp_path: Path) -> None:
    """Logged scalars, NumPy values and random states, as CheckpointHook writes them."""
    from mmengine.logging import HistoryBuffer

    history = HistoryBuffer()
    for loss in (3.0, 2.0, 1.0):
        history.update(loss)
    saved: dict[str, Any] = {
        "meta": {"epoch": 1, "seed": np.int64(7), "dataset_meta": {"classes": ("a", "b")}},
        "message_hub": {"log_scalars": {"train/loss": history}, "runtime_info": {"lr": np.float64(0.1)}},
        "state_dict": {"weight": torch.arange(4.0)},
    }
    torch.save(saved, tmp_path / "epoch_1.pth")
    loaded = load_mmdet_checkpoint(tmp_path / "epoch_1.pth")
    assert torch.equal(loaded["state_dict"]["weight"], torch.arange(4.0))
    assert loaded["message_hub"]["log_scalars"]["train/loss"].current() == 1.0
    assert loaded["message_hub"]["log_scalars"]["train/loss"].mean() == 2.0


class AskFor:
    """Asks for an attribute of a class when unpickled, as HistoryBuffer does, but not for its statistics."""

    def __init__(self, owner: Any, name: str) -> None:
        self.owner, self.name = owner, name

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return getattr, (self.owner, self.name)


def test_hostile_checkpoint_is_refused(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    torch.save({"state_dict": {"w": torch.ones(1)}, "meta": Touch(canary)}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match=NEEDS_MORE):
        load_mmdet_checkpoint(tmp_path / "evil.pth")
    assert not canary.exists()
    load_mmdet_checkpoint(tmp_path / "evil.pth", trust=True)
    assert canary.exists(), "the canary must be alive, or the test proves nothing"


def test_getattr_serves_history_only(tmp_path: Path) -> None:
    from mmengine.logging import HistoryBuffer

    for owner, attribute in (
        (HistoryBuffer, "__init__"),
        (np.ndarray, "tofile"),
        (HistoryBuffer, "__globals__"),
    ):
        path = tmp_path / "asks.pth"
        if hasattr(owner, attribute):
            torch.save({"state_dict": {"w": torch.ones(1)}, "x": AskFor(owner, attribute)}, path)
        else:
            continue
        with pytest.raises(CheckpointError):
            load_mmdet_checkpoint(path)


HISTORY = "mmengine.logging.history_buffer.HistoryBuffer"
ROW = array(F8, bytes(8))
STATE = {"_log_history": ROW, "_count_history": ROW, "max_length": 10}


def statistic(of: Any, named: Any) -> Code:
    """What a training log holds for each statistic: ``getattr(of, named)``."""
    return call("__builtin__.getattr", of, named)


def test_history_by_hand(tmp_path: Path) -> None:
    """The hostile histories below differ from one that is read in one thing only."""
    methods = {"statistics_methods": {"min": statistic(name(HISTORY), "min")}}
    made = build(call(HISTORY, new=True), {**STATE, **methods})
    (tmp_path / "m.pth").write_bytes(archive({"h": made}))
    history = load_mmdet_checkpoint(tmp_path / "m.pth")["h"]
    assert (type(history).__name__, history.min(), history.max_length) == ("HistoryBuffer", 0.0, 10)
    torch.save({"h": history}, tmp_path / "again.pth")
    assert load_mmdet_checkpoint(tmp_path / "again.pth")["h"].max() == 0.0


@pytest.mark.parametrize(
    "content",
    [
        call(HISTORY, ROW, ROW),
        call(HISTORY, ROW, ROW, new=True),
        build(call(HISTORY, new=True), {**STATE, "max_length": "x"}),
        build(call(HISTORY, new=True), {**STATE, "_log_history": [1.0]}),
        build(call(HISTORY, new=True), {**STATE, "_log_history": array(F8, bytes(16), (2,))}),
        build(call(HISTORY, new=True), {**STATE, "_log_history": array(F8, bytes(8), (1, 1))}),
        build(call(HISTORY, new=True), {**STATE, "mean": 1}),
        build(call(HISTORY, new=True), {"max_length": 10}),
        build(call(HISTORY, new=True), (None, {"mean": 1})),
        build(build(call(HISTORY, new=True), STATE), STATE),
        build(name(HISTORY), STATE),
        build(
            call(HISTORY, new=True), {**STATE, "statistics_methods": {"max": statistic(name(HISTORY), "min")}}
        ),
        build(
            call(HISTORY, new=True),
            {**STATE, "statistics_methods": {"further": statistic(name(HISTORY), "min")}},
        ),
        build(call(HISTORY, new=True), {**STATE, "statistics_methods": {"min": name("__builtin__.getattr")}}),
        Code(statistic(name(HISTORY), "min") + value((1,)) + b"R"),
        statistic(name(HISTORY), "__init__"),
        statistic(name(HISTORY), ["min"]),
        statistic(build(call(HISTORY, new=True), STATE), "min"),
        statistic(name("numpy.ndarray"), "tofile"),
        build(statistic(name(HISTORY), "min"), (None, {"__defaults__": (1,)})),
    ],
)
def test_hostile_histories(content: Code, tmp_path: Path) -> None:
    from mmengine.logging import HistoryBuffer

    before = {key: getattr(HistoryBuffer, key) for key in ("min", "max", "mean", "current", "__init__")}
    defaults, methods = HistoryBuffer.min.__defaults__, {**HistoryBuffer._statistics_methods}
    (tmp_path / "m.pth").write_bytes(archive({"h": content}))
    with pytest.raises(CheckpointError, match=r"m\.pth is damaged, or made to do harm|truncated or damaged"):
        load_mmdet_checkpoint(tmp_path / "m.pth")
    assert before == {key: getattr(HistoryBuffer, key) for key in before}
    assert HistoryBuffer.min.__defaults__ == defaults
    assert {**methods, **HistoryBuffer._statistics_methods} == {
        **HistoryBuffer._statistics_methods,
        **methods,
    }
    assert HistoryBuffer._statistics_methods.get("max", HistoryBuffer.max) is HistoryBuffer.max


def test_plain_pickle_is_refused(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Touch(canary)))
    with pytest.raises(CheckpointError):
        load_mmdet_checkpoint(tmp_path / "plain.pth")
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such file|does not exist"), (b"", "empty"), (b"abc", "")]
)
def test_missing_or_damaged(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"(?is)model\.pth.*({message})"):
        load_mmdet_checkpoint(path)
