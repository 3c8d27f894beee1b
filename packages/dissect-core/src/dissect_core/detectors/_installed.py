"""What installed packages offer, by entry point; nothing is imported before it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from ..errors import DetectorUnavailableError

__all__ = [
    "DETECTORS",
    "InstalledDetector",
    "as_installed",
    "available_detectors",
    "entries_of",
    "entry_of",
    "loaded",
    "unavailable",
]

DETECTORS = "dissect.detectors"
"""Entry point group in which a package offers a function that opens a detector."""


@dataclass(frozen=True)
class InstalledDetector:
    """A detector that some installed package offers.

    Attributes
    ----------
    name : str
        What `open_detector` and a study's ``detector.adapter`` call it.
    opener : str
        The function that opens it, as ``"module:function"``.
    distribution : str
        The package that brings it, with its version.
    problem : str or None
        Why it cannot be opened, as far as that shows without importing anything; None if nothing is known.
    """

    name: str
    opener: str
    distribution: str
    problem: str | None = None


def available_detectors() -> dict[str, InstalledDetector]:
    """List the detectors that installed packages offer, by name; none of these packages is imported.

    Returns
    -------
    dict of str to InstalledDetector
        Sorted by name. An entry with a `problem` is there and cannot be opened.

    Examples
    --------
    >>> detectors = available_detectors()
    >>> all(name == detector.name for name, detector in detectors.items())
    True
    """
    return {name: as_installed(name, entries) for name, entries in sorted(entries_of(DETECTORS).items())}


def entry_of(group: str, name: str, what: str) -> Callable[..., object] | None:
    """Return what a package offers in a group under a name, imported; None if there is nothing.

    `what` begins the messages of what is wrong with it.
    """
    entries = entries_of(group)
    return loaded(what, as_installed(name, entries[name]), entries[name][0]) if name in entries else None


def entries_of(group: str) -> dict[str, list[EntryPoint]]:
    """Return entry points by name; the same one found twice, along a path that holds a package twice, counts once."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=group):
        known = found.setdefault(entry.name, [])
        if (entry.value, _distribution(entry)) not in [(e.value, _distribution(e)) for e in known]:
            known.append(entry)
    return found


def loaded(what: str, installed: InstalledDetector, entry: EntryPoint) -> Callable[..., object]:
    """Import the function of an entry point; `what` begins the messages."""
    if installed.problem is not None:
        raise DetectorUnavailableError(f"{what} cannot be opened: {installed.problem}")
    try:
        opener: object = entry.load()
    except Exception as error:  # a plugin's module may fail in any way while it is imported
        raise unavailable(what, installed, error) from error
    if not callable(opener):
        raise DetectorUnavailableError(
            f"{what} of {installed.distribution} cannot be opened: {installed.opener} "
            f"must be a function, it is of type {type(opener).__name__}. Report it to the makers of its package."
        )
    return opener


def unavailable(what: str, installed: InstalledDetector, error: Exception) -> DetectorUnavailableError:
    """Return the error of a package that fails here; `what` begins its message."""
    said = f"{type(error).__name__}: {error}".rstrip(".")
    return DetectorUnavailableError(
        f"{what} of {installed.distribution} ({installed.opener}) does not work here: {said}. "
        f"Install what it needs, as that package's notes say, or mend or uninstall it."
    )


def as_installed(name: str, entries: list[EntryPoint]) -> InstalledDetector:
    """Return what is known of a name without importing anything, from all entry points that bear it."""
    opener, distribution = entries[0].value, _distribution(entries[0])
    if len(entries) > 1:
        both = ", ".join(f"{_distribution(e)} ({e.value})" for e in entries)
        problem: str | None = f"{len(entries)} packages offer it: {both}. Uninstall all but one of them."
    else:
        problem = _problem(entries[0], distribution)
    return InstalledDetector(name, opener, distribution, problem)


def _problem(entry: EntryPoint, distribution: str) -> str | None:
    """Say what is wrong with an entry point, as far as this can be seen without importing it."""
    match = EntryPoint.pattern.match(entry.value)
    if match is None:
        return f"{distribution} offers {entry.value!r}, which is not of the form 'module:function'. Reinstall it."
    module = match.group("module").partition(".")[0]  # finding what lies deeper would import its parents
    try:
        found = find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        return f"the module {module!r} of {distribution} is not there. Reinstall or uninstall that package."
    return None


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unnamed package"
