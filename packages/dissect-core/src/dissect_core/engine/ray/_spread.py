"""Do some work for each of many variants on the CPU cores of a cluster, such as the measurement of a study."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from ...errors import ClusterError
from ...spec import RayExecution
from ._connect import cause_of, connected, ray_module, ready

Work = Callable[[str], Any]
Spread = Callable[[Callable[[], Work], Sequence[str]], Iterator[tuple[str, Any]]]


def spread_over(execution: RayExecution, say: Callable[[str], object] = lambda _text: None) -> Spread:
    """Return a function that does some work for each variant in tasks of a Ray cluster, each on one CPU core.

    Ray repeats tasks that are lost with a node.

    Parameters
    ----------
    execution : RayExecution
        The cluster, and the most tasks at a time (`workers`); as many as it has cores, if that is left out.
    say : callable
        Called with messages for the user.

    Returns
    -------
    callable
        Takes a function that opens the work, which is called once in each of Ray's processes that take part, and the
        ids of the variants; yields each id with its result, in any order. `dissect_eval.study.measure` takes it as
        `spread`.

    Raises
    ------
    ClusterError
        While the function runs, if there is no such cluster, or a task's process died again and again.

    Examples
    --------
    >>> spread = spread_over(RayExecution(engine="ray", address="auto"))
    >>> results = measure(Study.open("mine"), spread=spread)  # doctest: +SKIP
    """

    def spread(opening: Callable[[], Work], variants: Sequence[str]) -> Iterator[tuple[str, Any]]:
        with connected(execution, say) as ray:
            yield from _by_tasks(ray, execution, opening, variants)

    return spread


def _by_tasks(
    ray: Any, execution: RayExecution, opening: Callable[[], Work], variants: Sequence[str]
) -> Iterator[tuple[str, Any]]:
    held = ray.put(opening)
    task = ray.remote(_do).options(num_cpus=1)
    waiting, left = dict[Any, str](), iter(variants)
    try:
        while True:
            cores = int(ray.cluster_resources().get("CPU", 1))  # a cluster may grow
            # Two tasks for each core, so that no core waits until its next task is handed out.
            room = (execution.workers or 2 * max(1, cores)) - len(waiting)
            waiting.update({task.remote([held], name): name for name in islice(left, max(0, room))})
            if not waiting:
                return
            for call in ready(ray, list(waiting), 1, timeout=1.0):
                name = waiting.pop(call)
                yield name, _result(ray, call, name)
    finally:
        for call in waiting:
            ray.cancel(call, force=True)


def _result(ray: Any, call: Any, name: str) -> Any:
    try:
        return ray.get(call)
    except ray.exceptions.RayTaskError as error:
        raise cause_of(error) from error
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"The variant {name} could not be measured: {' '.join(str(error).split())[:300]} Nothing that was detected "
            "is lost: measure it with `deep-dissect report`, or with fewer `workers` if memory was short."
        ) from error


def _do(held: list[Any], variant: str) -> Any:
    """Do the work for a variant, in a process of Ray's that does many variants one after the other."""
    return _work(held[0])(variant)


@lru_cache(maxsize=1)  # only that of the study at hand
def _work(held: Any) -> Work:
    work: Work = ray_module().get(held)()
    return work
