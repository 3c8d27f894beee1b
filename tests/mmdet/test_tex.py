"""Names in tables for papers: no character of them is TeX's."""

from __future__ import annotations

import re

from hypothesis import given, strategies as st

from deep_dissect.report._latex import _LATEX, tex_text
from dissect_core.text import visible

WRITTEN = {written: character for character, written in _LATEX.items()}
TOKEN = re.compile("|".join(map(re.escape, sorted(WRITTEN, key=len, reverse=True))) + "|.", re.DOTALL)
ANY = st.text(st.one_of(st.characters(), st.sampled_from("\\{}$&#%_^~<>\"-?!`',[]*|\n")), max_size=30)


@given(ANY)
def test_nothing_active_is_left(text: str) -> None:
    tokens = TOKEN.findall(tex_text(text))
    read = [WRITTEN.get(token, token) for token in tokens]
    assert all(token in WRITTEN or token not in "\\{}$&#%_^~<>\"-?!`',[]*|" for token in tokens)
    if text.isascii():
        assert "".join(read) == visible(text)


@given(ANY)
def test_only_letters_that_every_engine_has(text: str) -> None:
    assert all(
        character.isascii() or ord(character) < 0x180 or character in "–—‘’“”…"
        for character in tex_text(text)
    )


def test_known_letters_stay() -> None:
    assert tex_text("Zürich Łódź") == "Zürich Łódź"
    assert tex_text("中") == r"\textbackslash{}u4e2d"
