"""Whatever is given for one argument of the front door is taken, or refused in one sentence by one of `dd.ERRORS`."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import deep_dissect as dd
import studies
from dissect_core.progress import no_bar
from toy_detector import ToyDetector
from toy_split import Split

pytestmark = pytest.mark.slow

LONGEST = 700
"""Characters of the longest message: a sentence or two, with all names of a study or an option."""
SHORT = "x" * 5000
FILES = ("text", "half a character", "lines", "path", "file", "folder", "texts")
OWN = {"(images)": FILES, "(bar)": ("function", "type"), "(spread)": ("function", "type")}
"""Arguments and what they get that is right as far as one can tell: a file that the detector refuses, a function."""
LISTENER = dd.Listener(bar=no_bar, say=lambda _: None)


class Room(NamedTuple):
    """All that the front door gives, of a toy, and what is never right."""

    detector: Any
    data: Any
    plan: Any
    study: Any
    results: Any
    out: Path
    wrong: dict[str, Any]


@pytest.fixture(scope="module")
def room(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Room:
    detector, data = ToyDetector(), dd.CocoSplit(split.annotations, split.images)
    out = tmp_path_factory.mktemp("any")
    study = dd.run_study(studies.toy_spec(), detector, data, out / "study", listener=LISTENER)
    plan = dd.plan(studies.toy_spec(), detector)
    results = study.measure(replicates=0)
    (out / "file.txt").write_text("x")
    (out / "empty").mkdir()
    wrong = {
        "None": None,
        "number": 3,
        "negative": -1,
        "zero": 0,
        "huge": 10**30,
        "float": 1.5,
        "nan": float("nan"),
        "True": True,
        "text": "nope",
        "empty text": "",
        "NUL": "a\0b",
        "half a character": "\udcff",
        "long": SHORT,
        "lines": "a\nb",
        "bytes": b"x",
        "list": [],
        "numbers": [1, 2],
        "texts": ["a"],
        "dict": {"a": 1},
        "set": {1},
        "array": np.zeros(3),
        "path": out / "nope",
        "file": out / "file.txt",
        "folder": out / "empty",
        "object": object(),
        "function": len,
        "data": data,
        "plan": plan,
        "study": study,
    }
    return Room(detector, data, plan, study, results, out, wrong)


def calls(room: Room) -> Iterator[tuple[str, Callable[[Any], object]]]:
    """Yield calls of everything that users call, each with one argument left open."""
    spec, study = studies.toy_spec(), room.study

    def each(images: Any, batch_size: Any) -> object:
        return list(room.detector.predict_each(images, batch_size))

    whole: dict[str, tuple[Callable[..., object], dict[str, Any]]] = {
        "open_detector": (dd.open_detector, {"detector": "demo:none"}),
        "CocoSplit": (dd.CocoSplit, {"annotations": room.data.truth, "images": room.data.folder}),
        "plan": (dd.plan, {"study": spec, "detector": room.detector, "data": room.data}),
        "run_study": (
            dd.run_study,
            {
                "study": spec,
                "detector": room.detector,
                "data": room.data,
                "out": room.out / "study",
                "listener": LISTENER,
                **dict.fromkeys(dd.RunOptions.__dataclass_fields__, ...),
            },
        ),
        "Study.open": (dd.Study.open, {}),
        "measure": (
            study.measure,
            {"replicates": 0, **dict.fromkeys(("metrics", "seed", "confidence", "score_threshold"), ...)}
            | dict.fromkeys(("iou_threshold", "correction", "common_classes", "class_map", "n_for_p"), ...),
        ),
        "compare": (dd.compare, {"first": study, "second": study}),
        "simplify": (dd.simplify, {"study": study, "ablation": "x", "detector": room.detector}),
        "open_simplified": (dd.open_simplified, {"folder": room.out / "empty"}),
        "latex_table": (dd.latex_table, {"results": room.results.measured}),
        "write_report": (dd.write_report, {"results": room.results.measured}),
        "load_spec": (dd.load_spec, {}),
        "RunOptions": (dd.RunOptions, {}),
        "predict": (room.detector.predict, {"images": []}),
        "predict_each": (each, {"images": [], "batch_size": 1}),
        "figures": (room.results.figures, {}),
        "plot": (room.results.plot, {}),
        "report": (room.results.report, {}),
        "write": (room.results.write, {}),
        "latex": (room.results.latex, {}),
        "found": (study.found, {}),
        "table": (study.table, {}),
        "read_file": (study.read_file, {}),
        "select": (room.plan.select, {}),
        "subset": (room.data.subset, {}),
        "data[]": (lambda key: room.data[key], {}),
        "plan[]": (lambda key: room.plan[key], {}),
    }
    for name, (function, given) in whole.items():
        parameters = [
            p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD
        ]
        for one in dict.fromkeys([*parameters, *given]):
            rest = {key: value for key, value in given.items() if value is not ... and key != one}
            yield f"{name}({one})", lambda value, f=function, one=one, rest=rest: _called(f, rest, one, value)
    for keyword in ("heads", "neurons", "channels", "queries", "layers", "components", "intervention"):
        more = {"components": "classifier.weight"} if keyword == "intervention" else {}
        yield f"ablated({keyword})", lambda value, k=keyword, m=more: room.detector.ablated(**m, **{k: value})
        yield (
            f"ablated({keyword} by name)",
            lambda value, k=keyword: room.detector.ablated(**{k: {"classifier.weight": value}}),
        )
    yield "ablated()", lambda value: room.detector.ablated(value)


def _called(function: Callable[..., object], rest: dict[str, Any], one: str, value: Any) -> object:
    given = {**rest, one: value}
    parameters = inspect.signature(function).parameters.values()
    first = [given.pop(p.name) for p in parameters if p.kind is p.POSITIONAL_ONLY and p.name in given]
    return function(*first, **given)


def test_it_is_taken_or_refused(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(room.out)  # a text may be taken as the name of a new folder
    raw, unreadable, refused = [], [], 0
    for name, call in calls(room):
        for kind, value in room.wrong.items():
            if any(one in name and kind in kinds for one, kinds in OWN.items()):
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    done = call(value)
                    if isinstance(done, AbstractContextManager):
                        with done:
                            pass
            except dd.ERRORS as error:
                refused += 1
                text = str(error)
                if ("\n" in text and "is not a valid study:\n" not in text) or len(text) > LONGEST:
                    unreadable.append(f"{name} = {kind}: {text[:LONGEST]}")
            except Exception as error:
                raw.append(f"{name} = {kind}: {type(error).__name__}: {error}"[:300])
    assert not raw, "\n".join(raw)
    assert not unreadable, "\n".join(unreadable)
    assert refused > 1000
