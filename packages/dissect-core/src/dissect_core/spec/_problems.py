"""Pydantic's errors in the terms of the file: the path to a field, the rule, the value, the remedy."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import ValidationError

from ..names import near_matches
from ..text import NAME_AT_MOST, quoted
from ._study import StudySpec

QUOTE = "'"
TAGS = ("unit", "by", "kind", "engine")


class Problem(NamedTuple):
    """A problem with one field of a spec.

    Attributes
    ----------
    path : tuple of (str or int)
        Keys and indices that lead to the field in the file; empty for the study as a whole.
    message : str
        The rule, the value and the remedy, as a sentence.
    """

    path: tuple[str | int, ...]
    message: str

    def __str__(self) -> str:
        text = ""
        for key in self.path:
            text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
        return f"{text or 'the study'}: {self.message}"


def find_problems(error: ValidationError, content: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Return a problem for each error of pydantic that is not a consequence of another, in the order of the fields."""
    problems = error.errors(include_url=False)
    # Pydantic also calls a list too short if its items are wrong: only the items are reported then.
    places = [problem["loc"] for problem in problems]
    real = [
        problem
        for problem in problems
        if problem["type"] != "too_short"
        or not any(
            len(p) > len(problem["loc"]) and p[: len(problem["loc"])] == problem["loc"] for p in places
        )
    ]
    return tuple(Problem(_path(problem, content), _describe(problem)) for problem in real)


def plain_rule(message: str) -> str:
    """Return a rule of pydantic in words that can follow the name of a field.

    Examples
    --------
    >>> plain_rule("Input should be greater than 0")
    'must be greater than 0'
    >>> plain_rule("Value error, must be `auto` or host:port")
    'must be `auto` or host:port'
    """
    return message.replace("Value error, ", "").replace("Input should be", "must be")


def _describe(problem: Any) -> str:
    """Return a sentence such as ``must be within 0 and 1, got 5. For 5 % write 0.05.``."""
    kind, given = problem["type"], problem["input"]
    last = str(problem["loc"][-1])[:NAME_AT_MOST] if problem["loc"] else ""
    message = plain_rule(str(problem["msg"]))
    if kind == "extra_forbidden":
        fields = _fields()
        near = get_close_matches(last, fields, n=1, cutoff=0.8) or near_matches(last, fields, n=1)
        elsewhere = bool(near) and near[0] == last
        message = "no such field"
        message += " here" if elsewhere else f"; did you mean {quoted(near[0])}?" if near else ""
    elif kind == "missing":
        message = "must be given"
    elif kind == "less_than_equal" and problem["ctx"]["le"] == 1:
        percent = (
            f" For {given:g} % write {given / 100:g}."
            if isinstance(given, (int, float)) and given <= 100
            else ""
        )
        message = f"must be within 0 and 1, got {given}.{percent}"
    elif kind == "union_tag_invalid":
        tag = problem["ctx"]
        close = get_close_matches(
            str(tag["tag"])[:NAME_AT_MOST], str(tag["expected_tags"]).replace("'", "").split(", "), n=1
        )
        message = (
            f"`{tag['discriminator'].strip(QUOTE)}` must be one of {tag['expected_tags']}, got {quoted(tag['tag'])}"
            + (f"; did you mean {quoted(close[0])}?" if close else "")
        )
    elif kind == "too_short":
        least, length = problem["ctx"]["min_length"], problem["ctx"]["actual_length"]
        message = f"must have at least {least}, got {length or 'none'}"
    elif kind == "string_pattern_mismatch" and last == "name":
        message = f"must be one line without a slash and without spaces at its ends, got {quoted(given)}"
    elif kind == "union_tag_not_found":
        message = f"must say `{problem['ctx']['discriminator'].strip(QUOTE)}`"
    elif not isinstance(given, (Mapping, list, tuple)):
        message += f", got {quoted(given)}"
    return message


def _path(problem: Any, content: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Return the path in the file, without the tags that pydantic adds for the members of a union."""
    path: tuple[str | int, ...] = ()
    value: Any = content
    tagged: Any = None
    for i, key in enumerate(problem["loc"]):
        # Pydantic puts a union's tag right behind the union's field; the tag may be spelt like a field of the member.
        if isinstance(value, dict) and value is not tagged and key in [value.get(name) for name in TAGS]:
            tagged = value
            continue
        held = (
            key in value
            if isinstance(value, dict)
            else isinstance(key, int) and isinstance(value, (list, tuple))
        )
        if held:
            value = value[key]
        elif problem["type"] != "missing" or i < len(problem["loc"]) - 1:
            continue
        path += (key,)
    return path


def _fields() -> list[str]:
    """Return the names of all fields of the format."""
    schema = StudySpec.model_json_schema()
    return sorted(
        {name for model in (schema, *schema["$defs"].values()) for name in model.get("properties", {})}
    )
