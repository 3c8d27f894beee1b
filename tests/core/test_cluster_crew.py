"""The crew, with workers that fail in any way and at any time: nothing is forgotten, nothing goes on for ever."""

import pytest
from hypothesis import given, settings, strategies as st

from dissect_core import ClusterError
from dissect_core.engine.ray._crew import Crew
from dissect_core.engine.ray._queue import ATTEMPTS, Shard
from dissect_core.engine.ray._worker import Step
from fake_ray import FakeRay


class Watched:
    """A crew on a fake Ray, with an account of what it did."""

    def __init__(self, ray: FakeRay, workers: int) -> None:
        self.ray, self.said = ray, list[str]()
        self.crew = Crew(ray, ray.hire, lambda: workers, self.said.append)
        self.crew.on_step, self.crew.on_end = self.step, self.end
        self.crew.on_failed = lambda shard: self.failed.append(shard)
        self.done: list[int] = []
        self.failed: list[Shard] = []
        self.ended: list[int] = []

    def step(self, shard: Shard, step: Step) -> None:
        assert step.batch in shard.batches
        shard.batches.remove(step.batch)
        self.done.append(step.batch)

    def end(self, shard: Shard, finished: bool) -> None:
        if finished:
            assert not shard.batches
            self.ended.append(shard.number)

    def run(self, sizes: list[int], stop_after: int | None = None) -> None:
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        shards = (Shard(i, list(range(s, s + n))) for i, (s, n) in enumerate(zip(starts, sizes, strict=True)))
        self.crew.fill()
        stop = lambda: stop_after is not None and len(self.done) >= stop_after  # noqa: E731
        self.crew.run("job", shards, stop)


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    workers=st.integers(1, 5),
    rate=st.sampled_from([0.0, 0.05]),
    data=st.data(),
)
def test_every_batch_is_done_once_or_its_shard_is_given_up(
    seed: int, sizes: list[int], workers: int, rate: float, data: st.DataObject
) -> None:
    total = sum(sizes)
    poisoned = data.draw(st.sets(st.integers(0, total - 1), max_size=min(2, total // 4)))
    watched = Watched(FakeRay(seed, poisoned, rate, join_rate=rate), workers)
    watched.run(sizes)
    given_up = {batch for shard in watched.failed for batch in shard.batches}
    assert len(watched.done) == len(set(watched.done)), "no batch is run again once it is done"
    assert sorted([*watched.done, *given_up]) == list(range(total))
    for shard in watched.failed:
        assert len(shard.faults) == ATTEMPTS
    if not rate:
        assert bool(watched.failed) == bool(given_up)
        assert given_up <= {b for s in watched.failed for b in s.batches}
    assert len(watched.crew._members) <= workers
    watched.crew.dismiss_all()
    assert watched.crew._members == []


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), stop_after=st.integers(0, 10))
def test_a_stop_leaves_nobody_at_work(seed: int, stop_after: int) -> None:
    watched = Watched(FakeRay(seed, set(), 0.0, 0.0), 3)
    watched.run([2] * 20, stop_after)
    assert stop_after <= len(watched.done) <= stop_after + 2 * 3 + 3
    assert all(member.shard is None for member in watched.crew._members)


def test_a_shard_that_fails_is_tried_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(FakeRay(1, {0}, 0.0, 0.0), 3)
    monkeypatch.setattr(watched.ray, "fault_of_shard", lambda batches: "raises" if 0 in batches else "")
    watched.run([1] * 30)
    (shard,) = watched.failed
    assert len(shard.tried) == ATTEMPTS
    assert [fault for _, fault in shard.faults] == ["ValueError: poison"] * ATTEMPTS
    assert len(watched.done) == 29


def test_faults_of_nodes_that_were_lost_are_not_the_shards_own(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(FakeRay(1, set(), 0.0, 0.0), 2)
    faults = iter(["dies"] * 6)
    monkeypatch.setattr(
        watched.ray, "fault_of_shard", lambda batches: next(faults, "") if 0 in batches else ""
    )
    monkeypatch.setattr(watched.ray, "nodes", lambda: [])  # all that had it are gone
    watched.run([1] * 12)
    assert watched.failed == []
    assert len(watched.done) == 12


def test_when_nothing_works_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(FakeRay(1, set(range(1000)), 0.0, 0.0), 2)
    with pytest.raises(
        ClusterError, match="12 attempts in a row have failed, whatever the shard; the last one: "
    ):
        watched.run([1] * 1000)
    watched = Watched(FakeRay(1, set(), 0.0, 1.0), 2)
    with pytest.raises(ClusterError, match="6 workers in a row died before they could begin"):
        watched.run([1] * 10)
    refusing = FakeRay(1, set(), 0.0, 0.0)
    monkeypatch.setattr(refusing, "fault_of_join", lambda: "raises")
    watched = Watched(refusing, 2)
    with pytest.raises(ValueError, match="another node"):
        watched.run([1] * 10)
    assert watched.said == ["a worker cannot join: another node"] * 2
