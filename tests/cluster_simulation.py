"""A study on a cluster as a simulation of discrete events: every shard, every batch, every lost worker."""

from __future__ import annotations

import math
import random

import simpy

from dissect_core.engine.ray import Cluster, Costs, Workload


def simulated(work: Workload, costs: Costs, cluster: Cluster, seed: int = 0) -> float:
    """Hours of a study: each worker reads, runs and writes batch after batch, dies at times, and is replaced."""
    world, draw = simpy.Environment(), random.Random(seed)
    n_shards = math.ceil(work.images / work.shard_images)
    waiting = [min(work.shard_images, work.images - i * work.shard_images) for i in range(n_shards)][::-1]
    parts = 1 if work.shard_images <= work.batch_size else 2
    left = n_shards
    ended = world.event()

    def passes(images: int) -> float:
        each = costs.baseline + costs.variant * work.variants
        return images * (each + work.variants * work.detections * costs.write * parts)

    def worker():
        nonlocal left
        yield world.timeout(costs.start + costs.plan)
        mean = 3600 / cluster.failures if cluster.failures else float("inf")
        dies = world.now + (draw.expovariate(1 / mean) if cluster.failures else math.inf)
        while left:
            if not waiting:
                yield world.timeout(1.0)  # others are busy with the last shards, one of which may come back
                continue
            images = waiting.pop()
            yield world.timeout(costs.shard)
            ready = world.now  # one thread reads batch after batch, whatever the detector does
            while images:
                batch = min(work.batch_size, images)
                ready += batch * costs.load
                seconds = max(0.0, ready - world.now) + passes(batch)
                if world.now + seconds > dies:
                    yield world.timeout(max(0.0, dies - world.now) + cluster.restart)
                    waiting.append(images)  # what was finished of it is kept
                    dies = world.now + draw.expovariate(1 / mean)
                    break
                yield world.timeout(seconds)
                images -= batch
            else:
                left -= 1
                if not left:
                    ended.succeed(world.now)

    for _ in range(cluster.workers):
        world.process(worker())
    return float(world.run(until=ended)) / 3600
