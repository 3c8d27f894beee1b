"""Time whole studies, from the checkpoint to the tables, beside Deep Dissect 1.0's way, in one run.

    python benchmarks/study.py [--threads 1] [--images 2] [--repeats 1] [--only DETR DINO ...] [--bundled detr ...]
                               [--no-old-way]

The old way: for each variant an ablated checkpoint is written and `init_detector` loads it, images go through
`inference_detector` one by one, results are pickled, and each of four metrics reads the pickle again. `run` does the
same study, and its tables hold more. For DETR of Hugging Face Transformers the old way is the same with that library's
own calls: `save_pretrained`, `from_pretrained`, its image processor and its post-processing. Full-size detectors have
random weights, which are as fast as trained ones, and go image by image here too; the bundled ones take ten images at a
time.

The limit is one pass of the baseline and, for each variant, the share of its operations that come after the first use
of what it ablates (by `torch.utils.flop_counter`). Memory is the most that the process held.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import pickle
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from _old_way import PASSES

from deep_dissect.report import write_results
from deep_dissect.studies import study_path
from dissect_core.engine import Listener, RunOptions, run
from dissect_core.plan import Variant, plan
from dissect_core.progress import no_bar
from dissect_core.spec import StudySpec, load_spec
from dissect_core.store import Study
from dissect_core.torch import edit_state
from dissect_eval import GroundTruth
from dissect_eval.study import Settings, measure
from dissect_mmdet import open_mmdet

TRANSFORMERS = "DETR of Transformers"
FULL = ["DETR", TRANSFORMERS, "Deformable DETR", "DINO"]


class Case:
    """A detector on disk, and images for it."""

    def __init__(self, name: str, folder: Path, n_images: int, repeats: int, device: str) -> None:
        from dissect_mmdet.demo import DEMO_DETECTORS

        self.batch_size = 10 if name in DEMO_DETECTORS else 1
        self.name, self.folder, self.device = name, folder, device
        if name in DEMO_DETECTORS:
            self._bundled(n_images)
        elif name == TRANSFORMERS:
            self._of_transformers()
        else:
            self._full_size()
        if name not in DEMO_DETECTORS:
            self.images, self.annotations = random_split(self.folder, n_images)
        self.truth = GroundTruth.from_coco(self.annotations)
        self.paths = [self.images / file for file in self.truth.file_names]
        self.detector = self._open()
        self.spec = paper_study(repeats)
        self.variants = plan(self.spec, self.detector.anatomy)

    def _bundled(self, n_images: int) -> None:
        from dissect_mmdet.demo import demo_files, write_split

        files = demo_files(self.name)
        self.config, self.checkpoint = files.config, files.checkpoint
        self.images, self.annotations = write_split(self.folder / "data", "test", n_images)

    def _open(self) -> Any:
        if self.name == TRANSFORMERS:
            from dissect_transformers import open_transformers

            return open_transformers(self.checkpoint, device=self.device)
        return open_mmdet(config=self.config, checkpoint=self.checkpoint, device=self.device)

    def _of_transformers(self) -> None:
        """Write the model of facebook/detr-resnet-50 with random weights, without asking for its files."""
        from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessorPil, ResNetConfig

        torch.manual_seed(0)
        backbone = ResNetConfig(out_features=["stage4"], layer_type="bottleneck")
        config = DetrConfig(
            backbone_config=backbone,
            use_timm_backbone=False,
            backbone=None,
            id2label=dict(enumerate(zoo_classes())),
        )
        self.checkpoint = self.folder / "model"
        DetrForObjectDetection(config).save_pretrained(self.checkpoint)
        DetrImageProcessorPil().save_pretrained(self.checkpoint)

    def _full_size(self) -> None:
        import zoo
        from dissect_mmdet.ops import enable_mmcv_ops

        enable_mmcv_ops()
        model, _ = zoo.build_detector(zoo.ARCHITECTURES[self.name], whole=True)
        self.config = zoo.config_folder() / zoo.ARCHITECTURES[self.name]
        self.checkpoint = self.folder / "model.pth"
        names = zoo_classes()
        torch.save(
            {"state_dict": model.state_dict(), "meta": {"dataset_meta": {"classes": names}}}, self.checkpoint
        )

    def run(self, out: Path) -> Study:
        """Run the study, and write its tables."""
        study = run(
            self.spec,
            self.detector,
            self.paths,
            out,
            RunOptions(batch_size=self.batch_size),
            truth=self.truth,
            listener=Listener(bar=no_bar, say=lambda _text: None),
        )
        write_results(measure(study, settings=Settings(n_replicates=0)))
        return study


def random_split(folder: Path, n_images: int) -> tuple[Path, Path]:
    """Write random images and boxes of COCO's classes, and return their folder and their truth."""
    import cv2

    import zoo

    names = zoo_classes()
    images_folder, annotations = folder / "images", folder / "truth.json"
    images_folder.mkdir()
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for number in range(n_images):
        file = f"{number:06}.png"
        cv2.imwrite(str(images_folder / file), zoo.random_image(600, 800, number))
        images.append({"id": number, "file_name": file, "width": 800, "height": 600})
        for _ in range(7):
            box = [*rng.uniform(0, 400, 2).tolist(), *rng.uniform(20, 200, 2).tolist()]
            one = {
                "id": len(boxes) + 1,
                "image_id": number,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            boxes.append({**one, "category_id": int(rng.integers(len(names))) + 1})
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(names)]
    content = {"images": images, "annotations": boxes, "categories": categories}
    annotations.write_text(json.dumps(content))
    return images_folder, annotations


def paper_study(repeats: int) -> StudySpec:
    """Return the shipped study `paper_protocol`, with this number of draws at each dose."""
    content = load_spec(study_path("paper_protocol")).model_dump(mode="json")
    for ablation in content["ablations"]:
        ablation["select"]["repeats"] = repeats
    return load_spec(content)


def zoo_classes() -> tuple[str, ...]:
    """Return COCO's class names."""
    from dissect_mmdet.ops import enable_mmcv_ops

    enable_mmcv_ops()
    from mmdet.datasets import CocoDataset

    names: tuple[str, ...] = CocoDataset.METAINFO["classes"]
    return names


def old_way(case: Case) -> None:
    """Write and load a checkpoint for each variant, run images one by one, and read each pickle four times."""
    ablated = ablated_by_transformers(case) if case.name == TRANSFORMERS else ablated_by_mmdet(case)
    per_image = [
        {
            "bboxes": torch.tensor(case.truth.boxes[a:b], dtype=torch.float32),
            "labels": torch.tensor(case.truth.category_ids[a:b]),
        }
        for a, b in zip(case.truth.image_splits[:-1], case.truth.image_splits[1:], strict=True)
    ]
    for number, detect in enumerate(ablated):
        results = case.folder / f"results-{number}.pkl"
        samples = [
            {"gt_instances": truth, "pred_instances": detect(image)}
            for image, truth in zip(case.paths, per_image, strict=True)
        ]
        results.write_bytes(pickle.dumps(samples))
        for metric in PASSES:
            metric(results)


Detect = Callable[[Path], dict[str, torch.Tensor]]


def ablated_by_mmdet(case: Case) -> Iterator[Detect]:
    """Yield for each variant the detections of its checkpoint, by MMDetection's own functions."""
    from mmdet.apis import inference_detector, init_detector

    whole = torch.load(case.checkpoint, map_location="cpu", weights_only=True)
    for number, variant in enumerate(case.variants):
        path = case.folder / f"ablated-{number}.pth"
        state, _ = edit_state(whole["state_dict"], variant.edits(), seed=variant.seed, variant=variant.id)
        torch.save({**whole, "state_dict": state}, path)
        model = init_detector(str(case.config), str(path), device=case.device)

        def detect(image: Path, model: Any = model) -> dict[str, torch.Tensor]:
            found = inference_detector(model, str(image)).pred_instances.cpu()
            return {"bboxes": found.bboxes, "labels": found.labels, "scores": found.scores}

        yield detect
        path.unlink()


def ablated_by_transformers(case: Case) -> Iterator[Detect]:
    """Yield for each variant the detections of its folder, by Transformers' own classes."""
    from PIL import Image
    from transformers import AutoModelForObjectDetection, DetrImageProcessorPil

    processor = DetrImageProcessorPil.from_pretrained(case.checkpoint)
    whole = AutoModelForObjectDetection.from_pretrained(case.checkpoint)
    intact = {name: value.clone() for name, value in whole.state_dict().items()}
    for number, variant in enumerate(case.variants):
        path = case.folder / f"ablated-{number}"
        state, _ = edit_state(intact, variant.edits(), seed=variant.seed, variant=variant.id)
        whole.load_state_dict(state)
        whole.save_pretrained(path)
        model = AutoModelForObjectDetection.from_pretrained(path).to(case.device).eval()

        def detect(image: Path, model: Any = model) -> dict[str, torch.Tensor]:
            with torch.no_grad(), Image.open(image) as picture:
                given = processor(picture.convert("RGB"), return_tensors="pt").to(case.device)
                size = torch.tensor([picture.size[::-1]])
                (found,) = processor.post_process_object_detection(model(**given), 0.0, size)
            return {
                "bboxes": found["boxes"].cpu(),
                "labels": found["labels"].cpu(),
                "scores": found["scores"].cpu(),
            }

        yield detect
        shutil.rmtree(path)


def seconds(function: Callable[[], object]) -> float:
    """Return the seconds of one call by the clock."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak_mib(function: Callable[[], object]) -> float:
    """Return the most memory that the process held during a call, its weights included, in MiB; Linux only."""

    def status(field: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(field)) / 1024

    Path("/proc/self/clear_refs").write_text("5")
    function()
    return status("VmHWM")


def limit(case: Case) -> tuple[float, float, float, dict[str, float]]:
    """Return seconds of a baseline pass, of tracing one, and the least that the variants of one image can take."""
    from dissect_core.torch.measure._flops import operations as flops
    from dissect_core.torch.replay import PrefixReplay

    (batch, *_) = case.detector.prepare(case.paths[: case.batch_size], case.batch_size)
    plain = min(seconds(lambda: case.detector.predict_batch(batch)) for _ in range(3))
    total = flops(lambda: case.detector.predict_batch(batch))
    replay: PrefixReplay[Any, Any] = PrefixReplay(case.detector.model, case.detector.predict_batch)
    with replay.on(batch, case.variants):
        pass  # the first batch shows what to record
    traced = []
    shares: dict[str, float] = {}
    for _ in range(3):
        start = time.perf_counter()
        with replay.on(batch, case.variants) as one:
            traced.append(time.perf_counter() - start)
            if not shares:
                shares = {v.id: flops(_runner(one, v)) / total for v in one.order}
    return plain, min(traced), plain * (1 + sum(shares.values())), shares


def _runner(one: Any, variant: Variant) -> Callable[[], object]:
    return lambda: one.run(variant)


def compare(case: Case, *, with_old_way: bool = True) -> None:
    """Print the table of one detector."""
    plain, traced, least, shares = limit(case)
    (batch, *_) = case.detector.prepare(case.paths[: case.batch_size], case.batch_size)
    memory = peak_mib(lambda: case.detector.predict_batch(batch))
    out = case.folder / "study"
    started = time.perf_counter()
    memory_of_run = peak_mib(lambda: case.run(out))
    new = time.perf_counter() - started
    stages = json.loads((out / "log.jsonl").read_text().splitlines()[-1])["stages"]
    with contextlib.redirect_stdout(io.StringIO()):  # mmengine tells of every checkpoint
        old = seconds(lambda: old_way(case)) if with_old_way else float("nan")
    n = -(-len(case.paths) // case.batch_size)
    engine = sum(stages.values())
    print(f"\n{case.name}: {len(case.variants)} variants, {len(case.paths)} images; a pass {plain:.3f} s")
    print(f"  old way {old:8.1f} s    run {new:7.1f} s    ratio {old / new:5.1f}")
    print(
        f"  limit {n * least:6.1f} s    run / limit {new / (n * least):.2f}    tracing {traced / plain - 1:+.1%}"
    )
    times = memory_of_run / memory
    print(f"  peak memory: a pass {memory:.0f} MiB, the study {memory_of_run:.0f} MiB ({times:.2f} times)")
    rest = {**stages, "tables and the rest": new - engine}
    print(
        "  where it goes: "
        + ", ".join(f"{what} {s:.2f} s" for what, s in sorted(rest.items(), key=lambda x: -x[1]))
    )
    by_ablation: dict[str, list[float]] = {}
    for variant in case.variants[1:]:
        by_ablation.setdefault(variant.ablation, []).append(shares[variant.id])
    print("  share of a pass: " + ", ".join(f"{k} {np.mean(v):.3f}" for k, v in by_ablation.items()))


def main() -> None:
    """Compare detector by detector."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1, help="random draws at each of seven doses")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="*", default=FULL, help="architectures of tests/zoo.py")
    parser.add_argument("--bundled", nargs="*", default=["detr", "deformable_detr", "dino"])
    parser.add_argument("--bundled-images", type=int, default=20)
    parser.add_argument("--no-old-way", action="store_true", help="only against the limit")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    for names, n_images in ((options.bundled, options.bundled_images), (options.only, options.images)):
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                case = Case(name, Path(folder), n_images, options.repeats, options.device)
                compare(case, with_old_way=not options.no_old_way)


if __name__ == "__main__":
    main()
