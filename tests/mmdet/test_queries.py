"""Which query gave each detection: told by an independent look at the head's own outputs."""

from pathlib import Path

import numpy as np
import pytest
import torch

import zoo
from dissect_core.detectors import open_detector
from dissect_core.engine import Listener, RunOptions, run
from dissect_core.plan import plan
from dissect_core.progress import no_bar
from dissect_core.spec import load_spec
from dissect_core.store import Study
from dissect_mmdet import MMDetDetector, open_mmdet
from dissect_mmdet.detector._queries import queries_told
from helpers import DemoData


def raw_outputs(
    detector: MMDetDetector, batch: dict[str, object]
) -> tuple[list[object], torch.Tensor, torch.Tensor]:
    """Detections of a batch, and the logits and normalised boxes of all queries behind them."""
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    head = detector.model.bbox_head
    handle = head.register_forward_hook(lambda _module, _args, out: kept.append((out[0][-1], out[1][-1])))
    try:
        found = detector.predict_batch(batch)
    finally:
        handle.remove()
    ((logits, boxes),) = kept
    return list(found), logits, boxes


def test_each_detection_is_its_querys_box_and_score(any_detector: MMDetDetector, demo_data: DemoData) -> None:
    (batch,) = any_detector.prepare(demo_data.paths, batch_size=len(demo_data.paths))
    found, logits, boxes = raw_outputs(any_detector, batch)
    n_queries = boxes.shape[1]
    sigmoid = any_detector.model.bbox_head.loss_cls.use_sigmoid
    for number, one in enumerate(found):
        assert one.queries is not None
        assert one.queries.dtype == np.int64
        assert one.queries.min() >= 0
        assert one.queries.max() < n_queries
        sample = batch["data_samples"][number]
        height, width = sample.ori_shape
        cx, cy, w, h = boxes[number].double().numpy()[one.queries].T
        wanted = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=1).clip(0, 1)
        np.testing.assert_allclose(one.boxes, wanted * [width, height, width, height], atol=0.02)
        scores = logits[number].sigmoid() if sigmoid else logits[number].softmax(-1)[:, :-1]
        np.testing.assert_array_equal(
            one.scores.astype(np.float32), scores.numpy()[one.queries, one.labels], "each by its query"
        )
        if not sigmoid:
            assert sorted(one.queries.tolist()) == list(range(n_queries)), "each query gives one box"


def test_the_model_is_left_as_it_was(detr: MMDetDetector) -> None:
    head = detr.model.bbox_head
    with pytest.raises(RuntimeError), queries_told(detr.model):
        assert "_predict_by_feat_single" in head.__dict__
        raise RuntimeError
    assert "_predict_by_feat_single" not in head.__dict__
    head.__dict__["_predict_by_feat_single"] = own = head._predict_by_feat_single
    try:
        with queries_told(detr.model):
            assert head._predict_by_feat_single is not own
        assert head._predict_by_feat_single is own
    finally:
        del head.__dict__["_predict_by_feat_single"]


def test_a_head_that_sorts_otherwise_tells_nothing(
    detr: MMDetDetector, demo_data: DemoData, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = detr.model.bbox_head
    original = head._predict_by_feat_single

    def halved(*args: object, **kwargs: object) -> object:
        results = original(*args, **kwargs)
        results.scores = results.scores / 2
        return results

    monkeypatch.setitem(head.__dict__, "_predict_by_feat_single", halved)
    (batch,) = detr.prepare(demo_data.paths[:1])
    (found,) = detr.predict_batch(batch)
    assert found.queries is None
    assert found.scores.max() < 0.51


def test_studies_keep_them(detr: MMDetDetector, demo_data: DemoData, tmp_path: Path) -> None:
    spec = load_spec(
        {
            "name": "queries",
            "ablations": [
                {
                    "name": "heads",
                    "target": {"unit": "head", "components": "decoder.cross_attn"},
                    "select": {"by": "fraction", "fractions": 0.5},
                }
            ],
        }
    )
    study = run(
        spec,
        detr,
        demo_data.paths,
        tmp_path / "out",
        RunOptions(batch_size=3, verify=1.0),
        listener=Listener(bar=no_bar, say=_silent),
    )
    (batch,) = detr.prepare(demo_data.paths[:1])
    (wanted,) = detr.predict_batch(batch)
    kept = study.found("baseline")
    assert kept.queries is not None
    assert len(kept.queries) == len(kept.scores)
    np.testing.assert_array_equal(kept.by_image()[0].queries, wanted.queries)
    other = Study.open(tmp_path / "out").found(study.variants[1])
    assert other.queries is not None
    assert sorted(other.by_image()[0].queries.tolist()) == sorted(wanted.queries.tolist())


def _silent(_text: str) -> None:
    return None


TOLD = {"DETR", "Conditional DETR", "DAB-DETR", "DINO"} | {
    f"Deformable DETR{more}" for more in ("", ", refined", ", two-stage")
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.slow
@pytest.mark.parametrize("name", [*sorted(TOLD), "DDQ", "Faster R-CNN", "RetinaNet", "Sparse R-CNN"])
def test_architectures_tell_their_queries_or_nothing(name: str) -> None:
    model, config = zoo.build_detector(zoo.ARCHITECTURES[name])
    kept: list[tuple[torch.Tensor, ...]] = []
    if name in TOLD:
        model.bbox_head.register_forward_hook(lambda _m, _a, out: kept.append((out[0][-1], out[1][-1])))
    with queries_told(model):
        found = zoo.detect(model, config, zoo.random_image(), zoo.SCALE).pred_instances
    assert ("queries" in found) == (name in TOLD)
    if name in TOLD:
        ((logits, boxes),) = kept
        extent = found.bboxes.new_tensor([160.0, 120.0])
        sizes = (found.bboxes[:, 2:] - found.bboxes[:, :2]) / extent
        inside = ((found.bboxes > 0.5) & (found.bboxes < extent.repeat(2) - 0.5)).all(1)  # not clipped
        assert inside.sum() >= 5
        wanted = boxes[0][found.queries, 2:]
        torch.testing.assert_close(sizes[inside], wanted[inside], atol=1e-3, rtol=0)
        scores = logits[0].sigmoid() if model.bbox_head.loss_cls.use_sigmoid else logits[0].softmax(-1)
        assert torch.equal(scores[found.queries, found.labels], found.scores)


def test_of_group_queries_those_of_one_group_are_offered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, demo_data: DemoData
) -> None:
    """A table of three groups, of which evaluation slices the first: as many queries as before, with an effect."""
    detector = open_mmdet(checkpoint="demo:detr")
    model = detector.model
    n = len(model.query_embedding.weight)
    intact = list(detector.predict(demo_data.paths[:1]))
    table = model.query_embedding
    model.query_embedding = torch.nn.Embedding.from_pretrained(
        torch.cat([table.weight.detach()] * 3), freeze=False
    )

    class Grouped(type(model)):  # type: ignore[misc]
        def pre_decoder(self, memory: torch.Tensor) -> object:
            every, self.query_embedding = self.query_embedding, torch.nn.Module()
            self.query_embedding.weight = every.weight[:n]
            try:
                return super().pre_decoder(memory)
            finally:
                self.query_embedding = every

    model.__class__ = Grouped
    told = (
        f"Evaluation reads {n} of the {3 * n} rows of query_embedding, 0 to {n - 1}: only these are queries."
    )
    assert detector.anatomy.notes == (told,)
    every = {"unit": "query", "components": "*"}
    ablation = {"name": "q", "target": every, "select": {"by": "fraction", "fractions": [1.0]}}
    _, variant = plan(load_spec({"name": "queries", "ablations": [ablation]}), detector.anatomy)
    assert (variant.n_units, variant.pool.n_units) == (n, n)
    with detector.ablated(variant):
        ablated = list(detector.predict(demo_data.paths[:1]))
    assert not np.array_equal(ablated[0].boxes, intact[0].boxes)

    from deep_dissect.cli import main

    monkeypatch.setattr("dissect_core.detectors.open_detector", lambda *_args, **_more: detector)
    with pytest.raises(SystemExit):
        main(["plan", "paper_protocol", "--demo", "detr"])
    assert f"note: {told}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("name", "chooses"), [("detr", False), ("deformable_detr", False), ("dino", True)])
def test_whether_queries_are_chosen_from_each_image_is_told(name: str, chooses: bool) -> None:
    assert open_detector(f"demo:{name}").chooses_queries is chooses
