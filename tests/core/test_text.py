"""Names as text that is safe to print."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dissect_core.text import cut, file_names, quoted, visible

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


@given(st.lists(ANY, max_size=6))
def test_names_of_files_are_one_part_of_a_path_each(names: list[str]) -> None:
    files = file_names(names)
    assert len({file.casefold() for file in files}) == len(names)
    for file in files:
        assert file
        assert not file.startswith(".")
        assert not set(file) & set('/\\:*?"<>|\x00')
        assert len(file.encode()) < 200
        assert visible(file) == file


def test_names_that_some_system_reserves_are_changed() -> None:
    assert file_names(["con", "CON", "a" * 300, "..", "a/b", "a_b", ""]) == [
        "con-", "CON--2", "a" * 150, "-", "a_b", "a_b-2", "--2",
    ]  # fmt: skip
