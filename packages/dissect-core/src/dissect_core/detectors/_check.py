"""Checks of a detector, and how a list of them is run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from ._result import CheckResult
from ._subject import Subject

__all__ = ["BrokenRuleError", "Check", "DeclaredDeviation", "check", "require", "run_checks"]

Run: TypeAlias = Callable[[Subject], str]


class BrokenRuleError(Exception):
    """A check failed; the message is what was seen."""


class DeclaredDeviation(Exception):  # noqa: N818  # no error
    """The detector deviates, as it declares it does; the message says how far."""


def require(holds: object, seen: str) -> None:
    """Fail the running check unless a condition holds."""
    if not holds:
        raise BrokenRuleError(seen)


@dataclass(frozen=True)
class Check:
    """One rule for detectors.

    Attributes
    ----------
    name : str
    demand : str
        The rule, one sentence.
    remedy : str
        What to do when it is broken.
    run : callable
        Returns what was seen, or raises.
    needs : tuple of str
        Checks that must have passed: without them this one says nothing.
    """

    name: str
    demand: str
    remedy: str
    run: Run
    needs: tuple[str, ...]


def check(name: str, demand: str, remedy: str, needs: tuple[str, ...] = ()) -> Callable[[Run], Check]:
    """Make a check of a function."""

    def made(run: Run) -> Check:
        return Check(name, demand, remedy, run, needs)

    return made


def run_checks(checks: Iterable[Check], subject: Subject) -> tuple[CheckResult, ...]:
    """Run checks one after the other; an exception in one of them is that check's failure."""
    results: dict[str, CheckResult] = {}
    for one in checks:
        results[one.name] = _result(one, subject, results)
    return tuple(results.values())


def _result(one: Check, subject: Subject, before: dict[str, CheckResult]) -> CheckResult:
    unmet = [name for name in one.needs if before[name].status in ("failed", "skipped")]
    if unmet:
        return CheckResult(one.name, one.demand, "skipped", f"needs: {', '.join(unmet)}.")
    # Where detections vary by themselves, that they have changed says nothing.
    steady = "repeatable" in before and before["repeatable"].status == "passed"
    if steady and not subject.is_intact():
        blamed = next((r.name for r in reversed(before.values()) if r.status == "failed"), "an earlier check")
        return CheckResult(one.name, one.demand, "skipped", f"{blamed!r} left the detector changed.")
    try:
        return CheckResult(one.name, one.demand, "passed", one.run(subject))
    except DeclaredDeviation as deviation:
        return CheckResult(one.name, one.demand, "declared", str(deviation))
    except BrokenRuleError as broken:
        return CheckResult(one.name, one.demand, "failed", str(broken), one.remedy)
    except Exception as error:  # whatever a detector raises is what this check saw
        return CheckResult(one.name, one.demand, "failed", f"{_described(error)}.", one.remedy)


def _described(error: Exception) -> str:
    """Return type, message and innermost place of an exception."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code if trace is not None else None
    where = (
        f" ({code.co_name}, {code.co_filename.rpartition('/')[2]}:{trace.tb_lineno})"
        if code and trace
        else ""
    )
    return f"{type(error).__name__}: {str(error).rstrip('.')}{where}"
