"""Arguments of public functions, checked against the functions' annotations, so that a mistake ends in one sentence.

Without the check, a wrong argument would end deep inside, in an error that names neither the argument nor what it
takes, or would be taken for something else. Type checkers find such mistakes in files; at a prompt there is none.
"""

import functools
import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from numbers import Integral, Real
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from .errors import ArgumentError
from .names import near_hint
from .text import quoted

__all__ = ["check_value", "checked_arguments"]

P = ParamSpec("P")
R = TypeVar("R")

PATH_AT_MOST = 4095
NAME_AT_MOST = 255
"""Most bytes of a path, and of each name in it: Linux's limits, which are those of most file systems."""
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_WRONG = object()
"""What `_taken` returns for a value that an annotation does not take."""
_WORDS: Mapping[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    NoneType: "None",
    slice: "a slice",
    bytes: "bytes",
}
_SEVERAL: Mapping[Any, str] = {bool: "True and False", int: "whole numbers", float: "numbers", str: "texts"}


def checked_arguments(**remedies: str | None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a decorator that refuses arguments of a kind that a function's annotations do not name.

    Numbers and arrays of NumPy are handed on as Python's own. A text that stands for a path must be one that a file
    system takes. A parameter whose annotation cannot be read, as its names are imported for type checkers only, is not
    checked.

    Parameters
    ----------
    **remedies : str or None
        For names of parameters, what to write instead; None for those that the function looks at itself.

    Returns
    -------
    callable

    Raises
    ------
    ArgumentError
        By the decorated function. The message names the argument, what it takes, the value, and what is near it.

    Examples
    --------
    >>> @checked_arguments(n="n=10")
    ... def draw(n: int, by: Literal["row", "column"] = "row") -> None: ...
    >>> draw("3")
    Traceback (most recent call last):
    dissect_core.errors.ArgumentError: `n` must be a whole number, got '3': n=10.
    >>> draw(3, by="colum")
    Traceback (most recent call last):
    dissect_core.errors.ArgumentError: `by` must be one of 'row', 'column', got 'colum'. Near matches: 'column'.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        hints: dict[str, Any] = {}

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                return function(*args, **kwargs)  # Python's own error names what is missing or unknown
            if not hints:  # read at the first call, when all modules are loaded
                hints.update(_hints(function))
            for name, value in bound.arguments.items():
                remedy = remedies.get(name, "")
                if name in hints and remedy is not None and signature.parameters[name].kind not in _VARIABLE:
                    bound.arguments[name] = check_value(name, value, hints[name], remedy)
            return function(*bound.args, **bound.kwargs)

        return checked

    return decorate


def check_value(name: str, value: Any, hint: Any, remedy: str = "") -> Any:
    """Refuse a value of a kind that an annotation does not take.

    Parameters
    ----------
    name : str
        Of the argument or field, for the message.
    value : object
    hint : type or annotation
    remedy : str
        What to write instead.

    Returns
    -------
    object
        The value; a number or array of NumPy as Python's own.

    Raises
    ------
    ArgumentError
    """
    taken = _taken(value, hint)
    if taken is not _WRONG:
        return taken
    words = _in_words(hint)
    if _is_path(hint) and _stands_for_path(value):
        words += f" without NUL, with names of 1 to {NAME_AT_MOST} bytes"
    raise ArgumentError(
        f"`{name}` must be {words}, got {quoted(value)}{f': {remedy}' if remedy else ''}."
        + (near_hint(value, _choices(hint)) if isinstance(value, str) else "")
    )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a function's parameters, as far as they can be read."""
    try:
        return get_type_hints(function)
    except Exception:  # one of them names what is imported for type checkers only
        found = {}
        for name, hint in function.__annotations__.items():
            alone = type("Alone", (), {"__annotations__": {name: hint}, "__module__": function.__module__})
            try:
                found[name] = get_type_hints(alone, getattr(function, "__globals__", {}))[name]
            except Exception:
                continue
        return found


def _taken(value: Any, hint: Any) -> Any:
    """Return a value that an annotation takes, as Python's own; else `_WRONG`."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or isinstance(hint, TypeVar):
        return value
    if _is_path(hint) and _stands_for_path(value):
        return value if _can_be_path(value) and (origin or not isinstance(value, str)) else _WRONG
    if origin in (Union, UnionType):
        return next((found for one in inner if (found := _taken(value, one)) is not _WRONG), _WRONG)
    if origin is Literal:
        return value if any(type(value) is type(one) and value == one for one in inner) else _WRONG
    if hint is None or hint is NoneType:
        return value if value is None else _WRONG
    if hint in (bool, int, float):
        return _number(value, hint)
    kind = origin or hint
    if kind is Callable:
        return value if callable(value) else _WRONG
    if not isinstance(kind, type):
        return value
    if getattr(kind, "_is_protocol", False):  # what it lacks, the function says better than its name does
        return value if callable(value) or not _is_function(kind) else _WRONG
    if not _is_kind(value, kind):
        return _WRONG
    return _several(value, kind, inner)


def _number(value: Any, hint: type) -> Any:
    if isinstance(value, (bool, np.bool_)):
        return bool(value) if hint is bool else _WRONG
    if hint is int and isinstance(value, Integral):
        return int(value)
    if hint is float and isinstance(value, (Real, np.floating)):
        return value if type(value) in (int, float) else float(value)
    return _WRONG


def _is_kind(value: Any, kind: type) -> bool:
    if issubclass(kind, str):
        return isinstance(value, kind)
    if issubclass(kind, Collection) and not issubclass(kind, (Mapping, bytes)):
        # Any collection will do for another, but a text or a mapping is none of its characters or keys.
        return isinstance(value, Collection) and not isinstance(value, (str, bytes, Mapping))
    if kind is Iterable:
        return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
    return isinstance(value, kind)


def _several(value: Any, kind: type, inner: tuple[Any, ...]) -> Any:
    """Look at the members of a collection, if the annotation says of what kind they are."""
    if issubclass(kind, Mapping) and len(inner) == 2:
        good = all(
            _taken(k, inner[0]) is not _WRONG and _taken(v, inner[1]) is not _WRONG for k, v in value.items()
        )
        return value if good else _WRONG
    members = [one for one in inner if one is not Ellipsis]
    if not isinstance(value, Collection) or issubclass(kind, (str, Mapping)) or len(members) != 1:
        return value
    if isinstance(value, np.ndarray):
        value = value.tolist()
        if not isinstance(value, list):
            return _WRONG  # an array without dimensions is a number
    return value if all(_taken(one, members[0]) is not _WRONG for one in value) else _WRONG


def _is_path(hint: Any) -> bool:
    """Return whether an annotation is `Path`, or has it, or any path-like object, among its parts."""
    kind = get_origin(hint) or hint
    if kind in (Union, UnionType):
        return any(map(_is_path, get_args(hint)))
    return isinstance(kind, type) and issubclass(kind, (PurePath, os.PathLike))


def _stands_for_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike)) or _is_remote(value)


def _is_remote(value: Any) -> bool:
    """Return whether a value is the location of an object store, as `dissect_core.storage.location_of` gives it."""
    return hasattr(value, "protocol") and hasattr(value, "joinpath")


def _can_be_path(value: Any) -> bool:
    """Return whether a file system can have a path: not empty, without NUL, and not too long."""
    if _is_remote(value):
        return True
    try:
        path = os.fsencode(value)
    except (TypeError, ValueError):
        return False
    parts = path.replace(b"\\", b"/").split(b"/")
    return (
        bool(path)
        and b"\0" not in path
        and len(path) <= PATH_AT_MOST
        and max(map(len, parts)) <= NAME_AT_MOST
    )


def _is_function(protocol: type) -> bool:
    """Return whether a protocol is that of a function."""
    return getattr(protocol, "_is_protocol", False) and "__call__" in vars(protocol)


def _choices(hint: Any) -> list[str]:
    """Return the texts among which an annotation lets one choose."""
    if get_origin(hint) is Literal:
        return [one for one in get_args(hint) if isinstance(one, str)]
    return [one for part in get_args(hint) for one in _choices(part)]


def _in_words(hint: Any) -> str:
    """Say what an annotation takes."""
    if get_origin(hint) not in (Union, UnionType):
        return _one_in_words(hint)
    arms = list(get_args(hint))
    words = []
    if _is_path(hint):
        arms = [one for one in arms if one is not str and not _is_path(one)]
        words = ["a path"]
    words += [_one_in_words(one) for one in arms if one is not NoneType] + ["None"] * (NoneType in arms)
    words = list(dict.fromkeys(words))
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def _one_in_words(hint: Any) -> str:
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is Literal:
        return f"one of {', '.join(map(repr, inner))}"
    if kind in _WORDS:
        return _WORDS[kind]
    if _is_path(kind):
        return "a path"
    if kind is Callable or _is_function(kind):
        return "a function"
    name = getattr(kind, "__name__", str(kind))
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return "a mapping"
    if (
        isinstance(kind, type)
        and issubclass(kind, Iterable)
        and kind.__module__ in ("collections.abc", "builtins")
    ):
        members = [one for one in inner if one is not Ellipsis]
        if len(members) != 1:
            return "a list"
        return f"a list of {'paths' if _is_path(members[0]) else _SEVERAL.get(members[0], 'objects')}"
    return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"
