"""Opening of detectors and data that installed packages offer or contain, by name, with options."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import Parameter
from pathlib import Path
from typing import Any, cast

from ..errors import DetectorOptionError, DetectorUnavailableError, UnknownDataError, UnknownDetectorError
from ..names import near_matches
from ..spec import DetectorSpec
from ..text import quoted
from ._installed import DETECTORS, InstalledDetector, as_installed, entries_of, loaded, unavailable
from ._options import check_names, check_types, parameters_of, read_value, whole_path
from ._protocol import Detector, missing_members
from .trust import DetectorRequest, agreed_options

__all__ = [
    "bundled_data",
    "bundled_detector",
    "open_detector",
    "option_names",
    "options_of",
    "read_options",
    "with_whole_paths",
]

BUNDLED = "dissect.bundled"
"""Entry point group in which a package offers a detector that it contains: a function that gives its `DetectorSpec`."""
DATA = "dissect.data"
"""Entry point group in which a package offers images: a function that gives an annotation file and an image folder."""
DEMO = "demo:"
"""Beginning of the names of detectors and images that installed packages contain."""

_NOT_GIVEN: Any = object()


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
    what = f"The detector {quoted(name)}"
    if source is not _NOT_GIVEN:
        first = _first_option(name, opener, options)
        request = replace(request, options={first: source, **request.options})
    agreed = _agreed(opener, request)
    try:
        opened = opener(**agreed)
    except ImportError as error:
        raise unavailable(what, installed, error) from error
    if missing := missing_members(opened):
        raise DetectorUnavailableError(
            f"The detector {quoted(name)} of {installed.distribution} ({installed.opener}) gives an "
            f"object of type {type(opened).__name__} without {', '.join(map(repr, missing))}, which is no detector. "
            "Its package needs mending: `check_detector` names all that a detector must do."
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


def _opener(name: str) -> tuple[InstalledDetector, Callable[..., object]]:
    """Return a detector that is installed, and the function that opens it."""
    entries = entries_of(DETECTORS)
    if name not in entries:
        raise _unknown(name, list(entries))
    installed = as_installed(name, entries[name])
    return installed, loaded(f"The detector {quoted(name)}", installed, entries[name][0])


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
            f"The bundled detector {quoted(name)} must be given as a DetectorSpec, got an object of type "
            f"{type(spec).__name__}. Report it to the makers of its package."
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
            f"The bundled data {quoted(name)} must be given as an annotation file and an image folder, got an "
            f"object of type {type(found).__name__}. Report it to the makers of its package."
        ) from error
    return annotations, images


def _given(
    name: str, group: str, what: str, unknown: type[UnknownDetectorError | UnknownDataError]
) -> object:
    """Call the function that a package offers in a group under a name that begins with ``demo:``."""
    entries = entries_of(group)
    short = name.removeprefix(DEMO)
    if short not in entries:
        known = [f"{DEMO}{one}" for one in entries]
        verb = "are" if what.endswith("data") else "is"
        raise unknown(
            f"No {what} {verb} called {quoted(name)}. {_remedy(name, known, 'the package dissect-mmdet brings some')}"
        )
    installed = as_installed(name, entries[short])
    titled = f"The {what} {quoted(name)}"
    function = loaded(titled, installed, entries[short][0])
    try:
        return function()
    except ImportError as error:
        raise unavailable(titled, installed, error) from error


def _requested(
    detector: str | DetectorSpec | DetectorRequest, options: Mapping[str, Any], *, trust: bool
) -> DetectorRequest:
    if isinstance(detector, str):
        detector = DetectorSpec(adapter=detector)
    if isinstance(detector, DetectorSpec):
        detector = DetectorRequest(detector)
    if not isinstance(detector, DetectorRequest):
        raise UnknownDetectorError(
            f"`detector` must be a name, such as 'mmdet' or 'demo:detr', a DetectorSpec or a DetectorRequest, got "
            f"{quoted(detector)}."
        )
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
            f"The detector {quoted(name)} has no named option, which a second argument would set: leave it out."
        )
    if first in options:
        raise DetectorOptionError(
            f"The detector {quoted(name)} was given its option {quoted(first)} twice, as second argument and as "
            f"`{first}=`: leave one of them out."
        )
    return first


def _unknown(name: str, known: list[str]) -> UnknownDetectorError:
    brings = "the package dissect-mmdet brings 'mmdet', for models of MMDetection"
    return UnknownDetectorError(f"No detector is called {quoted(name)}. {_remedy(name, known, brings)}")


def _remedy(name: str, known: list[str], brings: str) -> str:
    """Name near matches and what is installed, or the package to install."""
    if not known:
        return f"None is installed; {brings}."
    near = near_matches(name, known)
    hint = f"Near matches: {', '.join(map(quoted, near))}. " if near else ""
    return f"{hint}Installed are: {', '.join(map(repr, sorted(known)))}."
