"""Detectors and data that installed packages offer, by entry point; nothing is imported before one is opened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from inspect import Parameter
from pathlib import Path
from typing import Any, cast

from ..errors import DetectorOptionError, DetectorUnavailableError, UnknownDataError, UnknownDetectorError
from ..names import near_matches
from ..spec import DetectorSpec
from ._options import check_names, check_types, parameters_of, read_value, whole_path
from ._protocol import Detector, missing_members
from .trust import DetectorRequest, agreed_options

__all__ = [
    "DETECTORS",
    "InstalledDetector",
    "available_detectors",
    "bundled_data",
    "bundled_detector",
    "entry_of",
    "open_detector",
    "option_names",
    "options_of",
    "read_options",
    "with_whole_paths",
]

DETECTORS = "dissect.detectors"
"""Entry point group in which a package offers a function that opens a detector."""
BUNDLED = "dissect.bundled"
"""Entry point group in which a package offers a detector that it contains: a function that gives its `DetectorSpec`."""
DATA = "dissect.data"
"""Entry point group in which a package offers images: a function that gives an annotation file and an image folder."""
DEMO = "demo:"
"""Beginning of the names of detectors and images that installed packages contain."""

_NOT_GIVEN: Any = object()


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
    return {name: _installed(name, entries) for name, entries in sorted(_entries(DETECTORS).items())}


def open_detector(
    detector: str | DetectorSpec | DetectorRequest,
    source: Any = _NOT_GIVEN,
    /,
    *,
    trust: bool = False,
    **options: Any,
) -> Detector:
    """Open a detector that an installed package offers.

    Parameters
    ----------
    detector : str, DetectorSpec or DetectorRequest
        Its name, such as ``"mmdet"``; the name of one that a package contains, such as ``"demo:detr"``; or the
        ``detector`` of a study's spec, with options of its own; or such a spec with what the user says beside it.
    source : optional
        Value of the first option that the detector has, for ``"mmdet"`` the checkpoint:
        ``open_detector("mmdet", "detr.pth")``.
    trust : bool
        Let it run code: whatever a spec asks for counts then, and the detector gets ``trust=True`` if it has such an
        option. Only for files whose maker you trust.
    **options
        What the detector needs: for ``"mmdet"`` checkpoint, config, device. They are your own word and come before
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
        If an option is unknown, missing or given twice; those that there are, are named.
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
    name = request.named.adapter
    installed, opener = _opener(name)
    what = f"The detector {name!r}"
    if source is not _NOT_GIVEN:
        first = _first_option(name, opener, options)
        request = replace(request, options={first: source, **request.options})
    agreed = _agreed(opener, request)
    try:
        opened = opener(**agreed)
    except ImportError as error:
        raise _unavailable(what, installed, error) from error
    if missing := missing_members(opened):
        raise DetectorUnavailableError(
            f"The detector {name!r} of {installed.distribution} ({installed.opener}) gives an "
            f"object of type {type(opened).__name__} without {', '.join(map(repr, missing))}, which is no detector. "
            "Its package is to be mended: `check_detector` names all that a detector must do."
        )
    return cast("Detector", opened)


def options_of(detector: str | DetectorSpec | DetectorRequest, /) -> dict[str, Any]:
    """Return what a detector would be opened with, checked as `open_detector` checks it; nothing is opened.

    Parameters
    ----------
    detector : str, DetectorSpec or DetectorRequest
        As for `open_detector`, which says what is raised.

    Examples
    --------
    >>> options_of("demo:detr")  # doctest: +SKIP
    {'checkpoint': 'demo:detr'}
    """
    request = _requested(detector, {}, trust=False)
    return _agreed(_opener(request.named.adapter)[1], request)


def read_options(adapter: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return options of a detector from text, such as ``key=value`` on a command line gives it.

    A text is read as YAML, as far as that is what the function that opens the detector takes; else it stays text.

    Parameters
    ----------
    adapter : str
        Name of the detector.
    texts : mapping of str to str
        By the names of options.

    Raises
    ------
    DetectorOptionError
        If the detector has no such option, whose near matches are named, or takes no such value.

    Examples
    --------
    >>> read_options("mmdet", {"device": "cuda:0", "allow_missing": "true"})  # doctest: +SKIP
    {'device': 'cuda:0', 'allow_missing': True}
    """
    opener = _opener(adapter)[1]
    check_names(adapter, opener, texts, complete=False)
    return {name: read_value(adapter, opener, name, text) for name, text in texts.items()}


def option_names(adapter: str) -> tuple[str, ...]:
    """Return the names of a detector's options.

    Parameters
    ----------
    adapter : str
        Name of the detector.

    Examples
    --------
    >>> "checkpoint" in option_names("mmdet")  # doctest: +SKIP
    True
    """
    return tuple(parameters_of(_opener(adapter)[1]) or ())


def with_whole_paths(request: DetectorRequest) -> DetectorRequest:
    """Return a request that names files by their whole paths: workers on a cluster do not stand in this folder.

    Parameters
    ----------
    request : DetectorRequest

    Returns
    -------
    DetectorRequest
        What is a text stays one. Names that are no file here, of bundled detectors for instance, stay as they are.

    Examples
    --------
    >>> request = DetectorRequest(DetectorSpec(adapter="mmdet"), {"checkpoint": "detr.pth"})  # doctest: +SKIP
    >>> with_whole_paths(request).options  # doctest: +SKIP
    {'checkpoint': '/home/me/detr.pth'}
    """
    opener = _opener(request.named.adapter)[1]
    named = {name: whole_path(opener, name, value) for name, value in request.named.options.items()}
    own = {name: whole_path(opener, name, value) for name, value in request.options.items()}
    return replace(request, named=request.named.model_copy(update={"options": named}), options=own)


def entry_of(group: str, name: str, what: str) -> Callable[..., object] | None:
    """Return what a package offers in a group under a name, imported; None if there is nothing.

    `what` begins the messages of what is wrong with it.
    """
    entries = _entries(group)
    return _loaded(what, _installed(name, entries[name]), entries[name][0]) if name in entries else None


def _opener(name: str) -> tuple[InstalledDetector, Callable[..., object]]:
    """Return a detector that is installed, and the function that opens it."""
    entries = _entries(DETECTORS)
    if name not in entries:
        raise _unknown(name, list(entries))
    installed = _installed(name, entries[name])
    return installed, _loaded(f"The detector {name!r}", installed, entries[name][0])


def _agreed(opener: Callable[..., object], request: DetectorRequest) -> dict[str, Any]:
    """Return the options that a detector is opened with, or refuse them."""
    name = request.named.adapter
    check_names(name, opener, {**request.named.options, **request.options})
    agreed = agreed_options(opener, request)
    check_types(name, opener, {option: agreed[option] for option in request.left_to_file})
    return agreed


def bundled_detector(name: str) -> DetectorSpec:
    """Return how to open a detector that an installed package contains.

    Parameters
    ----------
    name : str
        Such as ``"demo:detr"``.

    Raises
    ------
    UnknownDetectorError
        If no installed package contains it; near matches and those that there are, are named.
    DetectorUnavailableError
        If its package cannot be imported, two packages offer the name, or it gives no `DetectorSpec`.

    Examples
    --------
    >>> bundled_detector("demo:yolo-in-fortran")
    Traceback (most recent call last):
    dissect_core.errors.UnknownDetectorError: No bundled detector is called 'demo:yolo-in-fortran'. ...
    """
    spec = _given(name, BUNDLED, "bundled detector", UnknownDetectorError)
    if not isinstance(spec, DetectorSpec):
        raise DetectorUnavailableError(
            f"The bundled detector {name!r} must be given as a DetectorSpec, got an object of type "
            f"{type(spec).__name__}. Its package is to be mended."
        )
    return spec


def bundled_data(name: str) -> tuple[Path, Path]:
    """Return the annotation file and the image folder of data that an installed package contains or draws.

    Parameters
    ----------
    name : str
        Such as ``"demo:scenes"``.

    Raises
    ------
    UnknownDataError
        If no installed package offers it; near matches and those that there are, are named.
    DetectorUnavailableError
        If its package cannot be imported, two packages offer the name, or it gives no two paths.

    Notes
    -----
    Errors of the package's own, of a full disk for instance, come through as they are.

    Examples
    --------
    >>> bundled_data("demo:holiday-pictures")
    Traceback (most recent call last):
    dissect_core.errors.UnknownDataError: No bundled data are called 'demo:holiday-pictures'. ...
    """
    found = _given(name, DATA, "bundled data", UnknownDataError)
    try:
        annotations, images = map(Path, cast("tuple[str, str]", found))
    except (TypeError, ValueError) as error:
        raise DetectorUnavailableError(
            f"The bundled data {name!r} must be given as an annotation file and an image folder, got an object of type "
            f"{type(found).__name__}. Its package is to be mended."
        ) from error
    return annotations, images


def _given(
    name: str, group: str, what: str, unknown: type[UnknownDetectorError | UnknownDataError]
) -> object:
    """Call the function that a package offers in a group under a name that begins with ``demo:``."""
    entries = _entries(group)
    short = name.removeprefix(DEMO)
    if short not in entries:
        known = [f"{DEMO}{one}" for one in entries]
        verb = "are" if what.endswith("data") else "is"
        raise unknown(
            f"No {what} {verb} called {name!r}. {_remedy(name, known, 'the package dissect-mmdet brings some')}"
        )
    installed = _installed(name, entries[short])
    titled = f"The {what} {name!r}"
    function = _loaded(titled, installed, entries[short][0])
    try:
        return function()
    except ImportError as error:
        raise _unavailable(titled, installed, error) from error


def _requested(
    detector: str | DetectorSpec | DetectorRequest, options: Mapping[str, Any], *, trust: bool
) -> DetectorRequest:
    if isinstance(detector, str):
        detector = DetectorSpec(adapter=detector)
    if isinstance(detector, DetectorSpec):
        detector = DetectorRequest(detector)
    named, bundled = detector.named, {}
    if named.adapter.startswith(DEMO):
        # What an installed package says of a detector of its own is not a stranger's file: it counts as the user's.
        spec = bundled_detector(named.adapter)
        named, bundled = DetectorSpec(adapter=spec.adapter, options=named.options), spec.options
    return DetectorRequest(named, {**bundled, **detector.options, **options}, trust=trust or detector.trust)


def _first_option(name: str, opener: Callable[..., object], options: Mapping[str, Any]) -> str:
    """Return the name of an opener's first option, which a second positional argument stands for."""
    named = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    first = next((one.name for one in (parameters_of(opener) or {}).values() if one.kind in named), None)
    if first is None:
        raise DetectorOptionError(
            f"The detector {name!r} has no named option, so that a second argument says nothing: leave it out."
        )
    if first in options:
        raise DetectorOptionError(
            f"The detector {name!r} was given its option {first!r} twice, as second argument and as `{first}=`: "
            "leave one of them out."
        )
    return first


def _entries(group: str) -> dict[str, list[EntryPoint]]:
    """Return entry points by name; the same one found twice, along a path that holds a package twice, counts once."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=group):
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
    """Return what is wrong with an entry point, as far as that shows without importing anything."""
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
    brings = "the package dissect-mmdet brings 'mmdet', for models of MMDetection"
    return UnknownDetectorError(f"No detector is called {name!r}. {_remedy(name, known, brings)}")


def _remedy(name: str, known: list[str], brings: str) -> str:
    """Name near matches and what is installed, or the package to install."""
    if not known:
        return f"None is installed; {brings}."
    near = near_matches(name, known)
    hint = f"Near matches: {', '.join(map(repr, near))}. " if near else ""
    return f"{hint}Installed are: {', '.join(map(repr, sorted(known)))}."


def _loaded(what: str, installed: InstalledDetector, entry: EntryPoint) -> Callable[..., object]:
    """Import the function of an entry point; `what` begins the messages."""
    if installed.problem is not None:
        raise DetectorUnavailableError(f"{what} cannot be opened: {installed.problem}")
    try:
        opener: object = entry.load()
    except Exception as error:  # a plugin's module may fail in any way while it is imported
        raise _unavailable(what, installed, error) from error
    if not callable(opener):
        raise DetectorUnavailableError(
            f"{what} of {installed.distribution} cannot be opened: {installed.opener} "
            f"must be a function, it is of type {type(opener).__name__}. Its package is to be mended."
        )
    return opener


def _unavailable(what: str, installed: InstalledDetector, error: Exception) -> DetectorUnavailableError:
    said = f"{type(error).__name__}: {error}".rstrip(".")
    return DetectorUnavailableError(
        f"{what} of {installed.distribution} ({installed.opener}) does not work here: {said}. "
        f"Install what it needs, as that package's notes say, or mend or uninstall it."
    )
