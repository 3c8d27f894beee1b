"""Whatever is given to the front door by mistake ends in one sentence that names the argument: one of `dd.ERRORS`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import deep_dissect as dd
import studies
from dissect_core.progress import no_bar
from toy_detector import ToyDetector
from toy_split import Split


class Room(NamedTuple):
    """All that the front door gives, of a toy."""

    detector: Any
    data: Any
    plan: Any
    study: Any
    results: Any
    out: Path


@pytest.fixture(scope="module")
def room(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Room:
    detector, data = ToyDetector(), dd.CocoSplit(split.annotations, split.images)
    out = tmp_path_factory.mktemp("wrong")
    listener = dd.Listener(bar=no_bar, say=lambda _: None)
    study = dd.run_study(studies.toy_spec(), detector, data, out / "study", listener=listener)
    plan = dd.plan(studies.toy_spec(), detector)
    return Room(detector, data, plan, study, study.measure(replicates=0), out)


CALLS: dict[str, tuple[Callable[[Room], object], str]] = {
    "no detector": (lambda _: dd.open_detector(None), "`detector` must be a name"),  # type: ignore[arg-type]
    "a number": (lambda _: dd.open_detector(3), "`detector` must be a name"),  # type: ignore[arg-type]
    "near a bundled one": (lambda _: dd.open_detector("demo:detrr"), "Near matches: 'demo:detr'"),
    "near an option": (
        lambda _: dd.open_detector("mmdet", "demo:detr", confg=1),
        "Near matches of 'confg': config",
    ),
    "limit": (
        lambda room: dd.CocoSplit(room.data.truth, room.data.folder, limit="3"),
        "`limit` must be a whole number or None, got '3'",
    ),  # type: ignore[arg-type]
    "no folder": (lambda room: dd.CocoSplit(room.data.truth, "nowhere"), "`images` must be the folder"),
    "no file": (lambda _: dd.CocoSplit("no.json", "nowhere"), "no.json"),
    "plan of nothing": (lambda room: dd.plan(None, room.detector), "`study` must be the name"),  # type: ignore[arg-type]
    "plan, the wrong way round": (lambda room: dd.plan(room.detector, "demo"), "`study` must be the name"),
    "plan of a name": (
        lambda _: dd.plan("layer_knockout", "demo:detr"),
        "`detector` must be an open detector",
    ),  # type: ignore[arg-type]
    "near a study": (lambda room: dd.plan("layer_knokout", room.detector), "layer_knockout"),
    "a number too large": (lambda room: room.plan[999], r"variants 0 to \d+, got 999"),
    "a variant by a float": (lambda room: room.plan[1.5], "by its number, its id or a slice, got 1.5"),
    "ablated by a number": (lambda room: room.detector.ablated(3), "`variant` must be one of a plan"),
    "nothing to detect on": (lambda room: room.detector.predict(None), "`images` must be a path"),
    "a number to detect on": (lambda room: room.detector.predict(3), "`images` must be a path"),
    "no batch": (
        lambda room: room.detector.predict([], batch_size=0),
        "`batch_size` must be 1 or more, got 0",
    ),
    "a batch of text": (
        lambda room: room.detector.predict([], batch_size="2"),
        "`batch_size` must be 1 or more",
    ),
    "pixels": (lambda room: room.detector.predict(np.zeros((9, 9, 3))), "must be an array of uint8"),
    "run, the wrong way round": (
        lambda room: dd.run_study(room.detector, room.plan, room.data, "o"),
        "`study` must be",
    ),
    "run without data": (
        lambda room: dd.run_study(room.plan, room.detector, None, "o"),
        "`data` must be a CocoSplit",
    ),  # type: ignore[arg-type]
    "run on a folder": (
        lambda room: dd.run_study(room.plan, room.detector, "val", "o"),
        "`data` must be a CocoSplit",
    ),  # type: ignore[arg-type]
    "run to nowhere": (
        lambda room: dd.run_study(room.plan, room.detector, room.data, None),
        "`out` must be a path, got None",
    ),  # type: ignore[arg-type]
    "run of a number": (
        lambda room: dd.run_study(room.plan, 3, room.data, "o"),
        "`detector` must be an open detector",
    ),  # type: ignore[arg-type]
    "an unknown option": (
        lambda room: dd.run_study(room.plan, room.detector, room.data, "o", batchsize=1),
        "no option 'batchsize'",
    ),
    "an option of text": (
        lambda room: dd.run_study(room.plan, room.detector, room.data, "o", batch_size="a"),
        "`batch_size` must be 1 or more, got 'a'",
    ),
    "a share of text": (
        lambda room: dd.run_study(room.plan, room.detector, room.data, "o", verify="a"),
        "`verify` must be a share",
    ),
    "no study": (lambda room: dd.Study.open(room.out / "nope"), "is no study"),
    "a study of nothing": (lambda _: dd.Study.open(None), "`path` must be a path, got None"),  # type: ignore[arg-type]
    "replicates": (
        lambda room: room.study.measure(replicates="x"),
        "`replicates` must be a whole number or None, got 'x'",
    ),
    "jobs": (lambda room: room.study.measure(jobs="x"), "`jobs` must be a whole number"),
    "truth": (
        lambda room: room.study.measure("gt.json"),
        "`truth` must be a GroundTruth or None, got 'gt.json': GroundTruth.from_coco",
    ),
    "a metric": (lambda room: room.study.measure(metrics="AP5"), "got 'AP5'. Near matches: 'AP75', 'AP50'"),
    "a metric to draw": (lambda room: room.results.plot("AP5"), "`metric` must be one of"),
    "images for a report": (
        lambda room: room.results.report(images="nowhere"),
        "`images` must be the folder of",
    ),
    "a variant": (lambda room: room.study.found("nope"), "has no variant 'nope'"),
    "compare with nothing": (
        lambda room: dd.compare(None, room.study),
        "`first` must be a path, a Study or a Results, got None",
    ),  # type: ignore[arg-type]
    "simplify nothing": (lambda _: dd.simplify(None, "x"), "`study` must be a path or a Study, got None"),  # type: ignore[arg-type]
    "open what is not there": (lambda room: dd.open_simplified(room.out / "nope"), "does not exist"),
}


@pytest.mark.parametrize("call", CALLS)
def test_it_ends_in_one_sentence(call: str, room: Room) -> None:
    act, message = CALLS[call]
    with pytest.raises(dd.ERRORS, match=message):
        act(room)
    assert not Path("o").exists()


def test_a_single_metric_may_be_a_text(room: Room) -> None:
    assert room.study.measure(replicates=0, metrics="AP50").metrics == ("AP50",)


def test_a_number_too_large_is_an_index_error(room: Room) -> None:
    with pytest.raises(IndexError):
        room.plan[999]


def test_python_itself_names_what_is_near() -> None:
    with pytest.raises(AttributeError) as refused:
        dd.opendetector  # noqa: B018
    assert (refused.value.name, refused.value.obj) == ("opendetector", dd)
