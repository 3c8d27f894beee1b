"""Read YAML and JSON as plain data, and refuse a key that is given twice: their own readers keep the last value."""

import json
import re
from typing import Any

from ..errors import SpecError

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]')
"""Strings, brackets and colons of JSON: they show its levels and keys; numbers, commas and constants do not."""


def yaml_content(text: str, where: str) -> Any:
    """Return the content of a YAML text. No code in it is run.

    Raises
    ------
    SpecError
        If a mapping gives a key twice; a key that `<<` merges in may be given again, as YAML allows.
    ValueError
        If a value is not what its tag says.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        # Keys are checked where nodes are made: when nodes become dicts, merged keys have been mixed in.
        def compose_mapping_node(self, anchor: Any) -> Any:
            node = super().compose_mapping_node(anchor)
            lines: dict[tuple[str, str], int] = {}
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    _note(lines, (key.tag, key.value), str(key.value), key.start_mark.line + 1, where)
            return node

    loader = Loader(text)
    try:
        return loader.get_single_data()
    except (LookupError, AttributeError, TypeError) as error:  # PyYAML's own, as for `!!bool x`
        raise ValueError("a value is not what its tag says") from error
    finally:
        loader.dispose()


def json_content(text: str, where: str) -> Any:
    """Return the content of a JSON text.

    Raises
    ------
    SpecError
        If an object gives a key twice.
    ValueError
        If the text is not JSON.
    """
    content = json.loads(text)
    levels: list[dict[str, int]] = []
    word, line, seen = "", 1, 0
    for token in _TOKEN.finditer(text):  # the text is known to be JSON
        mark = token[0]
        if mark in "{[":
            levels.append({})
        elif mark in "}]":
            levels.pop()
        elif mark == ":":
            key = json.loads(word)
            _note(levels[-1], key, key, line, where)
        else:
            word, line, seen = mark, line + text.count("\n", seen, token.start()), token.start()
    return content


def _note(lines: dict[Any, int], key: Any, name: str, line: int, where: str) -> None:
    """Note the line of a key, and refuse a key that was given before."""
    if key in lines:
        before = "in this line" if lines[key] == line else f"in line {lines[key]}"
        raise SpecError(f"{where}, line {line}: `{name}` is given already {before}. Leave one of them out.")
    lines[key] = line
