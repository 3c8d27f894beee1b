"""Join a Ray cluster, or start Ray on this machine."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import ClusterError, MissingDependencyError
from ...spec import RayExecution

SECONDS_TO_CONNECT = 10.0


@contextmanager
def connected(execution: RayExecution, say: Callable[[str], object] = lambda _text: None) -> Iterator[Any]:
    """Join a cluster or start Ray for the length of a block; a connection that is there already is used, and kept.

    Yields
    ------
    module
        The module `ray`.

    Raises
    ------
    MissingDependencyError
        If Ray is not installed.
    ClusterError
        If there is no cluster at the address, or this machine is too small for a worker.
    """
    ray = ray_module()
    address = execution.address or os.environ.get("RAY_ADDRESS") or "local"
    if address.startswith("ray://"):  # that of a spec was refused when the spec was read
        raise ClusterError(
            f"RAY_ADDRESS must be `auto` or host:port, got {address!r}: Ray's client cannot stream progress. Start the "
            "study on a node of the cluster, or with `ray job submit`."
        )
    if ray.is_initialized():
        _require_room(ray, execution, may_grow=True)
        yield ray
        return
    _require_listener(address)
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    here = address == "local"
    say("starting Ray on this machine ..." if here else f"joining the Ray cluster {address} ...")
    try:
        with _own_answer_to_sigterm():
            ray.init(**options)
    except Exception as error:  # Ray raises errors of many kinds here
        if here:
            raise ClusterError(
                f"Ray did not start on this machine: {' '.join(str(error).split())[:300]} Try again when it is less "
                "busy, or run the study with `engine: local`."
            ) from error
        raise ClusterError(
            f"`execution.address` (`--address`) {address!r} is no Ray cluster that can be joined from here: "
            f"{' '.join(str(error).split())[:300]} Start one with `ray start --head`, or leave the address out. If it "
            "asks for a token, as Ray does where it finds one in ~/.ray, set RAY_AUTH_MODE=token and that token here."
        ) from error
    try:
        _require_room(ray, execution, may_grow=address != "local")
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _own_answer_to_sigterm() -> Iterator[None]:
    """Keep the program's handler of SIGTERM when Ray starts: Ray installs its own, which exits at once."""
    before = signal.getsignal(signal.SIGTERM)
    is_mine = before not in (signal.SIG_DFL, None) and threading.current_thread() is threading.main_thread()
    try:
        yield
    except SystemExit as error:
        if is_mine and error.code == signal.SIGTERM:  # the signal came while Ray started
            raise KeyboardInterrupt from None
        raise
    finally:
        if is_mine:
            signal.signal(signal.SIGTERM, before)


def ray_module() -> Any:
    """Return the module `ray`, or raise an error that says how to install it."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            '`engine: ray` needs Ray, which is not installed. Run `pip install "dissect-core[ray]"`, or leave '
            "`execution` out.",
            name="ray",
        ) from error
    return ray


def _require_listener(address: str) -> None:
    """Check that something listens at host:port: Ray itself would try for many minutes."""
    told = address
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or _last_cluster()
    host, separator, port = address.rpartition(":")
    if not separator:
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_TO_CONNECT):
            return
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"`execution.address` (`--address`) {told!r} is no Ray cluster that can be joined from here: "
            f"{address}: {error}. It must be host:port as `ray start --head` prints it; leave it out to start Ray on "
            "this machine."
        ) from error


def _last_cluster() -> str:
    """Return the address of the last cluster that this machine was part of, from a note that Ray keeps; else "".

    The note stays where a cluster was killed, so that nothing may listen there any more.
    """
    try:
        return (
            (Path(os.environ.get("RAY_TMPDIR") or "/tmp") / "ray" / "ray_current_cluster").read_text().strip()
        )
    except OSError:  # no note: Ray itself says that there is no cluster
        return ""


def capacity(ray: Any, execution: RayExecution) -> int:
    """Return how many workers the cluster can hold as it is now."""
    has = ray.cluster_resources()
    rooms = [int(has.get("CPU", 0.0) / execution.cpus_per_worker)]
    if execution.gpus_per_worker:
        rooms.append(int(has.get("GPU", 0.0) / execution.gpus_per_worker))
    return min(rooms)


def wanted(execution: RayExecution) -> str:
    """Return what a worker needs, as words for a message."""
    gpus = f" and {execution.gpus_per_worker:g} GPU" if execution.gpus_per_worker else ""
    return f"{execution.cpus_per_worker:g} CPU{gpus}"


def _require_room(ray: Any, execution: RayExecution, *, may_grow: bool) -> None:
    """Refuse at once a worker that can never fit on this machine; a cluster may still get nodes."""
    if not may_grow and not capacity(ray, execution):
        has = ray.cluster_resources()
        raise ClusterError(
            f"A worker needs {wanted(execution)}, but this machine has {has.get('CPU', 0):g} CPU and "
            f"{has.get('GPU', 0):g} GPU. Ask for less, or give the `address` of a cluster."
        )


def ready(ray: Any, waiting: list[Any], n: int, timeout: float) -> list[Any]:
    """Wait until `n` calls have a result, at most `timeout` seconds, and return those that have one."""
    try:
        found, _ = ray.wait(waiting, num_returns=n, timeout=timeout, fetch_local=False)
    except SystemError as error:  # so Ray passes on what the handler of a signal raised
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise error.__cause__ from None
        raise
    return list(found)


def result(ray: Any, call: Any) -> Any:
    """Return the result of a call; wait a second at a time, so that signals are handled."""
    while not ready(ray, [call], 1, timeout=1.0):
        pass
    return ray.get(call)


def cause_of(error: Any) -> BaseException:
    """Return the error that a worker raised."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error
