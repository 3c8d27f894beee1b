"""Options of a detector, looked at before it is opened: their names, and the types of those that a file sets."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from ..errors import DetectorOptionError
from ..names import near_matches
from ..text import quoted

__all__ = ["check_names", "check_types", "parameters_of", "read_value", "whole_path"]


def parameters_of(opener: Callable[..., object]) -> Mapping[str, inspect.Parameter] | None:
    """Return the parameters of a function by name; None for built-in ones that have no signature to look at."""
    try:
        return inspect.signature(opener).parameters
    except (TypeError, ValueError):
        return None


def check_names(
    name: str, opener: Callable[..., object], options: Mapping[str, Any], *, complete: bool = True
) -> None:
    """Refuse options that a detector has not, or lacks where they must be `complete`, before anything is read.

    A raw ``TypeError`` would name neither detector nor remedy.
    """
    parameters = parameters_of(opener)
    if parameters is None:
        return
    by_name = [p for p in parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = [p.name for p in by_name]
    required = [p.name for p in by_name if p.default is p.empty]
    unknown = [] if takes_any else [option for option in options if option not in known]
    missing = [option for option in required if option not in options] if complete else []
    if not unknown and not missing:
        return
    faults = [f"has no option {', '.join(map(repr, unknown))}"] if unknown else []
    faults += [f"needs {', '.join(map(repr, missing))}"] if missing else []
    near = {option: near_matches(option, known) for option in unknown}
    hints = "".join(f" Near matches of {one!r}: {', '.join(names)}." for one, names in near.items() if names)
    listed = ", ".join(f"{option} (needed)" if option in required else option for option in known)
    raise DetectorOptionError(
        f"The detector {name!r} {' and '.join(faults)}.{hints} Its options are: {listed or 'none'}"
        f"{', and any other' if takes_any else ''}."
    )


def check_types(name: str, opener: Callable[..., object], options: Mapping[str, Any]) -> None:
    """Refuse what a file says of options if it is no text, or not of the type that the function's annotations have."""
    for option, value in options.items():
        if isinstance(value, str) and not _is_text(value):
            raise DetectorOptionError(
                f"The detector {name!r} takes for its option {option!r} text that can be written, got {quoted(value)}."
            )
    try:
        hints = get_type_hints(opener)
    except Exception:  # annotations of a plugin may be anything
        return
    for option in hints.keys() & options:
        hint, value = hints[option], options[option]
        try:
            TypeAdapter(hint).validate_python(value, strict=True)
        except ValidationError as error:
            raise DetectorOptionError(
                f"The detector {name!r} takes for its option {option!r} {inspect.formatannotation(hint)}, got "
                f"{quoted(value)}."
            ) from error
        except PydanticUserError:
            continue  # a type that can be looked at by nobody but the plugin


def read_value(name: str, opener: Callable[..., object], option: str, text: str) -> Any:
    """Return an option's value from text: read as YAML, where the function takes that, else the text itself.

    Examples
    --------
    >>> from collections.abc import Sequence
    >>> def open_mine(*, size: int | None = None, title: str = "", plugins: Sequence[str] = (), scale: float = 1): ...
    >>> [read_value("mine", open_mine, *one) for one in (("size", "8"), ("size", "null"), ("title", "8"))]
    [8, None, '8']
    >>> read_value("mine", open_mine, "plugins", "[a, b]"), read_value("mine", open_mine, "scale", "1e-3")
    (['a', 'b'], 0.001)
    >>> read_value("mine", open_mine, "size", "large")
    Traceback (most recent call last):
    dissect_core.errors.DetectorOptionError: The detector 'mine' takes for its option 'size' int | None, got 'large'.
    """
    value = _plain(text)
    try:
        hint = get_type_hints(opener).get(option, Any)
        kind: TypeAdapter[Any] = TypeAdapter(hint)
    except Exception:  # annotations of a plugin may be anything
        return value
    for candidate, strict in ((value, True), (text, True), (text, False)):
        try:
            kind.validate_python(candidate, strict=strict)
        except ValidationError:
            continue
        return candidate if strict else kind.validate_python(candidate)
    raise DetectorOptionError(
        f"The detector {name!r} takes for its option {option!r} {inspect.formatannotation(hint)}, got {quoted(text)}."
    )


def whole_path(opener: Callable[..., object], option: str, value: Any) -> Any:
    """Return an option's value; the whole path if it names a file or folder that is there, and the option takes paths.

    Examples
    --------
    >>> def open_mine(*, folder: Path | str, device: str): ...
    >>> whole_path(open_mine, "folder", ".") == str(Path.cwd()), whole_path(open_mine, "device", ".")
    (True, '.')
    """
    if not isinstance(value, (str, Path)) or not str(value):
        return value
    try:
        takes_paths = isinstance(value, Path) or _names_path(get_type_hints(opener).get(option))
        return str(Path(value).absolute()) if takes_paths and Path(value).exists() else value
    except Exception:  # annotations of a plugin may be anything, and a name too long for a file's
        return value


def _names_path(hint: Any) -> bool:
    """Return whether an annotation is `Path`, or has it among its parts."""
    return hint is Path or any(map(_names_path, get_args(hint)))


def _plain(text: str) -> Any:
    """Read a value from a YAML text; return the text itself if it is not YAML."""
    try:
        import yaml

        return yaml.safe_load(text)
    except Exception:  # PyYAML is missing, or stops at a tag in ways of its own
        return text


def _is_text(value: str) -> bool:
    """Return whether a text can be written to a file: it holds no NUL, and no half of a character."""
    return "\0" not in value and value.encode(errors="ignore").decode() == value
