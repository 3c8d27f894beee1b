"""Who may let code run: the user, on the command line or by an argument, never a study's file or folder.

This is the one place that decides it. A detector's package only says which of its options are harmless, by
`harmless_options`; a file may set those. Whatever else a file asks for counts once the user agrees.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import UntrustedError
from ..spec import DetectorSpec, Execution, RayExecution
from ..text import quoted
from ._options import parameters_of

__all__ = ["DetectorRequest", "agreed_execution", "agreed_options", "harmless_options"]

ALWAYS_ASKED = frozenset({"trust", "trust_remote_code", "custom_imports"})
"""Options that let code run in whatever package has them."""

_TOLD = "harmless_options"
_PLAIN = (bool, int, float, str, type(None))
_Opener = TypeVar("_Opener", bound=Callable[..., object])


@dataclass(frozen=True)
class DetectorRequest:
    """Which detector to open, and whose word each part of that is.

    It is what `dissect_core.engine.run` hands to workers, which go by the user's word as well.

    Attributes
    ----------
    named : DetectorSpec
        What a study's file or folder says: it may set harmless options only.
    options : mapping
        What the user says himself, which comes before it.
    trust : bool
        Whether the user lets it run code: whatever `named` asks for counts, and the detector gets ``trust=True``
        if it has such an option.

    Examples
    --------
    >>> named = DetectorSpec(adapter="mmdet", options={"checkpoint": "detr.pth"})
    >>> DetectorRequest(named, {"device": "cuda:0"}).trust
    False
    """

    named: DetectorSpec
    options: Mapping[str, Any] = field(default_factory=dict)
    trust: bool = False

    @property
    def left_to_file(self) -> dict[str, Any]:
        """Options of the file that the user has not set himself."""
        return {name: value for name, value in self.named.options.items() if name not in self.options}


def harmless_options(*names: str) -> Callable[[_Opener], _Opener]:
    """Declare which options of a function that opens a detector a stranger's file may set.

    Harmless is what lets no code run, whatever its value: not a program's name, nor what switches a check off. A
    function that does not say so may be given numbers by a file, and nothing else.

    Parameters
    ----------
    *names : str
        Names of options. The file may set others to their defaults only.

    Raises
    ------
    ValueError
        When the package is imported: if the function has no such option, or it can never be harmless.

    Examples
    --------
    >>> @harmless_options("checkpoint", "device")
    ... def open_mine(*, checkpoint, device="cpu", plugin=None): ...
    >>> request = DetectorRequest(DetectorSpec(adapter="mine", options={"checkpoint": "a.npz", "plugin": "evil.py"}))
    >>> agreed_options(open_mine, request)
    Traceback (most recent call last):
    dissect_core.errors.UntrustedError: The study's `detector.options` say 'plugin': 'evil.py', which may run code. ...
    """

    def told(opener: _Opener) -> _Opener:
        known = inspect.signature(opener).parameters
        wrong = [name for name in names if name not in known or name in ALWAYS_ASKED]
        if wrong:
            raise ValueError(
                f"`harmless_options` must name options of {opener!r} that let no code run, got {', '.join(wrong)}."
            )
        setattr(opener, _TOLD, frozenset(names))
        return opener

    return told


def agreed_options(opener: Callable[..., object], request: DetectorRequest) -> dict[str, Any]:
    """Return the options to open a detector with: the user's own, and those of a file that the user agrees to.

    Parameters
    ----------
    opener : callable
        What opens it.
    request : DetectorRequest

    Returns
    -------
    dict

    Raises
    ------
    UntrustedError
        If the file asks for something that may run code, and the user has not agreed.
    """
    named = request.left_to_file
    if not request.trust:
        asked = [name for name, value in named.items() if not _is_harmless(opener, name, value)]
        if asked:
            raise _refused({name: named[name] for name in asked})
    options = {**named, **request.options}
    return (
        {**options, "trust": True} if request.trust and "trust" in (parameters_of(opener) or {}) else options
    )


def agreed_execution(named: Execution, *, trust: bool = False) -> Execution:
    """Return where a study's file says that it is computed, if the user agrees to join a cluster that it names.

    Whoever leads a Ray cluster can run code on every machine that joins it. ``auto``, and a cluster that the user's
    own environment names, are his.

    Parameters
    ----------
    named : LocalExecution or RayExecution
    trust : bool
        Whether the user agrees.

    Returns
    -------
    LocalExecution or RayExecution
        The same.

    Raises
    ------
    UntrustedError
        If it names a cluster by its address, and the user has not agreed.

    Examples
    --------
    >>> agreed_execution(RayExecution(engine="ray", address="auto")).engine
    'ray'
    >>> agreed_execution(RayExecution(engine="ray", address="10.0.0.7:6379"))
    Traceback (most recent call last):
    dissect_core.errors.UntrustedError: The study's `execution.address` is '10.0.0.7:6379', and a cluster can ...
    """
    if isinstance(named, RayExecution) and named.address not in (None, "auto", "local") and not trust:
        asked = f"`execution.address` is {quoted(named.address)}, and a cluster can run code on machines that join it"
        raise UntrustedError(
            f"The study's {asked}. Only you can choose one: give --address (`execution=`) yourself, or say --trust if "
            "you trust whoever made the study.",
            asked,
        )
    return named


def _refused(options: Mapping[str, Any]) -> UntrustedError:
    said = ", ".join(f"{quoted(name)}: {quoted(options[name])}" for name in list(options)[:3])
    asked = f"`detector.options` say {said}, which may run code"
    flags = ["--config"] * ("config" in options) + ["--custom-imports"] * ("custom_imports" in options)
    own = f", or give your own {' and '.join(flags)}" if len(flags) == len(options) else ""
    return UntrustedError(
        f"The study's {asked}. A study cannot allow that, only you can: say --trust (`trust=True`) if you trust "
        f"whoever made it{own}.",
        asked,
    )


def _is_harmless(opener: Callable[..., object], name: str, value: Any) -> bool:
    parameter = (parameters_of(opener) or {}).get(name)
    if parameter is not None and _is_default(value, parameter.default):
        return True
    if name in ALWAYS_ASKED:
        return False
    told = getattr(opener, _TOLD, None)
    if told is None:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return name in told


def _is_default(value: Any, default: Any) -> bool:
    """Return whether an option is as if it were left out: an empty list in a file stands for an empty tuple."""
    if isinstance(value, (list, tuple)) and isinstance(default, (list, tuple)):
        return not value and not default
    return type(value) is type(default) and isinstance(value, _PLAIN) and value == default
