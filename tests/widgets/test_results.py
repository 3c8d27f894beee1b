"""The results explorer on a stored study: what it shows are the tables' numbers, whatever is chosen."""

import csv
import gc
import math
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ipywidgets import Button, Checkbox, Dropdown, RadioButtons, Text
from ipywidgets.widgets.widget import _instances

pytest.importorskip("pyarrow")

from dissect_eval.study import StudyTables, signed_text
from dissect_widgets import ResultsExplorer, ResultsModel, StudyFolderError, UnknownNameError
from dissect_widgets.base import Selection


@pytest.fixture
def explorer(folder: Path) -> Iterator[ResultsExplorer]:
    panel = ResultsExplorer(folder)
    yield panel
    panel.close()


def test_it_opens_with_the_studys_views_and_metrics(explorer: ResultsExplorer) -> None:
    model = explorer.model
    assert model.views == ("doses", "worst", "classes", "errors"), "channels are no heads"
    assert (model.metric, model.view) == ("AP", "doses")
    assert [value for _, value in explorer.metric.options] == list(model.tables.metrics)
    assert "15 variants, 10 images" in explorer.status.value
    assert len(explorer.figures) == 1
    assert explorer.figures[0].svg.startswith("<svg")
    assert explorer.show.disabled
    assert "10 images" in explorer.title.value


def test_points_are_the_variants_by_their_loss_and_marks_of_the_picture(explorer: ResultsExplorer) -> None:
    rows = {row["id"]: row for row in explorer.model.tables.summary}
    found = explorer.model.points()
    assert [one.change for one in found] == sorted(rows[one.variant]["AP_difference"] for one in found)
    (picture,) = explorer.model.pictures()
    assert {mark.variant for mark in picture.named.marks} == {one.variant for one in found}, (
        "no more than is drawn"
    )
    for mark in picture.named.marks:
        assert signed_text(rows[mark.variant]["AP_difference"]) in mark.label
        assert mark.label.endswith(", 10 images")


def test_a_mark_a_row_and_a_choice_from_python_are_one(explorer: ResultsExplorer) -> None:
    model = explorer.model
    told: list[str] = []
    model.observe(lambda change: told.append(change["new"]), "variant")
    figure = explorer.figures[0]
    figure.choose(figure.marks[2].id)
    variant = model.pictures()[0].named.marks[2].variant
    assert told == [variant]
    assert explorer.table.chosen == variant == model.selection.variant
    name = next(row.name for row in model.rows() if row.id == variant)
    assert f"Chosen: {name}." in explorer.status.value
    assert variant in explorer.chosen.value, "its id is there on demand"
    other = next(
        row.id for row in model.rows() if row.id != variant and row.id in {p.variant for p in model.points()}
    )
    explorer.table.choose(other)
    assert model.pictures()[0].stands_for(figure.chosen)[0] == other
    explorer.metric.value = "f1"
    assert (model.variant, explorer.table.chosen) == (other, other), "it stays chosen"


def test_panels_with_one_selection_choose_together(folder: Path) -> None:
    selection = Selection()
    one, two = ResultsExplorer(folder, selection=selection), ResultsModel(folder, selection=selection)
    one.table.choose(one.table.rows[3].id)
    assert two.variant == one.table.rows[3].id
    selection.variant = "a variant of another study"
    assert two.variant == one.table.rows[3].id
    one.close()
    two.close()
    two.variant = two.rows()[0].id
    assert selection.variant == "a variant of another study", "what is closed follows no more"


def test_to_open_a_mark_or_a_row_shows_its_images(explorer: ResultsExplorer) -> None:
    assert explorer.see_images.disabled, "nothing is chosen"
    figure = explorer.figures[0]
    figure.open_mark(figure.marks[0].id)
    images = explorer._images
    assert (
        images.model.variant == explorer.model.variant == explorer.model.pictures()[0].named.marks[0].variant
    )
    images.model.step(3)
    row = explorer.table.rows[5].id
    explorer.table.do("open", row)
    assert images.model.variant == row, "they follow"
    assert images.model.place == 0
    explorer.view.value = "classes"
    figure = explorer.figures[0]
    figure.choose(figure.marks[0].id)
    assert images.model.category == explorer.model.category != ""
    asked: list[str] = []
    explorer._elsewhere = lambda: asked.append("shown")
    explorer.see_images.click()
    assert asked == ["shown"]


def test_the_images_that_lose_most_stand_beside(explorer: ResultsExplorer) -> None:
    sheet = explorer.sheet
    assert sheet is not None
    assert sheet.figure.marks == []
    noisy = next(row.id for row in explorer.model.rows() if row.id.startswith("weights/element/0.6/1"))
    explorer.model.choose(noisy)
    assert sheet.figure.image[:4] == b"\x89PNG"
    first = int(sheet.figure.marks[0].id)
    sheet.figure.choose(str(first))
    assert explorer.model.selection.image == first
    sheet.figure.open_mark(str(first))
    assert explorer._images.model.shown.image == first
    losses = [int(mark.label.split(": ")[1].split(" lost")[0]) for mark in sheet.figure.marks]
    assert losses == sorted(losses, reverse=True)


def test_tables_without_their_study_have_no_images(folder: Path, tmp_path: Path) -> None:
    alone = ResultsExplorer(StudyTables.read(folder))
    alone.table.choose(alone.table.rows[0].id)
    assert alone.see_images.disabled
    alone.close()
    for name in (
        "summary.json",
        *(f"{name}.parquet" for name in ("summary", "per_class", "errors", "repeats")),
    ):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    moved = ResultsExplorer(tmp_path)
    moved.table.choose(moved.table.rows[0].id)
    assert moved.sheet is not None
    assert "No images: " in moved.sheet.said.value
    moved.see_images.click()
    assert "No images: " in moved._trouble.value
    assert str(tmp_path) in moved._trouble.value
    moved.close()


def test_what_is_not_the_last_word_is_dimmed_and_says_why(folder: Path) -> None:
    tables = StudyTables.read(folder)
    assert ResultsModel(tables).remarks == ()
    part = StudyTables(
        {**tables.about, "batches": [2, 5]}, tables.summary, tables.per_class, tables.errors, tables.repeats
    )
    explorer = ResultsExplorer(part)
    assert "2 of 5 batches of images" in explorer.remarks.value
    assert all("dd-outdated" in part._dom_classes for part in (explorer._pictures, explorer.table))
    explorer.model.outdated = "Of <another> study."
    assert explorer.remarks.value.count("<strong>") == 2
    assert "no loss can be significant here" in explorer.remarks.value, "what the tables' notes say"
    assert "Of &lt;another&gt; study." in explorer.snapshot()
    explorer.close()


def test_classes_show_difference_ablated_and_baseline(explorer: ResultsExplorer) -> None:
    explorer.view.value = "classes"
    assert not explorer.show.disabled
    pictures = {}
    for show in ("difference", "ablated", "baseline"):
        explorer.show.value = show
        doses, units = (one.named for one in explorer.model.pictures())
        images = [one.figure.axes[0].images[0] for one in (doses, units)]
        pictures[show] = [np.array(image.get_array()) for image in images]
        assert images[0].get_clim() == images[1].get_clim(), "one colour scale for the page"
        assert len(units.data.rows) == 6, "a row for each channel that is removed alone"
    for ablated, baseline, difference in zip(
        *(pictures[s] for s in ("ablated", "baseline", "difference")), strict=True
    ):
        np.testing.assert_allclose(ablated - baseline, difference, atol=1e-12)
    explorer.show.value = "difference"
    choice = explorer.model.points()[0]
    explorer.model.choose(choice.variant, choice.category)
    assert choice.category in ("red", "green", "blue")
    value = explorer.model.tables.per_class.to_pylist()
    assert choice.change in [
        row["difference"]
        for row in value
        if (row["variant"], row["category"], row["metric"]) == (choice.variant, choice.category, "AP")
    ]


def test_what_is_said_of_the_chosen_one_is_in_the_tables(explorer: ResultsExplorer) -> None:
    tables = explorer.model.tables
    worst = min(explorer.model.rows(), key=lambda row: row.change if math.isfinite(row.change) else math.inf)
    explorer.model.choose(worst.id)
    row = next(row for row in tables.summary if row["id"] == worst.id)
    said = explorer.chosen.value
    assert signed_text(row["AP_difference"]) in said
    assert f"from {tables.summary[0]['AP']:.3f} to {row['AP']:.3f}" in said
    chosen = explorer.model.chosen()
    assert chosen is not None
    by_class = {
        one["category"]: one["difference"]
        for one in tables.per_class.to_pylist()
        if (one["variant"], one["metric"]) == (worst.id, "AP")
    }
    assert (
        chosen.classes
        == tuple(sorted(((k, v) for k, v in by_class.items() if v < 0), key=lambda one: one[1]))[:3]
    )
    errors = {one["variant"]: one for one in tables.errors}
    for kind, more in chosen.errors:
        assert errors[worst.id][f"n_{kind}"] - errors["baseline"][f"n_{kind}"] == more > 0


def test_the_table_is_searched_sorted_and_saved(explorer: ResultsExplorer, tmp_path: Path) -> None:
    model = explorer.model
    changes = [model.rows()[i].change for i in model.order()]
    assert changes == sorted(changes), "the largest loss first"
    explorer.search.value = "WEIGHTS noise"
    shown = [model.rows()[i] for i in model.order()]
    assert len(shown) == 4
    assert all(row.id.startswith("weights/") for row in shown)
    assert explorer.table.order == model.order()
    explorer.table.do("sort", "value")
    explorer.table.do("sort", "value")
    values = [model.rows()[i].value for i in model.order()]
    assert values == sorted(values, reverse=True)
    assert explorer.table.sort == ["value", True]
    explorer.target.value = str(tmp_path)
    explorer.save_table.click()
    explorer.save_picture.click()
    saved = list(csv.DictReader((tmp_path / "results-AP.csv").read_text().splitlines()))
    assert [float(row["AP"]) for row in saved] == values
    assert (tmp_path / "results-AP-doses.png").read_bytes()[:4] == b"\x89PNG"
    explorer.target.value = str(tmp_path / "none")
    explorer.save_table.click()
    assert "Not saved" in explorer.status.value
    with pytest.raises(StudyFolderError, match=r"must end with .csv, .png, .svg or .pdf, got '.exe'"):
        model.export(tmp_path / "x.exe")
    explorer.search.value = "nothing like it"
    assert explorer.table.order == []
    assert explorer.table.empty == "No variant matches the search."


def test_columns_that_say_the_same_everywhere_are_left_out(explorer: ResultsExplorer) -> None:
    keys = [column.key for column in explorer.table.columns]
    assert keys[:4] == ["name", "value", "change", "interval"]
    rows = explorer.model.rows()
    for key in ("control", "output", "dose", "flops"):
        different = {v if math.isfinite(v := getattr(row, key)) else None for row in rows}
        assert (key in keys) == (len(different) > 1)


def test_every_picture_has_its_own_numbers_and_a_chosen_class_its_detail(explorer: ResultsExplorer) -> None:
    for view in explorer.model.views:
        explorer.view.value = view
        drawn = [one.named for one in explorer.model.pictures()]
        assert explorer.snapshot().count("Numbers of this picture") == len(drawn)
        for one in drawn:
            assert one.data.rows
            assert all(len(row) == len(one.data.head) for row in one.data.rows)
    explorer.view.value = "classes"
    n_overviews = len(explorer.model.pictures())
    explorer.table.choose(explorer.table.rows[0].id)
    *overviews, detail = (one.named for one in explorer.model.pictures())
    assert len(overviews) == n_overviews
    assert explorer.model.rows()[0].name in detail.caption
    assert detail.name not in {one.name for one in overviews}


def test_pictures_are_drawn_once(explorer: ResultsExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
    views = explorer.model.views
    for view in views:
        explorer.view.value = view
    monkeypatch.setattr("dissect_widgets.results._model.picture_of", lambda _: pytest.fail("drawn again"))
    for view in views:
        explorer.view.value = view
        explorer.search.value = f"{view} x"
        explorer.table.do("sort", "name")
    explorer.view.value = views[0]
    explorer.table.choose(explorer.table.rows[1].id)


def test_undefined_numbers_come_last(folder: Path) -> None:
    tables = StudyTables.read(folder)
    model = ResultsModel(tables)
    rows = [tables.summary[0]]
    for i in range(130):
        value = math.nan if i == 3 else i / 200
        rows.append({**tables.summary[1 + i % 14], "id": f"v{i}", "AP": value})
    model.tables = StudyTables(tables.about, rows, tables.per_class, tables.errors, tables.repeats)
    panel = ResultsExplorer(model)
    panel.table.do("sort", "value")
    assert model.rows()[model.order()[-1]].id == "v3"
    assert len(panel.table.order) == len(model.rows()), "all of them, without pages"
    panel.close()


def test_wrong_names_and_folders_are_told(explorer: ResultsExplorer, tmp_path: Path) -> None:
    with pytest.raises(
        UnknownNameError, match=r"`metric` must be one of \d+ names, got 'AP5'; near matches: .*AP50"
    ):
        explorer.model.metric = "AP5"
    assert explorer.model.metric == "AP"
    with pytest.raises(UnknownNameError, match=r"one of 15 names such as baseline, channels.*got 'nothing'"):
        explorer.model.variant = "nothing"
    with pytest.raises(StudyFolderError, match=r"holds no tables of a study.*deep-dissect report"):
        ResultsExplorer(tmp_path)
    with pytest.raises(StudyFolderError, match=r"There is no folder .*nowhere"):
        ResultsExplorer(tmp_path / "nowhere")
    (tmp_path / "summary.json").write_text("[")
    with pytest.raises(StudyFolderError, match=r"summary.json cannot be read"):
        ResultsExplorer(tmp_path)


def test_names_are_text_and_every_control_has_words(explorer: ResultsExplorer) -> None:
    page = explorer.snapshot()
    assert "<b>toy</b>" not in page
    assert "&lt;b&gt;toy" in page
    assert "<script" not in page
    kinds = (Button, Checkbox, Dropdown, RadioButtons, Text)
    controls = [each for name, each in vars(explorer).items() if isinstance(each, kinds)]
    assert len(controls) >= 8
    assert all(any(c.isalpha() for c in control.description) for control in controls)
    assert 'role="status"' in explorer.status.value


def test_opening_and_closing_leaves_nothing_behind(folder: Path) -> None:
    model: Any = ResultsModel(folder)
    observers = sum(len(by_type["change"]) for by_type in model._trait_notifiers.values())
    before, threads, gone = set(_instances), threading.active_count(), []
    for _ in range(20):
        panel = ResultsExplorer(model)
        gone.append(weakref.ref(panel))
        panel.close()
        panel.close()
        assert set(_instances) == before
    del panel
    gc.collect()
    assert [ref for ref in gone if ref() is not None] == []
    assert sum(len(by_type["change"]) for by_type in model._trait_notifiers.values()) == observers
    assert threading.active_count() == threads
