"""A study in which every name is hostile: no output runs, hides or breaks anything."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("mmdet")

import commands
import studies
from dissect_core.spec import load_spec
from dissect_core.store import Study
from dissect_eval import GroundTruth
from dissect_eval.study import Settings, measure
from toy_detector import ToyDetector, write_scenes

UNSEEN = "\x1b[31m\x9b2J\x07\u202e\u2066\u200b\u3164"
MARKUP = r"[red]</b><script>alert(1)</script>{{7*7}}$\frac$\input{x}%&_^~#"
NAMES = [f"=1+1{MARKUP}{UNSEEN}", f"@{MARKUP}{UNSEEN}", f"-2{UNSEEN}\u4e2d\U0001f600{MARKUP}"]
ABLATIONS = [f"..:[link=file:x][red]$\\frac$ $y_${UNSEEN}", f"_[bold]a--b\\input{{x}}{UNSEEN}" + "n" * 40]


class Hostile(ToyDetector):
    class_names = tuple(NAMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("hostile")
    made = write_scenes(place, 6)
    images = [scene.path.rename(place / f"{i}[red]$\\bad${UNSEEN}.ppm") for i, scene in enumerate(made)]
    spec = dict(studies.SPEC, name=f"[red]$\\bad${UNSEEN}'\"<img src=x>")
    spec["ablations"] = [
        {**one, "name": name} for one, name in zip(spec["ablations"], ABLATIONS, strict=True)
    ]
    truth = GroundTruth.from_arrays(
        [(scene.boxes, scene.labels) for scene in made],
        range(1, 7),
        NAMES,
        file_names=[image.name for image in images],
        image_sizes=[(96, 64)] * 6,
    )
    return studies.run_toy(images, place / "study", Hostile(), spec=load_spec(spec), truth=truth).path


def is_visible(text: str) -> bool:
    return all(
        c in "\n\r" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text
    ) and not set(text) & {"\u3164"}


def call(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    code, out, error = commands.call(capsys, *words)
    assert code == 0, error
    assert is_visible(out)
    assert is_visible(error)
    return out


class Page(HTMLParser):
    """Every tag and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def reported(folder: Path) -> Path:
    from deep_dissect.cli._main import main

    with pytest.raises(SystemExit) as done:
        main(["report", str(folder), "--replicates", "20", "--latex", "--figures", "svg,png,pdf"])
    assert done.value.code == 0
    return folder


def test_terminal(reported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert r"[red]$\bad$\x1b[31m" in call(capsys, "status", reported)
    call(capsys, "status", reported, "--json")
    call(capsys, "compare", reported, reported, "--metric", "AP50")
    call(capsys, "export-coco", reported)


def test_page(reported: Path) -> None:
    text = (reported / "report.html").read_text(encoding="utf-8")
    assert is_visible(text)
    page = Page(text)
    assert page.tags.count("script") == 1
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)', text))
    assert any("[link=file:x]" in each for each in page.texts)
    assert "49" not in {each.strip() for each in page.texts}


def test_figures(reported: Path) -> None:
    found = sorted((reported / "figures").iterdir())
    assert {file.suffix for file in found} == {".svg", ".png", ".pdf"}
    assert all(file.resolve().parent == (reported / "figures").resolve() for file in found)
    for file in found:
        if file.suffix == ".svg":
            text = file.read_text(encoding="utf-8")
            ElementTree.fromstring(text)
            assert is_visible(text)


def test_tables(reported: Path) -> None:
    for name in ("summary", "per_class", "errors", "repeats"):
        text = (reported / f"{name}.csv").read_text(encoding="utf-8")
        assert is_visible(text)
        rows = list(csv.reader(io.StringIO(text)))
        assert {len(row) for row in rows} == {len(rows[0])}
        for cell in (cell for row in rows for cell in row):
            assert not cell or (cell[0] not in "=+@\t\r" and (cell[0] != "-" or float(cell) <= 0))
    summary = json.loads((reported / "summary.json").read_text(encoding="utf-8"))
    assert {row["ablation"] for row in summary["variants"]} >= set(ABLATIONS)  # whole in data


def test_table_for_papers(reported: Path) -> None:
    text = (reported / "summary.tex").read_text(encoding="utf-8")
    assert is_visible(text)
    assert not re.search(r"(?<!\\)(\\\\)*[#$_^~](?!\\pm)", text.replace(r"$\pm$", "").replace("$n$", ""))
    assert "--" not in text
    assert not re.search(r"\\\\\n\s*[\[*]", text)


def test_log(reported: Path) -> None:
    for line in (reported / "log.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line)
        assert is_visible(line)


def test_summary_on_the_terminal(reported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from deep_dissect.cli._console import Console
    from deep_dissect.cli._results import print_summary

    print_summary(Console(soft_wrap=True), measure(Study.open(reported), settings=Settings(n_replicates=20)))
    out = capsys.readouterr().out
    assert is_visible(out)
    assert out.startswith(r"[red]$\bad$\x1b[31m\x9b2J")
    assert r"..:[link=file:x][red]$\frac$ $y_$\x1b[31m" in out


def test_panels(reported: Path) -> None:
    ipywidgets = pytest.importorskip("ipywidgets")
    from dissect_widgets import ResultsExplorer
    from dissect_widgets.front import Figure, Grid

    panel = ResultsExplorer(reported)
    waiting, n = [panel], 0
    while waiting:
        widget = waiting.pop()
        waiting += getattr(widget, "children", ())
        if isinstance(widget, ipywidgets.HTML):
            assert is_visible(widget.value)
            assert "script" not in Page(widget.value).tags
            n += "frac" in widget.value
        if isinstance(widget, Grid):  # its words are put into the page as text
            told = [str(cell) for row in widget.rows for cell in row.cells] + [
                row.label for row in widget.rows
            ]
            assert all(map(is_visible, told))
            n += any("frac" in text for text in told)
        if isinstance(widget, Figure):
            assert all(is_visible(mark.label) and is_visible(mark.tag) for mark in widget.marks)
            assert "<script" not in widget.svg
    assert n
