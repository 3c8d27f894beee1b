"""Where a study is computed: in this process, or by the workers of a Ray cluster. The numbers do not depend on it."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, field_validator

from ..edits import Spec

MOST = 10_000
"""Most workers, and most GPUs and CPU cores of each: more than any cluster has."""


class LocalExecution(Spec):
    """Run in this process, one batch after the other."""

    engine: Literal["local"] = Field(default="local", description="What runs the study.")


class RayExecution(Spec):
    """Run on workers of a Ray cluster, each with a detector of its own and one shard of images at a time."""

    engine: Literal["ray"] = Field(description="What runs the study.")
    address: str | None = Field(
        default=None,
        min_length=1,
        description="Address of the cluster: `auto` for the one that this machine belongs to, or host:port, which "
        "counts only with --trust or --address (execution=); left out, it is RAY_ADDRESS, or Ray is started here.",
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="The most workers at a time; those that do not fit wait for room. Left out: as many as fit.",
    )
    gpus_per_worker: float = Field(
        default=0.0,
        ge=0,
        le=MOST,
        allow_inf_nan=False,
        description="GPUs of each worker; 0.5 lets two of them share one.",
    )
    cpus_per_worker: float = Field(
        default=1.0,
        gt=0,
        le=MOST,
        allow_inf_nan=False,
        description="CPU cores of each worker, and the number of threads with which torch computes.",
    )

    @field_validator("address")
    @classmethod
    def _is_no_client(cls, address: str | None) -> str | None:
        if address is not None and address.startswith("ray://"):
            raise ValueError(
                "must be `auto` or host:port, as Ray's client cannot stream progress; start the study on a node of "
                "the cluster, or with `ray job submit`"
            )
        return address


def _as_engine(value: Any) -> Any:
    """Let ``ray`` stand for ``{engine: ray}``."""
    return {"engine": value} if isinstance(value, str) else value


Execution: TypeAlias = Annotated[
    Annotated[LocalExecution | RayExecution, Field(discriminator="engine")], BeforeValidator(_as_engine)
]
