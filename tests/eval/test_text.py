"""Names in figures and in CSV files: what is drawn is the name, what is written is a text."""

from __future__ import annotations

import csv
import inspect
import io
import warnings

import pytest
from hypothesis import given, settings, strategies as st

import dissect_core.text
from dissect_eval import _text
from dissect_eval._plain import csv_text

ANY = st.text(st.characters(), max_size=30)
FORMULAS = st.builds(
    lambda a, b: a + b, st.sampled_from([*"=+-@\t\r'", "＝", "＋", "－", "＠", " =", "\n-"]), ANY
)


@pytest.mark.parametrize("name", ["cut", "quoted", "visible", "_shapes", "_is_symbol", "_has_form"])
def test_the_core_says_the_same(name: str) -> None:
    assert inspect.getsource(getattr(_text, name)) == inspect.getsource(getattr(dissect_core.text, name))
    for constant in ("_UNSEEN", "_JOINERS", "_SKIN", "_VIRAMA"):
        assert getattr(_text, constant) == getattr(dissect_core.text, constant)


@given(st.one_of(ANY, FORMULAS))
def test_no_cell_is_a_formula_and_each_can_be_read_back(text: str) -> None:
    cell = csv_text(text)
    sink = io.StringIO()
    csv.writer(sink).writerow([cell, 1])
    ((read, _),) = csv.reader(io.StringIO(sink.getvalue()))
    assert read == cell
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r"))
    assert (
        cell.removeprefix("'") == _text.visible(text) if cell.startswith("'") else cell == _text.visible(text)
    )


@pytest.mark.parametrize(
    "name",
    [r"$\frac$", r"$x$ \$ $", "_a", "\x00\x1b[31m", "中文😀", "\ud800", "a" * 10_000, "a\nb", " ", r"\$"],
)
@pytest.mark.parametrize("math", [True, False])
def test_every_figure_draws_every_name(name: str, math: bool) -> None:
    mpl = pytest.importorskip("matplotlib")
    from xml.etree import ElementTree

    from dissect_eval.plots import (
        Curve,
        dose_response,
        figure_bytes,
        per_class_bars,
        precision_recall,
        value_heatmap,
    )

    with mpl.rc_context({"text.parse_math": math, "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in (
            value_heatmap([[0.1, 0.2]], [name], [name, "b"], value_label=name, title=name),
            per_class_bars({name: {name: 0.5, "b": 0.1}, "c": {name: 0.4}}, metric_label=name, title=name),
            dose_response({name: Curve([0, 1], [0.4, 0.1])}, metric_label=name, title=name),
            precision_recall({name: ([0, 0.5, 1], [1, 0.5, 0])}, title=name),
        ):
            page = figure_bytes(figure, "svg").decode()
            texts = "".join(ElementTree.fromstring(page).itertext())
            shown = _text.cut(_text.visible(name), 40)
            assert shown[:15].strip() in texts.replace("\n", "")


@settings(max_examples=15, deadline=None)
@given(ANY)
def test_no_text_of_a_figure_is_read_as_a_formula(name: str) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.text import Text

    from dissect_eval.plots import value_heatmap

    figure = value_heatmap([[0.1]], [name or "a"], [f"${name}$"], value_label=f"${name}")
    for text in figure.findobj(Text):
        assert text._preprocess_math(text.get_text()) == (text.get_text(), False)
