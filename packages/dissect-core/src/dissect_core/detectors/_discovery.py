"""Detectors that installed packages offer, by entry point; nothing is imported before one is opened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, cast

from ..anatomy.components import near_matches
from ..errors import DetectorUnavailableError, UnknownDetectorError
from ..spec import DetectorSpec
from ._members import missing_members
from ._options import check_names, check_types
from ._protocol import Detector
from .trust import DetectorRequest, agreed_options

__all__ = ["DETECTORS", "InstalledDetector", "available_detectors", "open_detector"]

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
    return {name: _installed(name, entries) for name, entries in sorted(_entries().items())}


def open_detector(
    detector: str | DetectorSpec | DetectorRequest, /, *, trust: bool = False, **options: Any
) -> Detector:
    """Open a detector that an installed package offers.

    Parameters
    ----------
    detector : str, DetectorSpec or DetectorRequest
        Its name, such as ``"mmdet"``; or the ``detector`` of a study's spec, with options of its own; or such a
        spec with what the user says beside it.
    trust : bool
        Let it run code: whatever a spec asks for counts then, and the detector gets ``trust=True`` if it has such an
        option. Only for files whose maker you trust.
    **options
        What the detector needs: for ``"mmdet"`` config, checkpoint, device. They are your own word and come before
        those of a spec, so that one study runs on several machines:
        ``open_detector(spec.detector, device="cuda:0")``.

    Returns
    -------
    Detector

    Raises
    ------
    UnknownDetectorError
        If no installed package offers it; near matches and what is installed are named.
    DetectorUnavailableError
        If its package cannot be imported or lacks something, two packages offer the name, or what it opens is no
        detector; the package and the reason are named.
    DetectorOptionError
        If an option is unknown or missing; those that there are, are named.
    UntrustedError
        If a spec asks for something that may run code, and `trust` is not given: see `harmless_options`.

    Notes
    -----
    Errors of the detector's own, of a file that is no checkpoint for instance, come through as they are.

    Examples
    --------
    >>> open_detector("yolo-in-fortran")
    Traceback (most recent call last):
    dissect_core.errors.UnknownDetectorError: No detector is called 'yolo-in-fortran'. ...
    """
    request = _requested(detector, options, trust=trust)
    name, entries = request.named.adapter, _entries()
    if name not in entries:
        raise _unknown(name, list(entries))
    installed = _installed(name, entries[name])
    if installed.problem is not None:
        raise DetectorUnavailableError(f"The detector {name!r} cannot be opened: {installed.problem}")
    opener = _loaded(installed, entries[name][0])
    check_names(name, opener, {**request.named.options, **request.options})
    agreed = agreed_options(opener, request)
    check_types(name, opener, {option: agreed[option] for option in request.left_to_file})
    try:
        opened = opener(**agreed)
    except ImportError as error:
        raise _unavailable(installed, error) from error
    if missing := missing_members(opened):
        raise DetectorUnavailableError(
            f"The detector {name!r} of {installed.distribution} ({installed.opener}) gives an "
            f"object of type {type(opened).__name__} without {', '.join(map(repr, missing))}, which is no detector. "
            "Its package is to be mended: `check_detector` names all that a detector must do."
        )
    return cast("Detector", opened)


def _requested(
    detector: str | DetectorSpec | DetectorRequest, options: Mapping[str, Any], *, trust: bool
) -> DetectorRequest:
    if isinstance(detector, str):
        detector = DetectorSpec(adapter=detector)
    if isinstance(detector, DetectorSpec):
        detector = DetectorRequest(detector)
    return DetectorRequest(detector.named, {**detector.options, **options}, trust=trust or detector.trust)


def _entries() -> dict[str, list[EntryPoint]]:
    """Entry points by name; the same one found twice, along a path that holds a package twice, counts once."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=DETECTORS):
        known = found.setdefault(entry.name, [])
        if (entry.value, _distribution(entry)) not in [(e.value, _distribution(e)) for e in known]:
            known.append(entry)
    return found


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unnamed package"


def _installed(name: str, entries: list[EntryPoint]) -> InstalledDetector:
    opener, distribution = entries[0].value, _distribution(entries[0])
    if len(entries) > 1:
        both = ", ".join(f"{_distribution(e)} ({e.value})" for e in entries)
        problem: str | None = f"{len(entries)} packages offer it: {both}. Uninstall all but one of them."
    else:
        problem = _problem(entries[0], distribution)
    return InstalledDetector(name, opener, distribution, problem)


def _problem(entry: EntryPoint, distribution: str) -> str | None:
    """What is wrong with an entry point, as far as that shows without importing anything."""
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


def _unknown(name: str, known: list[str]) -> UnknownDetectorError:
    near = near_matches(name, known)
    hint = f"Near matches: {', '.join(map(repr, near))}. " if near else ""
    listed = (
        f"Installed are: {', '.join(map(repr, sorted(known)))}."
        if known
        else "None is installed; the package dissect-mmdet brings 'mmdet', for models of MMDetection."
    )
    return UnknownDetectorError(f"No detector is called {name!r}. {hint}{listed}")


def _loaded(installed: InstalledDetector, entry: EntryPoint) -> Callable[..., object]:
    try:
        opener: object = entry.load()
    except Exception as error:  # a plugin's module may fail in any way while it is imported
        raise _unavailable(installed, error) from error
    if not callable(opener):
        raise DetectorUnavailableError(
            f"The detector {installed.name!r} of {installed.distribution} cannot be opened: {installed.opener} "
            f"must be a function, it is of type {type(opener).__name__}. Its package is to be mended."
        )
    return opener


def _unavailable(installed: InstalledDetector, error: Exception) -> DetectorUnavailableError:
    what = f"{type(error).__name__}: {error}".rstrip(".")
    return DetectorUnavailableError(
        f"The detector {installed.name!r} of {installed.distribution} ({installed.opener}) does not work here: {what}. "
        f"Install what it needs, as that package's notes say, or mend or uninstall it."
    )
