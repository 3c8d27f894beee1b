"""Options of ``deep-dissect run`` that say what computes a study."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from pydantic import ValidationError

from dissect_core.detectors.trust import agreed_execution
from dissect_core.spec import Execution, LocalExecution, RayExecution, StudySpec, plain_rule
from dissect_eval.study import Spread, in_processes

from ..errors import FrontDoorError

EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine", help="What computes it (default: as the study says, else local).", metavar="local|ray"
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option("--address", help="Of the Ray cluster: auto, or host:port (default: Ray on this machine)."),
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="The most workers of the cluster (default: as many as fit)."),
]
GpusOption = Annotated[
    float | None, typer.Option("--gpus-per-worker", min=0.0, help="GPUs of each worker; may be a share.")
]
CpusOption = Annotated[
    float | None,
    typer.Option(
        "--cpus-per-worker", help="CPU cores of each worker, and threads of torch; more than 0 (default: 1)."
    ),
]


JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        help="Processes that measure variants side by side (default: 1; with --engine ray, the cluster's CPU cores).",
    ),
]


def spread_of(execution: Execution, jobs: int | None) -> Spread:
    """Return where variants are measured: as the user asks, else where they were run."""
    if jobs is not None or not isinstance(execution, RayExecution):
        return in_processes(jobs or 1)
    if execution.address or os.environ.get("RAY_ADDRESS"):
        from dissect_core.engine.ray import spread_over

        return spread_over(execution)
    cores = os.cpu_count() or 1
    return in_processes(min(execution.workers or cores, cores))  # Ray on this machine has ended


def execution_of(
    spec: StudySpec,
    engine: str | None,
    address: str | None,
    workers: int | None,
    gpus_per_worker: float | None,
    cpus_per_worker: float | None,
    *,
    trust: bool,
) -> Execution:
    """Return what computes the study: as the command says, else the study; its cluster is joined only with `trust`.

    Raises
    ------
    FrontDoorError
        If the options do not fit together.
    UntrustedError
        If the study names a cluster, and the user neither names one nor trusts the study.
    """
    if engine not in (None, "local", "ray"):
        raise FrontDoorError(f"--engine must be local or ray, got {engine!r}.")
    given = {
        name: value
        for name, value in (
            ("address", address),
            ("workers", workers),
            ("gpus_per_worker", gpus_per_worker),
            ("cpus_per_worker", cpus_per_worker),
        )
        if value is not None
    }
    said = spec.execution
    wanted = engine or said.engine
    if wanted == "local":
        if given:
            option = "--" + next(iter(given)).replace("_", "-")
            raise FrontDoorError(f"{option} is for a cluster: add --engine ray, or leave it out.")
        return LocalExecution()
    if address is None:
        agreed_execution(said, trust=trust)
    before = said.model_dump() if isinstance(said, RayExecution) else {"engine": "ray"}
    try:
        return RayExecution.model_validate({**before, **given})
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise FrontDoorError(f"{option} {plain_rule(first['msg'])}, got {first['input']!r}.") from error
