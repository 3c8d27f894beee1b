"""Forecast of what a study costs on a cluster: hours, storage and network, from measured times of its stages."""

import math
from typing import NamedTuple

GIB = 2**30


class Workload(NamedTuple):
    """Numbers of a study that its cost depends on.

    Attributes
    ----------
    images, variants : int
    shard_images, batch_size : int
        Images of a shard, the unit that a worker takes, and of a batch.
    image_bytes : float
        Mean size of an image file.
    detections : float
        Mean detections of a variant in an image.
    """

    images: int
    variants: int
    shard_images: int = 32
    batch_size: int = 4
    image_bytes: float = 164e3
    detections: float = 100.0


class Costs(NamedTuple):
    """Measured times of stages, in seconds, and sizes, in bytes.

    Attributes
    ----------
    load : float
        To read and resize an image, by one thread beside the detector.
    baseline : float
        The baseline's pass, for one image.
    variant : float
        A variant's pass by prefix replay, for one image: the mean over the study's variants.
    write : float
        To write a detection to storage.
    shard : float
        What Ray and the driver add to each shard.
    start : float
        Until a worker has found room, imported its packages and opened the detector.
    plan : float
        Until the plan is made and references are gathered, by one worker.
    detection_bytes : float
        Size of a detection in storage.
    checkpoint_bytes : float
        Size of the files that each worker reads at its start.
    measure : float
        To measure one variant on one image, on one core; the default holds for 1,000 resamples of 80 classes.
    """

    load: float
    baseline: float
    variant: float
    write: float = 0.5e-6
    shard: float = 0.004
    start: float = 30.0
    plan: float = 60.0
    detection_bytes: float = 26.0
    checkpoint_bytes: float = 160e6
    measure: float = 0.006


class Cluster(NamedTuple):
    """Cluster that a study runs on.

    Attributes
    ----------
    workers : int
    failures : float
        Worker processes or nodes lost, for each worker and hour.
    restart : float
        Seconds from the loss of a worker to the first batch of the one that takes its place.
    cores_per_worker : int
        CPU cores for each worker; variants are measured on them.
    """

    workers: int
    failures: float = 0.0
    restart: float = 60.0
    cores_per_worker: int = 1


class Forecast(NamedTuple):
    """Cost of a study on a cluster, as forecast.

    Attributes
    ----------
    hours : float
        From the first worker's start to the last shard.
    busy : float
        Share of the workers' time that goes into passes, in [0, 1].
    shards : int
    storage_gib : float
        All detections of all variants.
    read_gib, written_gib : float
        Read and written over the network: images and checkpoints; parts of shards, which are written, read again and
        written as shards.
    read_mib_s, written_mib_s : float
        The same for each second, by all workers together.
    dispatches : float
        Shards that the driver hands out in each second.
    lost_hours : float
        Worker hours that failures cost.
    measuring_hours : float
        From the last shard until every variant is measured.
    """

    hours: float
    busy: float
    shards: int
    storage_gib: float
    read_gib: float
    written_gib: float
    read_mib_s: float
    written_mib_s: float
    dispatches: float
    lost_hours: float
    measuring_hours: float


def shard_seconds(work: Workload, costs: Costs, images: int | None = None) -> float:
    """Return the seconds that a worker takes for one shard, together with what Ray and the driver add.

    Images of a batch are read while the detector is busy with the batch before: the slower of both counts, and the
    first batch of a shard waits for its images.
    """
    images = work.shard_images if images is None else images
    batch = min(work.batch_size, images)
    each = costs.baseline + costs.variant * work.variants
    passes, loading = images * each, images * costs.load
    first = batch * costs.load
    writing = images * work.variants * work.detections * costs.write * parts_factor(work)
    return max(first + passes, loading + batch * each) + writing + costs.shard


def parts_factor(work: Workload) -> float:
    """Return how often a detection is written: once, or as a part of its shard and again with the shard."""
    return 1.0 if work.shard_images <= work.batch_size else 2.0


def forecast(work: Workload, costs: Costs, cluster: Cluster) -> Forecast:
    """Forecast what a study costs on a cluster.

    Parameters
    ----------
    work : Workload
    costs : Costs
    cluster : Cluster

    Returns
    -------
    Forecast

    Notes
    -----
    Shards are handed out one at a time, so that W workers take ceil(shards / W) rounds of equal shards at most. A
    worker that is lost takes half a batch of work with it on average, as finished batches are kept, and its shard
    waits for the next free worker. Failures are spread evenly; the formula holds while they are rare, which
    `tests/core/test_cluster_cost.py` checks against a simulation of every shard and every failure.

    Examples
    --------
    >>> costs = Costs(load=0.02, baseline=0.03, variant=0.006)
    >>> told = forecast(Workload(118_000, 1000), costs, Cluster(64))
    >>> f"{told.hours:.1f} h, {told.storage_gib:.0f} GiB, {told.shards:,} shards"
    '3.2 h, 286 GiB, 3,688 shards'
    """
    shards = math.ceil(work.images / work.shard_images)
    each = shard_seconds(work, costs)
    workers = min(cluster.workers, shards)
    total = each * work.images / work.shard_images
    batch = each * min(1.0, work.batch_size / work.shard_images)
    rate = cluster.failures / 3600
    # What failures add to each second of work: half a batch that is lost, and the time until another worker is there.
    slowdown = 1 + rate * (batch / 2 + cluster.restart)
    rounds = math.ceil(shards / workers)
    mean = total * slowdown / workers
    # The last round: some workers have nothing left while others finish theirs.
    tail = (rounds * workers - shards) / workers * each if not cluster.failures else each / 2
    running = max(mean + (tail if rounds > 1 or not cluster.failures else 0.0), each)
    seconds = costs.start + costs.plan + running
    stored = work.images * work.variants * work.detections * costs.detection_bytes
    parts = parts_factor(work)
    read = work.images * work.image_bytes + workers * costs.checkpoint_bytes + (parts - 1) * stored
    written = parts * stored
    passes = (costs.baseline + costs.variant * work.variants) * work.images
    return Forecast(
        hours=seconds / 3600,
        busy=passes / (seconds * workers),
        shards=shards,
        storage_gib=stored / GIB,
        read_gib=read / GIB,
        written_gib=written / GIB,
        read_mib_s=read / seconds / 2**20,
        written_mib_s=written / seconds / 2**20,
        dispatches=shards / running,
        lost_hours=total * (slowdown - 1) / 3600,
        measuring_hours=measuring_seconds(work, costs, cluster) / 3600,
    )


def measuring_seconds(work: Workload, costs: Costs, cluster: Cluster) -> float:
    """Return the seconds until all variants are measured: one at a time on each core, the baseline before them."""
    variants = work.variants + 1
    rounds = math.ceil(variants / min(variants, cluster.workers * cluster.cores_per_worker))
    return (1 + rounds) * work.images * costs.measure
