"""The image browser on a stored study: what it counts is what a slow look at every image counts."""

import gc
import shutil
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ipywidgets import BoundedFloatText, Button, Combobox, Dropdown, RadioButtons
from ipywidgets.widgets.widget import _instances

pytest.importorskip("pyarrow")

from dissect_core.store import Study
from dissect_eval import match_image, pairwise_iou
from dissect_eval.study import kept_truth
from dissect_widgets import ImageBrowser, ImagesModel, StudyFolderError, UnknownNameError
from dissect_widgets.front import Slider
from studies import DegenerateToy
from toy_split import write_split, write_study

NOISY = "weights/element/0.6/1/zero"


@pytest.fixture
def browser(folder: Path) -> Iterator[ImageBrowser]:
    panel = ImageBrowser(folder)
    yield panel
    panel.close()


def lost_by_hand(folder: Path, variant: str, image: int, threshold: float, only: str = "") -> tuple[int, int]:
    """Objects found by the baseline and by a variant, box by box."""
    study = Study.open(folder)
    truth = kept_truth(study)
    rows = truth.image_index == image
    names = study.class_names
    counts = []
    for name in ("baseline", variant):
        found = study.found(name).by_image()[image]
        n = 0
        for box, category in zip(truth.boxes[rows], truth.category_ids[rows], strict=True):
            if only and truth.category_names[int(category)] != only:
                continue
            for other, score, label in zip(found.boxes, found.scores, found.labels, strict=True):
                fits = pairwise_iou([box], [other])[0, 0] >= 0.5
                if fits and score >= threshold and names[label] == truth.category_names[int(category)]:
                    n += 1
                    break
        counts.append(n)
    return counts[0], counts[1]


@pytest.mark.parametrize("only", ["", "green"])
def test_what_is_lost_is_what_a_slow_count_gives(browser: ImageBrowser, folder: Path, only: str) -> None:
    model = browser.model
    browser.variant.value = NOISY
    browser.threshold.value = 0.4
    browser.category.value = only
    listed = model.listed()
    assert len(listed) == 10
    assert [row.lost for row in listed] == sorted((row.lost for row in listed), reverse=True)
    for row in listed:
        before, after = lost_by_hand(folder, NOISY, row.image, 0.4, only)
        assert (row.lost, row.gained) == (max(0, before - after), max(0, after - before))
    assert sum(row.lost + row.gained for row in listed) > 0


def test_the_list_is_walked_and_ordered(browser: ImageBrowser) -> None:
    model = browser.model
    assert browser.previous.disabled
    browser.next.click()
    assert model.place == 1
    assert browser.sheet.chosen == str(model.shown.image)
    last = model.listed()[9].image
    browser.sheet.choose(str(last))  # a small picture is a choice, too
    assert browser.next.disabled
    assert "Image 10 of 10" in browser.status.value
    assert model.selection.image == last
    browser.order.value = "name"
    assert model.place == 0
    names = [row.file_name for row in model.listed()]
    assert names == sorted(names)
    browser.order.value = "alarms"
    alarms = [row.alarms for row in model.listed()]
    assert alarms == sorted(alarms, reverse=True)


def test_another_threshold_is_not_another_image(browser: ImageBrowser) -> None:
    browser.variant.value = NOISY
    for walk in (0, 1, 2):
        browser.model.step(walk)
        shown = browser.model.shown.image
        orders = set()
        for threshold in (0.1, 0.5, 0.8, 0.95):
            browser.threshold.value = threshold
            orders.add(tuple(row.image for row in browser.model.listed()))
            assert browser.model.shown.image == shown
        assert len(orders) > 1, "though the list is another one"


def test_what_becomes_of_each_object_is_what_the_counts_say(browser: ImageBrowser) -> None:
    model = browser.model
    browser.variant.value = NOISY
    fates = set()
    for threshold in (0.2, 0.5, 0.8):
        browser.threshold.value = threshold
        for category in ("", "green"):
            browser.category.value = category
            for row in model.listed():
                changes = model.changes(row.image)
                assert sum(one.fate == "lost" for one in changes) == row.lost
                assert sum(one.fate == "gained" for one in changes) == row.gained
                if category:
                    assert {one.category for one in changes} <= {category}
                for one in changes:
                    for side in (one.before, one.after):
                        assert side is None or side.score >= threshold
                fates |= {one.fate for one in changes}
    assert {"lost", "kept"} <= fates


def test_boxes_are_marks_by_what_becomes_of_them_and_chosen_with_their_object(browser: ImageBrowser) -> None:
    model = browser.model
    browser.variant.value = NOISY
    browser.threshold.value = 0.6
    changes = model.changes(model.shown.image)
    looks = {"kept": "kept", "lost": "lost", "gained": "gained", "missed": "truth"}
    objects = [mark for mark in browser.figure.marks if mark.id.startswith("object")]
    assert [mark.look for mark in objects] == [looks[one.fate] for one in changes]
    assert all(bool(mark.tag) == (mark.look in ("lost", "gained")) for mark in objects)
    content = browser.figure.image
    browser.objects.choose(objects[-1].id)
    assert browser.figure.chosen == objects[-1].id
    browser.figure.choose(objects[0].id)
    assert browser.objects.chosen == objects[0].id
    assert changes[0].category in browser.query.value
    assert browser.figure.image is content, "the image is not encoded again"
    browser.mode.value = "beside"
    assert "<img alt=" in browser.beside.value
    assert browser.figure.layout.display == "none"


def test_boxes_and_pairs_are_those_above_the_threshold(browser: ImageBrowser) -> None:
    model = browser.model
    browser.threshold.value = 0.9
    image = model.shown.image
    truth, before, after = model.boxes(image)
    assert (before.scores >= 0.9).all() and (after.scores >= 0.9).all()  # noqa: PT018
    rows, columns, giou = match_image(truth.boxes, before.boxes)
    pairs = model.pairs(image)
    assert len(pairs) == len(truth.boxes)
    for row, column, value in zip(rows, columns, giou, strict=True):
        assert pairs[row].baseline_giou == value
        assert (
            pairs[row].baseline == f"{model.class_names[before.labels[column]]} {before.scores[column]:.2f}"
        )
    browser.threshold.value = 1.0
    assert all(pair.ablated is None for pair in model.pairs(model.shown.image))
    panels = model.figure().axes
    assert [axes.get_title().split()[0] for axes in panels] == ["truth", "baseline", "ablated"]
    assert len(panels[0].patches) == len(model.boxes(model.shown.image)[0].boxes)


def test_all_panels_show_the_same_crop(browser: ImageBrowser) -> None:
    whole = [axes.get_xlim() for axes in browser.model.figure().axes]
    assert len(set(whole)) == 1
    browser.crop.value = "boxes"
    cropped = {(*axes.get_xlim(), *axes.get_ylim()) for axes in browser.model.figure().axes}
    assert len(cropped) == 1
    ((left, right, bottom, top),) = cropped
    boxes = np.concatenate([part.boxes for part in browser.model.boxes(browser.model.shown.image)])
    assert left <= max(0, boxes[:, 0].min())
    assert top <= max(0, boxes[:, 1].min())
    assert right >= min(64, boxes[:, 2].max())
    assert bottom >= min(64, boxes[:, 3].max())


def test_a_wrong_variant_is_answered_with_near_ones(browser: ImageBrowser) -> None:
    before = browser.model.variant
    browser.variant.value = "weights/element/0.6/1/zer"
    assert NOISY in browser.status.value
    assert browser.variant.value == browser.model.variant == before
    browser.variant.value = NOISY
    assert "must be one of" not in browser.status.value
    with pytest.raises(UnknownNameError, match=r"`threshold` must be in \[0, 1\], got 2.0"):
        browser.model.threshold = 2


def test_degenerate_boxes_silence_no_panel(tmp_path: Path) -> None:
    split = write_split(tmp_path, 3)
    folder = write_study(split, tmp_path / "study", DegenerateToy())
    browser = ImageBrowser(folder)
    try:
        assert browser.model.pairs(0)
        assert browser.model.figure(), "on grey no larger than an image may be, whatever a box reaches to"
        assert (
            "6 detections with an inverted box (max &lt; min) count as points: false alarms."
            in browser.status.value
        )
        assert "3 detections with NaN or infinity are left out" in browser.status.value
        assert browser.model.listed()[0].image in (0, 1, 2)
    finally:
        browser.close()


def test_images_that_moved_are_told_and_found_elsewhere(folder: Path, tmp_path: Path) -> None:
    panel = ImageBrowser(folder)
    assert "The image is not shown: no folder of images was named. Give its folder." in panel.status.value
    assert panel.model.study.image_folder is not None, (
        "which is not enough: whoever made the folder wrote that"
    )
    panel.images.value = str(tmp_path / "none")
    assert "The image is not shown: there is no such file." in panel.status.value
    assert panel.figure.image[:4] == b"\x89PNG", "boxes on grey"
    source = Study.open(folder).image_folder
    assert source is not None
    shutil.copytree(source, tmp_path / "moved")
    panel.images.value = str(tmp_path / "moved")
    assert "not shown" not in panel.status.value
    panel.close()
    panel = ImageBrowser(folder, images=tmp_path / "moved")
    assert panel.images.value == str(tmp_path / "moved")
    assert "not shown" not in panel.status.value
    panel.close()
    with pytest.raises(StudyFolderError, match="is no study"):
        ImageBrowser(tmp_path)


def test_every_control_has_words_and_pictures_have_too(browser: ImageBrowser) -> None:
    kinds = (Button, Combobox, Dropdown, BoundedFloatText, RadioButtons, Slider)
    controls = [each for each in vars(browser).values() if isinstance(each, kinds)]
    assert len(controls) >= 10
    assert all(any(c.isalpha() for c in control.description) for control in controls)
    page = browser.snapshot()
    assert 'alt="' in page
    assert 'role="status"' in page
    assert "<script" not in page


def test_opening_and_closing_leaves_nothing_behind(folder: Path) -> None:
    model: Any = ImagesModel(folder)
    observers = sum(len(by_type["change"]) for by_type in model._trait_notifiers.values())
    before, threads, gone = set(_instances), threading.active_count(), []
    for _ in range(50):
        panel = ImageBrowser(model)
        gone.append(weakref.ref(panel))
        panel.close()
        panel.close()
        assert set(_instances) == before
    del panel
    gc.collect()
    assert [ref for ref in gone if ref() is not None] == []
    assert sum(len(by_type["change"]) for by_type in model._trait_notifiers.values()) == observers
    assert threading.active_count() == threads
