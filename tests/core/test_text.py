"""Names as text that is safe to print."""

import unicodedata

import pytest
from hypothesis import given, strategies as st

from dissect_core.text import cut, file_names, quoted, visible

ANY = st.text(st.characters(), max_size=40)  # lone surrogates too
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


@given(ANY)
def test_nothing_stays_unseen(text: str) -> None:
    shown = visible(text)
    assert not [c for c in shown if unicodedata.category(c) in HIDDEN and c not in "\u200c\u200d"]
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


@pytest.mark.parametrize(
    "name",
    [
        "Straßenbahn", "日本語", "\u05e7\u05d5\u05b9\u05e3", "\u0642\u0637\u0629",
        "\u0939\u093f\u0928\u094d\u0926\u0940",
        "K\xe4fer", "Ka\u0308fer", "😀", "❤\ufe0f", "❤\ufe0f\u200d🔥", "👨\u200d👩\u200d👧", "👩🏽\u200d🚀",
        "🏳\ufe0f\u200d🌈",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0915\u094d\u200d\u0937",
    ],
)  # fmt: skip
def test_names_of_any_language_stay(name: str) -> None:
    assert visible(name) == name


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d", "\ufe0f"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("cat", ""),
        ("", "cat"),
        ("a", "b"),
        ("\u0631", "\u0647"),
        ("\U0001f468", ""),
        ("1", "2"),
        ("\u200d", "\u200d"),
    ],
)
def test_a_joiner_that_joins_nothing_is_escaped(joiner: str, before: str, after: str) -> None:
    assert visible(before + joiner + after) == f"{visible(before)}{ascii(joiner)[1:-1]}{visible(after)}"


@given(
    st.text(
        st.sampled_from("a\u0631\u0628\u200c\u200d\ufe0f\u2764\U0001f468\U0001f3fd\u094d\u0915"), max_size=8
    )
)
def test_joiners_are_settled_at_once(text: str) -> None:
    assert visible(visible(text)) == visible(text)


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
