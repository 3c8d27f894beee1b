"""Values from Python text that holds nothing else, as MMEngine writes configs; the text is never compiled or run."""

from __future__ import annotations

import ast
import re
from typing import Any

LONGEST = 1 << 21
"""Most characters of a text that is read: MMEngine's have some 20,000, with 13,000 class names some 500,000."""
DEEPEST = 64
"""Most levels of brackets in it: MMEngine's configs have some ten."""

_CONSTANTS = {"None": None, "True": True, "False": False}
_TOKEN = re.compile(
    r"""
    (?P<gap> [ \t\r\f]+ | \\\n | \#[^\n]* )
  | (?P<text> [rRuUbB]{0,2} (?: '{3} [^'\\]* (?: (?: \\. | '(?!'') ) [^'\\]* )* '{3}
                          | "{3} [^"\\]* (?: (?: \\. | "(?!"") ) [^"\\]* )* "{3}
                          | ' [^'\\\n]* (?: \\. [^'\\\n]* )* ' | " [^"\\\n]* (?: \\. [^"\\\n]* )* " ) )
  | (?P<number> (?: \d | \.\d ) (?: [eE][+-](?=\d) | [\w.] )* )
  | (?P<name> [^\W\d]\w* )
  | (?P<mark> [=(),:;\[\]{}+\n-] )
    """,
    re.VERBOSE | re.DOTALL,
)


def literal_assignments(text: str) -> dict[str, Any] | None:
    r"""Return the values of a Python text that is nothing but ``name = literal`` lines, or None.

    Literals are numbers, text, ``None``, ``True``, ``False``, lists, tuples, sets, dicts, ``dict(name=literal)`` and
    ``dict({key: literal})``.
    A hostile text can crash Python's own parser, and the process with it (200,000 minus signs, for instance). This
    reader takes one token after the other, and goes at most `DEEPEST` levels deep.

    Examples
    --------
    >>> literal_assignments("model = dict(type='DETR', n=3)\nlr = -1e-4")
    {'model': {'type': 'DETR', 'n': 3}, 'lr': -0.0001}
    >>> literal_assignments("model = __import__('os').getcwd()") is None
    True
    """
    if len(text) > LONGEST:
        return None
    try:
        return _LiteralReader(text).assignments()
    except (ValueError, TypeError, SyntaxError, MemoryError):  # the last two by `ast.literal_eval`
        return None


class _LiteralReader:
    """Reader of assignments of literals: it goes through the tokens of a text once."""

    def __init__(self, text: str) -> None:
        text.encode()  # fails for lone surrogates
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def assignments(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while self._next() != "":
            if self._next() in "\n;":
                self._at += 1
                continue
            name = self._name()
            self._take("=")
            values[name] = self._value()
            if self._next() != "":
                self._take("\n", ";")
        return values

    def _next(self) -> str:
        """Return the next token, empty at the end; inside brackets, skip the ends of lines."""
        while self._depth and self._at < len(self._tokens) and self._tokens[self._at] == "\n":
            self._at += 1
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, *expected: str) -> str:
        token = self._next()
        if token not in expected:
            raise ValueError(f"{token!r} where {' or '.join(map(repr, expected))} is due")
        self._at += 1
        return token

    def _name(self) -> str:
        name = self._next()
        if not name.isidentifier():
            raise ValueError(f"{name!r} is no name")
        self._at += 1
        return name

    def _value(self) -> Any:
        token = self._next()
        if token in ("-", "+"):
            return self._signed()
        if token in ("(", "[", "{"):
            return self._bracket(token)
        if token == "dict":
            self._at += 1
            return self._call()
        self._at += 1
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        value = _scalar(token)
        while isinstance(value, str) and self._next()[-1:] in ("'", '"'):  # texts side by side are one
            value += _scalar(self._next())
            self._at += 1
        return value

    def _signed(self) -> Any:
        sign = self._take("-", "+")
        value = _scalar(self._next())
        if not isinstance(value, (int, float)):
            raise TypeError("a sign stands before a number")
        self._at += 1
        return -value if sign == "-" else value

    def _bracket(self, opening: str) -> Any:
        closing = {"(": ")", "[": "]", "{": "}"}[opening]
        items: list[Any] = []
        pairs: list[tuple[Any, Any]] = []
        comma = False
        self._open(opening)
        while self._next() != closing:
            item = self._value()
            comma = False
            if opening == "{" and self._next() == ":":
                self._take(":")
                pairs.append((item, self._value()))
            else:
                items.append(item)
            if self._next() != closing:
                self._take(",")
                comma = True
        self._close(closing)
        if opening == "{":
            if items and pairs:
                raise ValueError("a dict has a key for each value")
            return set(items) if items else dict(pairs)
        if opening == "(":
            return items[0] if len(items) == 1 and not comma else tuple(items)
        return items

    def _call(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        self._open("(")
        if self._next() == "{":  # as MMEngine writes keys that are no names
            pairs = self._bracket("{")
            if not isinstance(pairs, dict):
                raise ValueError("a dict has a key for each value")
            values.update(pairs)
            if self._next() != ")":
                self._take(",")
        while self._next() != ")":
            name = self._name()
            if name in values:
                raise ValueError(f"{name} is given twice")
            self._take("=")
            values[name] = self._value()
            if self._next() != ")":
                self._take(",")
        self._close(")")
        return values

    def _open(self, bracket: str) -> None:
        self._take(bracket)
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError("nested too deeply")

    def _close(self, bracket: str) -> None:
        self._next()
        self._depth -= 1  # before the bracket is taken: after it, the end of a line counts again
        self._take(bracket)


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"{text[at]!r} is in no literal")
        if found.lastgroup != "gap":
            tokens.append(found[0])
        at = found.end()
    return tokens


def _scalar(token: str) -> Any:
    """Read a number or a text."""
    if token[-1:] not in ("'", '"') and not token[:1].isdigit() and not token.startswith("."):
        raise ValueError(f"{token!r} is no literal")
    if token[0] in "'\"" and "\\" not in token and token[1:2] != token[0]:
        return token[1:-1]  # most texts end here: Python's own reader takes ten times as long
    value = ast.literal_eval(token)
    if isinstance(value, str):
        value.encode()  # fails for lone surrogates, written as escapes
    return value
