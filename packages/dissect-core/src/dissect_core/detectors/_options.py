"""Options of a detector, looked at before it is opened: their names, and the types of those that a file sets."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from ..errors import DetectorOptionError
from ..text import quoted

__all__ = ["check_names", "check_types", "parameters_of"]


def parameters_of(opener: Callable[..., object]) -> Mapping[str, inspect.Parameter] | None:
    """Return the parameters of a function by name; None for built-in ones that have no signature to look at."""
    try:
        return inspect.signature(opener).parameters
    except (TypeError, ValueError):
        return None


def check_names(name: str, opener: Callable[..., object], options: Mapping[str, Any]) -> None:
    """Refuse options before anything is read: a raw ``TypeError`` would name neither detector nor remedy."""
    parameters = parameters_of(opener)
    if parameters is None:
        return
    by_name = [p for p in parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = [p.name for p in by_name]
    required = [p.name for p in by_name if p.default is p.empty]
    unknown = [] if takes_any else [option for option in options if option not in known]
    missing = [option for option in required if option not in options]
    if not unknown and not missing:
        return
    faults = [f"has no option {', '.join(map(repr, unknown))}"] if unknown else []
    faults += [f"needs {', '.join(map(repr, missing))}"] if missing else []
    listed = ", ".join(f"{option} (needed)" if option in required else option for option in known)
    raise DetectorOptionError(
        f"The detector {name!r} {' and '.join(faults)}. Its options are: {listed or 'none'}"
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


def _is_text(value: str) -> bool:
    """Whether it holds nothing that no file's name can hold: a NUL, or half of a character."""
    return "\0" not in value and value.encode(errors="ignore").decode() == value
