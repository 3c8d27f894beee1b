"""A Ray cluster of real processes on 127.0.0.1, for all tests of this folder, and a real server of the S3 protocol."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import studies
from dissect_core.spec import RayExecution
from dissect_core.store import Study
from s3_server import s3_server

TESTS = Path(__file__).parents[1]
N_IMAGES = 24


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def environment() -> Iterator[str]:
    """What the cluster's processes inherit: where the detectors of these tests are, and an object store's address."""
    # It is so in the background of a shell, and of all that is started there.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # The switch by which Ray keeps to 127.0.0.1, as it does on a Mac; read when Ray is imported.
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        pytest.importorskip("ray")
        patch.setenv("OMP_NUM_THREADS", "1")
        with s3_server(patch) as endpoint:
            yield endpoint


@pytest.fixture(scope="session")
def nodes(environment: str) -> Iterator[Any]:
    """Two raylets: a head that holds no worker, and a node with room for two."""
    import ray
    from ray.cluster_utils import Cluster

    options = {"include_dashboard": False, "node_ip_address": "127.0.0.1", "num_cpus": 0}
    cluster = Cluster(initialize_head=True, head_node_args={**options, "object_store_memory": 200 * 2**20})
    cluster.add_node(num_cpus=2, node_ip_address="127.0.0.1", object_store_memory=200 * 2**20)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def add_node(nodes: Any) -> Iterator[Callable[..., Any]]:
    """Add a node to the cluster, by default with room for one worker more; it leaves with the test."""
    added: list[Any] = []

    def add(**resources: Any) -> Any:
        options = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 100 * 2**20}
        node = nodes.add_node(**{**options, **resources})
        added.append(node)
        return node

    yield add
    for node in added:
        if node in nodes.worker_nodes:
            nodes.remove_node(node, allow_graceful=False)


@pytest.fixture
def on_ray(nodes: Any) -> Callable[..., RayExecution]:
    """An execution on this cluster, which this process has joined already."""

    def execution(**fields: Any) -> RayExecution:
        return RayExecution(engine="ray", address=nodes.address, **fields)

    return execution


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return studies.scenes(tmp_path_factory.mktemp("cluster") / "images", N_IMAGES)


@pytest.fixture(scope="session")
def local(images: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Study:
    """What the local engine gives: what every other run must equal, byte for byte."""
    return studies.run_toy(images, tmp_path_factory.mktemp("local") / "out")
