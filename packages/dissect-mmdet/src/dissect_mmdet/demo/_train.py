"""Training the demo detectors again, from nothing: data, schedule, checkpoint, log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dissect_core.storage import write_text_whole
from dissect_core.torch import save_checkpoint

from ..configs import load_config
from ..errors import DissectMMDetError
from ..weights import load_mmdet_checkpoint
from ._bundled import demo_files
from ._data import Progress, write_split

SPLIT_SIZES = {"train": 12_000, "val": 300, "test": 500}


def train_demo(
    name: str,
    work_dir: Path,
    *,
    data: Path,
    device: str = "cpu",
    max_iters: int | None = None,
    resume: bool = False,
    split_sizes: dict[str, int] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train one demo detector with MMEngine's Runner and write its bundled form.

    Parameters
    ----------
    name : {"detr", "deformable_detr", "dino"}
    work_dir : Path
        Gets MMEngine's logs and checkpoints, and at the end ``<name>.pth`` and ``<name>.log.json``. A detector
        that starts from another one looks for it in the folder beside, named after it.
    data : Path
        Folder of the scenes; what is missing there is drawn first.
    device : str
        ``"cpu"`` or a CUDA device.
    max_iters : int, optional
        Length of the schedule; by default the config's.
    resume : bool
        Go on from the last checkpoint in `work_dir`.
    split_sizes : dict, optional
        Images for each split; by default 12,000 / 300 / 500.
    progress : callable, optional
        Wraps the iteration over scenes while data are drawn.

    Returns
    -------
    Path
        The bundled checkpoint: weights, class names, config text and the metrics of the test split.

    Notes
    -----
    On a CPU, ``OMP_NUM_THREADS`` decides how many cores are used. One thread for each of two models trained
    side by side makes better use of two cores than two threads for one.
    """
    from mmengine.registry import DefaultScope
    from mmengine.runner import CheckpointLoader, Runner

    for split, size in (split_sizes or SPLIT_SIZES).items():
        write_split(data, split, size, progress=progress)
    config = load_config(demo_files(name).config)
    _point_at(config, data, work_dir, max_iters, resume)
    _start_from(config, work_dir)
    # MMEngine takes a GPU wherever it finds one; its own constant is the only switch.
    chosen_device = patch("mmengine.device.utils.DEVICE", device)
    # PyTorch's safe reader, which MMEngine uses, does not know the history of scalars in checkpoints.
    own_reader = patch.dict(CheckpointLoader._schemes, {"": _load_from_file})
    with own_reader, chosen_device:
        runner = Runner.from_cfg(config)
        runner.train()
        metrics = runner.test()
    DefaultScope._instance_dict.clear()  # the Runner's scope must not outlive it
    last = (work_dir / "last_checkpoint").read_text(encoding="utf-8").strip()
    target = work_dir / f"{name}.pth"
    _publish(Path(last), target, name, metrics, int(runner.iter))
    _keep_log(runner, work_dir / f"{name}.log.json")
    return target


def _load_from_file(filename: str, map_location: object) -> dict[str, Any]:
    """Read a checkpoint for MMEngine's Runner, which copies it to its own device."""
    return load_mmdet_checkpoint(filename)


def _point_at(config: Any, data: Path, work_dir: Path, max_iters: int | None, resume: bool) -> None:
    """Set what depends on where the data lie and on the length of the schedule."""
    config.work_dir = str(work_dir)
    config.resume = resume
    for split in ("train", "val", "test"):
        config[f"{split}_dataloader"].dataset.data_root = f"{data}/"
    for split in ("val", "test"):
        config[f"{split}_evaluator"].ann_file = str(data / "annotations" / f"instances_{split}.json")
    if max_iters is not None:
        if max_iters < 2:
            raise DissectMMDetError(f"max_iters must be 2 or more, got {max_iters}.")
        warm_up, cosine = config.param_scheduler
        warm_up.end = cosine.begin = min(warm_up.end, max_iters // 2)
        cosine.end, cosine.T_max = max_iters, max_iters - cosine.begin
        config.train_cfg.max_iters = max_iters
        config.train_cfg.val_interval = min(config.train_cfg.val_interval, max_iters)


def _start_from(config: Any, work_dir: Path) -> None:
    """Let a detector start from another one, as its config says: one trained beside it, else the bundled one."""
    start = config.get("start")
    if start is None:
        return
    beside = work_dir.parent / start.detector / f"{start.detector}.pth"
    checkpoint = str(beside if beside.is_file() else demo_files(start.detector).checkpoint)
    if start.prefix:
        part = config.model[start.prefix.rstrip(".")]
        part.init_cfg = {"type": "Pretrained", "checkpoint": checkpoint, "prefix": start.prefix}
    else:
        config.load_from = checkpoint


def _publish(trained: Path, target: Path, name: str, metrics: dict[str, Any], iterations: int) -> None:
    """Strip a training checkpoint to what the demo needs; no path of this machine goes into it."""
    weights = load_mmdet_checkpoint(trained)["state_dict"]
    meta = {
        "dataset_meta": {"classes": tuple(load_config(demo_files(name).config).metainfo["classes"])},
        "cfg": load_config(demo_files(name).config).pretty_text,
        "iterations": iterations,
        "test_metrics": {key.rsplit("/", 1)[-1]: float(value) for key, value in metrics.items()},
    }
    save_checkpoint({"meta": meta, "state_dict": {k: v.cpu() for k, v in weights.items()}}, target)


def _keep_log(runner: Any, target: Path) -> None:
    """Keep the logged scalars (losses, learning rate, validation AP), one JSON object a line."""
    scalars = Path(runner.log_dir) / "vis_data" / "scalars.json"
    lines = scalars.read_text(encoding="utf-8").splitlines()
    kept = [json.dumps({k: v for k, v in json.loads(line).items() if k != "data_time"}) for line in lines]
    write_text_whole(target, "\n".join(kept) + "\n", DissectMMDetError)
