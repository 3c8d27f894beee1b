"""Names as text that is safe to print."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissect_core.text import cut, quoted, visible

ANY = st.text(st.characters(), max_size=40)  # lone surrogates too
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


@given(ANY)
def test_nothing_stays_unseen(text: str) -> None:
    shown = visible(text)
    assert not [c for c in shown if unicodedata.category(c) in HIDDEN]
    shown.encode()  # no lone surrogate
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown


@given(ANY.filter(lambda text: text.isprintable() and "\\" not in text))
def test_what_was_visible_stays(text: str) -> None:
    shown = visible(text)
    assert [c for c in shown if c in text] or not text
    if text.isascii():
        assert shown == text


@pytest.mark.parametrize(
    "mark", ["\u3164", "\ufe0f", "\u200b", "\u202e", "\u2066", "\x9b", "\x00", "\ufeff", "\xad"]
)
def test_marks_without_a_shape_are_escaped(mark: str) -> None:
    assert visible(f"a{mark}b") == f"a{ascii(mark)[1:-1]}b"


@given(ANY, st.integers(1, 30))
def test_a_cut_text_keeps_its_ends(text: str, most: int) -> None:
    short = cut(text, most)
    assert short == text if len(text) <= most else len(short) == most
    assert len(text) <= most or (text.startswith(short.split("…")[0]) and "…" in short)


@given(st.one_of(ANY, st.integers(), st.floats(), st.lists(ANY)))
def test_a_quoted_value_is_one_visible_line(value: object) -> None:
    told = quoted(value)
    assert len(told) <= 200
    assert visible(told) == told


def test_a_value_that_python_does_not_write_is_named() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert quoted(deep) == "<list>"
    assert quoted([10**5000]) == "<list>"
