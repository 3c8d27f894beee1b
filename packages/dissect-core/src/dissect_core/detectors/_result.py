"""The result of the checks of a detector, for people and for test suites."""

import textwrap
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..errors import ConformanceError

__all__ = ["CheckResult", "ConformanceReport", "Status"]

Status: TypeAlias = Literal["passed", "declared", "failed", "skipped"]

_SHOWN = {"passed": "passed", "declared": "declared", "failed": "FAILED", "skipped": "not judged"}
_WIDTH = 118


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes
    ----------
    name : str
        The check.
    demand : str
        What it asks of a detector.
    status : {"passed", "declared", "failed", "skipped"}
        ``declared`` is a deviation that the detector itself announces. A check that rests on one that failed
        is ``skipped``: what it would see says nothing.
    seen : str
        What the detector did, or why the check was skipped.
    remedy : str
        What to do about a failure; empty otherwise.
    """

    name: str
    demand: str
    status: Status
    seen: str
    remedy: str = ""

    def __str__(self) -> str:
        label = f"  {_SHOWN[self.status]:<11} {self.name:<24} "
        text = (
            self.seen if self.status != "failed" else f"{self.demand} Seen: {self.seen} Remedy: {self.remedy}"
        )
        return textwrap.fill(
            " ".join(text.split()),
            _WIDTH,
            initial_indent=label,
            subsequent_indent=" " * len(label),
            break_on_hyphens=False,
        )


@dataclass(frozen=True)
class ConformanceReport:
    """What came of all checks of a detector; as a string, a table.

    Attributes
    ----------
    detector : str
        Type of the detector.
    results : tuple of CheckResult
        In the order of the checks.

    Examples
    --------
    >>> wrong = CheckResult("labels", "Labels are indices.", "failed", "label 3 of 3.", "Count from 0.")
    >>> report = ConformanceReport("Mine", (CheckResult("scores", "...", "passed", "0.1 to 0.9."), wrong))
    >>> print(report)
    Mine: 1 passed, 1 failed
      passed      scores                   0.1 to 0.9.
      FAILED      labels                   Labels are indices. Seen: label 3 of 3. Remedy: Count from 0.
    >>> report.ok
    False
    """

    detector: str
    results: tuple[CheckResult, ...]

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """Checks that failed."""
        return tuple(result for result in self.results if result.status == "failed")

    @property
    def skipped(self) -> tuple[CheckResult, ...]:
        """Checks that could not be judged, because one that they rest on failed."""
        return tuple(result for result in self.results if result.status == "skipped")

    @property
    def ok(self) -> bool:
        """True if no check failed (then none was skipped either)."""
        return not self.failures

    def raise_for_failures(self) -> None:
        """Raise if any check failed: the last line of a test.

        Raises
        ------
        ConformanceError
            With every failed check, what was seen and the remedy.
        """
        if self.ok:
            return
        listed = "\n".join(f"- {r.name}: {r.demand} Seen: {r.seen} Remedy: {r.remedy}" for r in self.failures)
        more = (
            f"\n{len(self.skipped)} further checks rest on these and were not judged." if self.skipped else ""
        )
        raise ConformanceError(
            f"{self.detector} fails {len(self.failures)} of {len(self.results)} checks of a detector:\n{listed}{more}"
        )

    def __str__(self) -> str:
        counts = {status: sum(r.status == status for r in self.results) for status in _SHOWN}
        summary = ", ".join(f"{n} {_SHOWN[s].lower()}" for s, n in counts.items() if n)
        return "\n".join([f"{self.detector}: {summary or 'no checks'}", *map(str, self.results)])
