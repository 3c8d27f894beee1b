"""Training the demo detectors: a few steps of the real script, resumed, published, opened again."""

import json
from pathlib import Path

import pytest
import torch

from dissect_mmdet import DissectMMDetError, load_mmdet_checkpoint, open_mmdet
from dissect_mmdet.demo import demo_files, train_demo, write_split

SIZES = {"train": 6, "val": 2, "test": 2}

pytestmark = [
    # Of MMEngine and torch, about their own calls.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def train(work: Path, data: Path, max_iters: int, *, resume: bool = False) -> Path:
    return train_demo("detr", work, data=data, max_iters=max_iters, resume=resume, split_sizes=SIZES)


@pytest.fixture(autouse=True)
def _no_traces_of_runners(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading data in this process: a worker for six images would only cost time."""
    from dissect_mmdet.demo import _train

    load = _train.load_config

    def without_workers(path: Path):  # type: ignore[no-untyped-def]
        config = load(path)
        config.train_dataloader.update(num_workers=0, persistent_workers=False, batch_size=2)
        config.default_hooks.checkpoint.interval = 1
        return config

    monkeypatch.setattr(_train, "load_config", without_workers)


def test_train_publish_and_resume(tmp_path: Path) -> None:
    data, work = tmp_path / "data", tmp_path / "detr"
    published = train(work, data, 2)
    checkpoint = load_mmdet_checkpoint(published)
    assert set(checkpoint) == {"meta", "state_dict"}
    assert checkpoint["meta"]["iterations"] == 2
    assert 0 <= checkpoint["meta"]["test_metrics"]["bbox_mAP_50"] <= 1 or (
        checkpoint["meta"]["test_metrics"]["bbox_mAP_50"] == -1
    )
    assert str(tmp_path) not in checkpoint["meta"]["cfg"], "a path of this machine went into the checkpoint"

    bundled = load_mmdet_checkpoint(demo_files("detr").checkpoint)["state_dict"]
    assert {k: v.shape for k, v in checkpoint["state_dict"].items()} == {
        k: v.shape for k, v in bundled.items()
    }
    assert open_mmdet(checkpoint=published).class_names[0] == "circle"

    start = load_mmdet_checkpoint(demo_files("deformable_detr").checkpoint)["state_dict"]
    trained = checkpoint["state_dict"]["backbone.layer1.0.conv1.weight"]
    torch.testing.assert_close(trained, start["backbone.layer1.0.conv1.weight"], atol=5e-3, rtol=0)

    again = load_mmdet_checkpoint(train(work, data, 3, resume=True))
    assert again["meta"]["iterations"] == 3
    log = [json.loads(line) for line in (work / "detr.log.json").read_text().splitlines()]
    assert str(tmp_path) not in json.dumps(log)


def test_too_short_a_schedule(tmp_path: Path) -> None:
    for split, size in SIZES.items():
        write_split(tmp_path, split, size)
    with pytest.raises(DissectMMDetError, match="max_iters must be 2 or more, got 1"):
        train(tmp_path / "detr", tmp_path, 1)
