"""Measuring on a cluster: the numbers are those of one process, and a lost node costs none of them."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

import toy_split
from dissect_core import ClusterError
from dissect_core.engine.ray import spread_over
from dissect_core.storage.locations import location_of
from dissect_core.store import Study
from dissect_eval.study import Settings, StudyTables, measure
from s3_server import BUCKET

EVALUATING = partial(itemgetter(0), [eval])  # what opens work that any process can do
FAST = Settings(n_replicates=50)


@pytest.mark.parametrize("where", ["a folder", "an object store"])
def test_the_numbers_are_those_of_one_process(
    where: str, tmp_path: Path, on_ray: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    split = toy_split.write_split(tmp_path, 12)
    monkeypatch.chdir(tmp_path)
    place = location_of(f"s3://{BUCKET}/cluster/measured" if where == "an object store" else "study")
    study = Study.open(toy_split.write_study(split, place))
    expected = StudyTables.of(measure(study, settings=FAST)).files()
    found = measure(study, settings=FAST, spread=spread_over(on_ray()))
    assert StudyTables.of(found).files() == expected


def test_no_more_at_a_time_than_asked_for(on_ray: Callable[..., Any]) -> None:
    clock = "__import__('time').time()"
    works = [f"({i}, {clock}, __import__('time').sleep(0.1), {clock})" for i in range(6)]
    found = sorted(value for _, value in spread_over(on_ray(workers=1))(EVALUATING, works))
    assert [value[0] for value in found] == list(range(6))
    spans = sorted((begin, end) for _, begin, _, end in found)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_what_a_lost_node_had_is_done_elsewhere(
    nodes: Any, add_node: Callable[..., Any], on_ray: Callable[..., Any]
) -> None:
    node = add_node()
    works = [
        f"({i}, __import__('ray').get_runtime_context().get_node_id(), __import__('time').sleep(0.5))"
        for i in range(12)
    ]
    found, seen = {}, set()
    for work, value in spread_over(on_ray())(EVALUATING, works):
        found[work] = value[0]
        seen.add(value[1])
        if len(seen) == 2 and node in nodes.worker_nodes:
            nodes.remove_node(node, allow_graceful=False)
    assert node not in nodes.worker_nodes, "both nodes had work"
    assert [found[work] for work in works] == list(range(12))


def test_an_error_comes_as_it_is(on_ray: Callable[..., Any]) -> None:
    with pytest.raises(ZeroDivisionError):
        list(spread_over(on_ray())(EVALUATING, ["1", "1 / 0"]))


def test_what_kills_its_process_again_and_again_is_named(on_ray: Callable[..., Any]) -> None:
    work = "__import__('os')._exit(9)"
    with pytest.raises(
        ClusterError, match=r"The variant __import__.* could not be measured: .* is lost: measure it"
    ):
        list(spread_over(on_ray())(EVALUATING, [work]))
