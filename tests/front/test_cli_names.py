"""The terminal prints names as they are: no markup, nothing unseen, one line, and an end."""

from __future__ import annotations

import io
import sys
import unicodedata
import warnings

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

pytest.importorskip("typer")

from rich.table import Table
from rich.tree import Tree

from deep_dissect.cli._console import Console, echo, print_whole
from deep_dissect.cli._main import main, run_guarded
from dissect_core import DissectError, SpecError
from dissect_core.text import visible

NAME = st.one_of(
    st.text(st.characters(), max_size=30),
    st.sampled_from(
        ["[red]a[/red]", "[/]", "[link=x]", ":smile:", "\x1b[2J", "a\nerror: b", "\\[b]", "[@click=x]a"]
    ),
)
SHARED = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SHARED
@given(NAME)
def test_everything_that_prints_prints_the_name(capsys: pytest.CaptureFixture[str], name: str) -> None:
    shown = visible(name).rstrip(" ")
    Console(soft_wrap=True).print(name)
    echo(name)
    assert [line.rstrip(" ") for line in capsys.readouterr().out.split("\n")] == [shown, shown, ""]
    table = Table("head", title=name, caption=name)
    table.add_row(name)
    table.add_column(name)
    print_whole(table)
    tree = Tree(name)
    tree.add(name)
    Console(soft_wrap=True).print(tree)
    out = capsys.readouterr().out
    assert shown.strip() in out
    assert not [c for c in out if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@pytest.mark.parametrize("kind", [DissectError, SpecError, OSError, RuntimeError])
def test_an_error_is_not_endless(kind: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise kind("\x1b[31m[red]" + "a" * 10_000_000 + " the remedy")

    assert run_guarded(work, debug=False) == (1 if kind is RuntimeError else 2)
    error = capsys.readouterr().err
    assert len(error) < 2200
    assert error.count("\n") == 1
    assert r"\x1b[31m[red]" in error
    assert "the remedy" in error


def test_a_warning_of_a_library_is_one_visible_line(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        warnings.warn("class \x1b[31m[red]\nname", RuntimeWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run_guarded(work, debug=False) == 0
    error = capsys.readouterr().err
    assert error.startswith(r"warning: class \x1b[31m[red] name (RuntimeWarning, ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_letters_that_the_output_lacks_are_escapes(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    error = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")  # as Python opens it
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", error)
    for words, status in ((["studies"], 0), (["inspect", "\u4e2d\u2212.pth"], 2)):
        with pytest.raises(SystemExit) as done:
            main(words)
        assert done.value.code == status
    Console().print("\u4e2d\u2212")
    out.flush()
    error.flush()
    shown = "\u4e2d\u2212".encode(encoding, "backslashreplace")
    for stream in (out, error):
        assert shown in stream.buffer.getvalue()  # type: ignore[attr-defined]
