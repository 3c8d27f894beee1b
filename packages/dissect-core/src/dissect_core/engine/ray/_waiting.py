"""Waiting for workers, in a way that Ctrl-C is heard."""

from typing import Any


def ready(ray: Any, waiting: list[Any], n: int, timeout: float) -> list[Any]:
    """Which of some calls have something to give, once there are `n` of them or some seconds are over."""
    try:
        found, _ = ray.wait(waiting, num_returns=n, timeout=timeout, fetch_local=False)
    except SystemError as error:  # Ray's way to pass on what a signal's handler raised
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise error.__cause__ from None
        raise
    return list(found)


def result(ray: Any, call: Any) -> Any:
    """Wait for what a call gives, in pieces, so that a signal is heard."""
    while not ready(ray, [call], 1, timeout=1.0):
        pass
    return ray.get(call)


def cause_of(error: Any) -> BaseException:
    """What a worker raised."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error
