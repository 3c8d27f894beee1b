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
from ipywidgets import Button, Checkbox, Dropdown, Select, Text
from ipywidgets.widgets.widget import _instances

pytest.importorskip("pyarrow")

from dissect_eval.study import StudyTables
from dissect_widgets import ResultsExplorer, ResultsModel, StudyFolderError, UnknownNameError
from dissect_widgets.results._model import PAGE


@pytest.fixture
def explorer(folder: Path) -> Iterator[ResultsExplorer]:
    panel = ResultsExplorer(folder)
    yield panel
    panel.close()


def test_it_opens_with_the_studys_views_and_metrics(explorer: ResultsExplorer, folder: Path) -> None:
    model = explorer.model
    assert model.views == ("doses", "classes", "errors", "worst"), "channels are no heads"
    assert (model.metric, model.view) == ("AP", "doses")
    assert [value for _, value in explorer.metric.options] == list(model.tables.metrics)
    assert "15 variants, 10 images" in explorer.status.value
    assert explorer.pictures.value.count("<img alt=") == 1
    assert explorer.show.disabled


def test_points_are_the_variants_by_their_loss_and_choosing_one_is_told(explorer: ResultsExplorer) -> None:
    rows = {row["id"]: row for row in explorer.model.tables.summary}
    found = explorer.model.points()
    losses = [rows[one.variant]["AP_difference"] for one in found]
    assert losses == sorted(losses)
    assert [one.change for one in found] == losses
    told: list[str] = []
    explorer.model.observe(lambda change: told.append(change["new"]), "variant")
    explorer.chosen.points.index = 2
    assert told == [found[2].variant]
    assert f"Chosen: {found[2].variant}" in explorer.status.value
    explorer.metric.value = "f1"
    assert explorer.chosen.points.options[explorer.chosen.points.index].endswith(found[2].variant), (
        "it stays chosen"
    )


def test_points_are_walked_by_buttons_and_lead_to_their_images(explorer: ResultsExplorer) -> None:
    points, model = explorer.chosen, explorer.model
    assert points.see_images.disabled, "nothing is chosen"
    points.next.click()
    assert points.points.index == 0
    assert points.previous.disabled
    points.see_images.click()
    assert points.images is not None
    assert points.images.model.variant == model.variant == model.points()[0].variant
    points.images.model.place = 3
    points.next.click()
    points.next.click()
    assert points.points.index == 2
    assert points.images.model.variant == model.points()[2].variant, "they follow"
    assert points.images.model.place == 0
    explorer.view.value = "classes"
    points.points.index = 0
    assert points.images.model.category == model.category != ""
    points.points.index = len(points.choices) - 1
    assert points.next.disabled


def test_tables_without_their_study_have_no_images(folder: Path, tmp_path: Path) -> None:
    alone = ResultsExplorer(StudyTables.read(folder))
    alone.chosen.next.click()
    assert alone.chosen.see_images.disabled
    alone.close()
    for name in (
        "summary.json",
        *(f"{name}.parquet" for name in ("summary", "per_class", "errors", "repeats")),
    ):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    moved = ResultsExplorer(tmp_path)
    moved.chosen.next.click()
    moved.chosen.see_images.click()
    assert "No images: " in moved.chosen.said.value
    assert str(tmp_path) in moved.chosen.said.value
    moved.close()


def test_what_is_not_the_last_word_is_dimmed_and_says_why(folder: Path) -> None:
    tables = StudyTables.read(folder)
    assert ResultsModel(tables).remarks == ()
    part = StudyTables(
        {**tables.about, "batches": [2, 5]}, tables.summary, tables.per_class, tables.errors, tables.repeats
    )
    explorer = ResultsExplorer(part)
    assert "2 of 5 batches of images" in explorer.remarks.value
    assert explorer.pictures.value.startswith('<div style="opacity:')
    assert explorer.table.value.startswith('<div style="opacity:')
    explorer.model.outdated = "Of <another> study."
    assert explorer.remarks.value.count("<strong>") == 2
    assert "Note: no loss can be significant here" in explorer.remarks.value, "what the tables' notes say"
    assert "Of &lt;another&gt; study." in explorer.snapshot()
    explorer.close()


def test_classes_show_difference_ablated_and_baseline(explorer: ResultsExplorer) -> None:
    explorer.view.value = "classes"
    assert not explorer.show.disabled
    pictures = {}
    for show in ("difference", "ablated", "baseline"):
        explorer.show.value = show
        doses, units = explorer.model.figures()
        images = [one.figure.axes[0].images[0] for one in (doses, units)]
        pictures[show] = [np.array(image.get_array()) for image in images]
        assert images[0].get_clim() == images[1].get_clim(), "one colour scale for the page"
        assert len(units.data.rows) == 6, "a row for each channel that is removed alone"
    for ablated, baseline, difference in zip(
        *(pictures[s] for s in ("ablated", "baseline", "difference")), strict=True
    ):
        np.testing.assert_allclose(ablated - baseline, difference, atol=1e-12)
    explorer.chosen.points.index = 0
    choice = explorer.model.points()[0]
    assert (explorer.model.variant, explorer.model.category) == (choice.variant, choice.category)
    assert choice.category in ("red", "green", "blue")
    value = explorer.model.tables.per_class.to_pylist()
    assert choice.change in [
        row["difference"]
        for row in value
        if (row["variant"], row["category"], row["metric"]) == (choice.variant, choice.category, "AP")
    ]


def test_the_table_is_searched_sorted_and_saved(explorer: ResultsExplorer, tmp_path: Path) -> None:
    explorer.search.value = "WEIGHTS noise"
    rows = explorer.model.rows()
    assert {row["ablation"] for row in rows} == {"weights"}
    assert len(rows) == 4
    explorer.sort.value = "AP"
    explorer.descending.value = True
    values = [row["AP"] for row in explorer.model.rows()]
    assert values == sorted(values, reverse=True)
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
        explorer.model.export(tmp_path / "x.exe")
    explorer.search.value = "nothing like it"
    assert "No variant matches the search" in explorer.table.value


def test_every_picture_has_its_own_numbers_and_a_chosen_class_its_detail(explorer: ResultsExplorer) -> None:
    for view in explorer.model.views:
        explorer.view.value = view
        drawn = explorer.model.figures()
        assert explorer.pictures.value.count("<table") == len(drawn)
        for one in drawn:
            assert one.data.rows
            assert all(len(row) == len(one.data.head) for row in one.data.rows)
    explorer.view.value = "classes"
    n_overviews = len(explorer.model.figures())
    explorer.chosen.next.click()
    *overviews, detail = explorer.model.figures()
    assert len(overviews) == n_overviews
    assert explorer.model.variant in detail.caption
    assert detail.name not in {one.name for one in overviews}


def test_pages_and_undefined_numbers(folder: Path) -> None:
    tables = StudyTables.read(folder)
    rows = [
        {**tables.summary[i % 15], "id": f"v{i}", "AP": math.nan if i == 3 else i / 200} for i in range(130)
    ]
    many = StudyTables(tables.about, rows, tables.per_class, tables.errors, tables.repeats)
    model = ResultsModel(tables)
    model.tables = many
    panel = ResultsExplorer(model)
    panel.sort.value = "AP"
    assert model.rows()[-1]["id"] == "v3"
    assert model.n_pages() == 3
    assert panel.previous.disabled
    panel.next.click()
    panel.next.click()
    assert panel.next.disabled
    assert f"Rows {2 * PAGE + 1} to 130 of 130 variants" in panel.table.value
    panel.search.value = "v12"
    assert model.page == 0
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
    kinds = (Button, Checkbox, Dropdown, Select, Text)
    controls = [each for name, each in vars(explorer).items() if isinstance(each, kinds)]
    assert len(controls) >= 12
    assert all(any(c.isalpha() for c in control.description) for control in controls)
    assert 'role="status"' in explorer.status.value


def test_dark_pages_get_dark_pictures(explorer: ResultsExplorer) -> None:
    light = explorer.model.figures()[0].figure.get_facecolor()
    explorer.theme.value = "dark"
    dark = explorer.model.figures()[0].figure.get_facecolor()
    assert sum(dark[:3]) < 0.6 < sum(light[:3])


def test_opening_and_closing_leaves_nothing_behind(folder: Path) -> None:
    model: Any = ResultsModel(folder)
    before, threads, gone = set(_instances), threading.active_count(), []
    for _ in range(50):
        panel = ResultsExplorer(model)
        gone.append(weakref.ref(panel))
        panel.close()
        panel.close()
        assert set(_instances) == before
    del panel
    gc.collect()
    assert [ref for ref in gone if ref() is not None] == []
    assert all(not by_type["change"] for by_type in model._trait_notifiers.values())
    assert threading.active_count() == threads
