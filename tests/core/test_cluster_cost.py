"""The cost model against a simulation, shard by shard and failure by failure, and against arithmetic by hand."""

import pytest

pytest.importorskip("simpy")

from cluster_simulation import simulated
from dissect_core.engine.ray import Cluster, Costs, Workload, forecast

COCO = Workload(images=118_000, variants=1000)
DETR = Costs(load=0.012, baseline=0.036, variant=0.005)


@pytest.mark.parametrize(
    ("work", "costs", "cluster"),
    [
        (COCO, DETR, Cluster(64)),
        (COCO, DETR, Cluster(64, failures=0.05)),
        (COCO, DETR, Cluster(64, failures=0.5, restart=300)),
        (COCO, DETR, Cluster(8)),
        (COCO._replace(batch_size=32), DETR, Cluster(64)),
        (COCO._replace(variants=100), DETR, Cluster(64)),
        (COCO._replace(images=5_000, variants=141), DETR, Cluster(16)),
        (COCO._replace(variants=1), DETR._replace(load=0.2), Cluster(16)),
    ],
)
def test_the_formula_agrees_with_a_simulation(work: Workload, costs: Costs, cluster: Cluster) -> None:
    told = forecast(work, costs, cluster)
    runs = [simulated(work, costs, cluster, seed) for seed in range(3 if cluster.failures else 1)]
    assert told.hours == pytest.approx(sum(runs) / len(runs), rel=0.03)


def test_numbers_by_hand() -> None:
    work = Workload(images=8, variants=10, shard_images=4, batch_size=2, image_bytes=2**20, detections=2)
    costs = Costs(
        0.5, 1.0, 0.2, write=0.0, shard=0.0, start=10, plan=20, detection_bytes=2**20, checkpoint_bytes=0
    )
    told = forecast(work, costs, Cluster(2))
    # Two shards, one a worker: reading the first two images, then four times a baseline and ten variants.
    assert told.hours * 3600 == pytest.approx(30 + 2 * 0.5 + 4 * (1.0 + 10 * 0.2))
    assert told.shards == 2
    assert told.storage_gib * 1024 == pytest.approx(8 * 10 * 2)
    assert told.written_gib * 1024 == pytest.approx(2 * 160), "as parts, and again as shards"
    assert told.read_gib * 1024 == pytest.approx(8 + 160)
    assert told.lost_hours == 0


def test_measuring_by_hand() -> None:
    work, costs = Workload(images=100, variants=9), DETR._replace(measure=0.01)
    for cores, rounds in [(1, 10), (3, 4), (4, 3), (10, 1), (500, 1)]:
        told = forecast(work, costs, Cluster(1, cores_per_worker=cores))
        assert told.measuring_hours * 3600 == pytest.approx((1 + rounds) * 100 * 0.01)
    assert forecast(work, costs, Cluster(5)).measuring_hours * 3600 == pytest.approx(3.0)


def test_more_workers_than_shards_help_nobody() -> None:
    work = Workload(images=64, variants=10)
    assert forecast(work, DETR, Cluster(2)).hours == pytest.approx(forecast(work, DETR, Cluster(200)).hours)
