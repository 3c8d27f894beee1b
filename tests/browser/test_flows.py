"""What people do with the panels, in both front ends: fill in, mend, run, stop, go on, choose, and walk by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from browser_frontends import violations

Open = Callable[..., Any]


def said(page: Any, text: str) -> None:
    """Wait until a live line of the panel says it."""
    page.panel.locator("[role=status]").filter(has_text=text).first.wait_for()


def test_a_wrong_dose_is_told_beside_its_field_until_it_is_mended(opened: Open) -> None:
    page = opened(
        "from dissect_widgets import StudyBuilder\nfrom studies import toy_spec\n"
        "from toy_detector import ToyDetector\npanel = StudyBuilder(toy_spec(), anatomy=ToyDetector().anatomy)"
    )
    said(page, "The study is valid")
    page.panel.get_by_text("weights", exact=True).first.click()  # the second part of the study
    field = page.panel.get_by_label("Shares, in %")
    field.fill("20, 500")
    field.press("Enter")
    page.panel.get_by_text("2. value: must be within 0 and 100 %, got 500 %.").wait_for()
    said(page, "Not ready to run: ablations[1].select.fractions[1]")
    assert page.panel.get_by_role("button", name="Save YAML").is_disabled()
    assert violations(page) == [], "with a problem shown"
    field.fill("20, 50")
    field.press("Tab")
    said(page, "The study is valid")
    text = page.panel.get_by_label("The study as YAML")
    assert "- 0.5" in text.input_value()
    text.fill(text.input_value().replace("- 0.5", "- 0.7"))
    text.press("Tab")
    page.panel.get_by_role("button", name="Take over the YAML").click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.dissect-test input')].some(one => one.value === '20, 70')"
    )
    page.panel.get_by_text("All fields: seed").click()
    page.panel.get_by_label("by", exact=True).first.select_option("count")
    said(page, "Not ready to run: ablations[0].select.counts")
    page.panel.get_by_text("channels", exact=True).first.click()
    page.panel.get_by_text("all together", exact=True).click()
    said(page, "The study is valid")


def test_a_run_is_started_stopped_and_gone_on_with(opened: Open, stored: Any, tmp_path: Path) -> None:
    page = opened(
        "from deep_dissect import CocoSplit\n"
        "from dissect_widgets import RunPanel, StudyRunner\nfrom studies import SlowToy, toy_spec\n"
        f"data = CocoSplit({str(stored.split.annotations)!r}, {str(stored.split.images)!r})\n"
        f"runner = StudyRunner(data, {str(tmp_path / 'out')!r}, "
        "SlowToy(), replicates=10)\npanel = RunPanel(toy_spec(), runner)"
    )
    said(page, "Nothing is running.")
    start = page.panel.get_by_role("button", name="Start")
    assert page.panel.get_by_role("button", name="Cancel").is_disabled()
    start.click()
    said(page, "Running.")
    page.panel.get_by_role("progressbar", name="Progress of the run").wait_for()
    page.panel.get_by_text("of 150 passes").wait_for()
    page.panel.get_by_text("remaining").wait_for()
    page.panel.get_by_role("button", name="Cancel").click()
    said(page, "Stopped before its end; what is finished is kept.")
    assert violations(page) == []
    page.panel.get_by_role("button", name="Resume").click()
    said(page, "Done.")
    page.panel.get_by_text("150 of 150 passes").wait_for()
    assert (tmp_path / "out" / "summary.csv").is_file()


def test_a_run_that_fails_says_why(opened: Open, stored: Any, tmp_path: Path) -> None:
    page = opened(
        "from deep_dissect import CocoSplit\n"
        "from dissect_widgets import RunPanel, StudyRunner\nfrom studies import toy_spec\n"
        "from toy_detector import ToyDetector\n"
        "class Broken(ToyDetector):\n    def predict_batch(self, batch):\n        raise ValueError('<i>no more</i>')\n"
        f"data = CocoSplit({str(stored.split.annotations)!r}, {str(stored.split.images)!r})\n"
        f"runner = StudyRunner(data, {str(tmp_path / 'out')!r}, "
        "Broken())\npanel = RunPanel(toy_spec(), runner)"
    )
    page.panel.get_by_role("button", name="Start").click()
    page.panel.get_by_role("alert").get_by_text("ValueError: <i>no more</i>").wait_for()
    traceback = page.panel.locator("pre")
    assert not traceback.is_visible(), "folded away"
    page.panel.get_by_text("Traceback", exact=True).click()
    traceback.wait_for()
    assert violations(page) == []


def test_images_are_walked_by_keyboard_alone(opened: Open, stored: Any) -> None:
    page = opened(f"from dissect_widgets import ImageBrowser\npanel = ImageBrowser({str(stored.study)!r})")
    said(page, "Image 1 of 10")
    page.panel.get_by_role("radio", name="changes").focus()
    tab_to(page, "Score threshold")
    page.keyboard.press("ArrowRight")
    said(page, "at score 0.31")
    said(page, "Image 1 of 10")  # another threshold is not another image
    tab_to(page, "Next image")
    page.keyboard.press("Enter")
    said(page, "Image 2 of 10")
    tab_to(page, "Marks of the picture")
    page.keyboard.press("Enter")
    page.panel.locator("tr.dd-chosen").wait_for()
    tab_to(page, "Marks of the picture: images by loss")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    said(page, "Image 3 of 10")


def tab_to(page: Any, name: str) -> None:
    """Press Tab until what has the focus has this name."""
    names: list[str] = []
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => { const one = document.activeElement; "
            "return one.getAttribute('aria-label') || one.labels?.[0]?.textContent || one.textContent; }"
        )
        names.append(focused)
        if name in focused:
            return
    pytest.fail(f"{name} is not reached: {names}")


def test_from_a_mark_to_its_images_by_keyboard_alone(opened: Open, stored: Any) -> None:
    page = opened(
        f"from dissect_widgets import ResultsExplorer\npanel = ResultsExplorer({str(stored.study)!r})"
    )
    page.panel.locator(".dd-marks").first.focus()
    page.keyboard.press("ArrowRight")
    tip = page.panel.locator(".dd-tip").first
    assert re.search(r": AP [+\u2212]0\.\d{3}.*, 10 images", tip.inner_text())
    page.keyboard.press("Enter")
    said(page, "Chosen: ")
    page.panel.locator("tr.dd-chosen").wait_for()
    page.keyboard.press("Enter")  # again: its images
    said(page, "Image 1 of 10")
    assert violations(page) == []


def test_marks_answer_to_the_pointer(opened: Open, stored: Any) -> None:
    page = opened(
        f"from dissect_widgets import ResultsExplorer\npanel = ResultsExplorer({str(stored.study)!r})"
    )
    mark = page.panel.locator(".dd-mark").nth(1)
    mark.hover()
    text = page.panel.locator(".dd-tip").first.inner_text()
    assert text == mark.get_attribute("aria-label")
    mark.click()
    page.panel.locator(".dd-mark.dd-chosen").wait_for()
    page.panel.locator("tr.dd-chosen").wait_for()
    name = page.panel.locator("tr.dd-chosen th").inner_text()
    said(page, f"Chosen: {name}")
    page.wait_for_timeout(500)
    box = mark.bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.wheel(0, -200)
    page.panel.get_by_role("button", name="Whole picture").first.click()
    assert page.panel.locator(".dd-stage").first.get_attribute("style") in (None, "")
    mark.dblclick()
    said(page, "Image 1 of 10")


def test_a_handler_that_fails_says_so_beside_its_control(opened: Open, stored: Any) -> None:
    page = opened(
        f"from dissect_widgets import ImageBrowser\npanel = ImageBrowser({str(stored.study)!r})\n"
        "whole, first = panel.model.changes, panel.model.shown.image\n"
        "def broken(image):\n    if image != first:\n        raise ValueError('box 4,711: max < min')\n"
        "    return whole(image)\npanel.model.changes = broken"
    )
    page.panel.get_by_role("button", name="Next image").click()
    page.panel.get_by_role("alert").get_by_text("ValueError: box 4,711: max < min").wait_for()
    assert violations(page) == []


def test_a_dark_page_has_dark_panels(opened: Open, stored: Any) -> None:
    page = opened(f"from dissect_widgets import Workbench\npanel = Workbench({str(stored.study)!r})")
    said(page, "15 variants, 10 images")
    page.evaluate("document.body.setAttribute('data-jp-theme-light', 'false')")
    colours = page.panel.evaluate(
        "one => [getComputedStyle(one).backgroundColor, getComputedStyle(one).color]"
    )
    dark, pale = ([int(n) for n in re.findall(r"\d+", text)[:3]] for text in colours)
    assert sum(dark) < 150 < 600 < sum(pale)
    text = page.panel.locator(".dd-picture svg text").first
    assert text.evaluate("one => getComputedStyle(one).fill") == colours[1]
    assert violations(page) == []


def test_a_stopped_run_shows_what_it_has_and_says_so(opened: Open, stored: Any, tmp_path: Path) -> None:
    page = opened(
        "from dissect_widgets import Workbench\nfrom studies import SlowToy, toy_spec\n"
        f"panel = Workbench(detector=SlowToy(), study=toy_spec(), images={str(stored.split.images)!r}, "
        f"annotations={str(stored.split.annotations)!r}, out={str(tmp_path / 'out')!r})\npanel.show('run')"
    )
    page.panel.get_by_role("button", name="Start").click()
    page.panel.get_by_text("of 150 passes").wait_for()
    page.wait_for_function(
        "() => +document.querySelector('.dissect-test progress')?.getAttribute('value') >= 15"
    )
    page.panel.get_by_role("button", name="Cancel").click()
    said(page, "Stopped before its end; what is finished is kept.")
    page.panel.get_by_role("tab", name="Results").click()
    page.panel.get_by_text("These results are of a run that was stopped: ").wait_for()
    opacity = page.panel.locator(".dd-outdated .dd-picture").first.evaluate(
        "one => getComputedStyle(one).opacity"
    )
    assert opacity == "0.55"
    assert violations(page) == []


def test_a_point_of_the_results_leads_to_its_images(opened: Open, stored: Any) -> None:
    page = opened(f"from dissect_widgets import Workbench\npanel = Workbench({str(stored.study)!r})")
    said(page, "15 variants, 10 images")
    page.panel.locator("tbody tr").nth(2).click()
    said(page, "Chosen: ")
    page.panel.get_by_text("Classes", exact=True).click()
    page.panel.get_by_role("img", name=re.compile("each class")).first.wait_for()
    row = page.panel.locator("tr.dd-chosen").get_attribute("data-row")
    page.panel.get_by_role("tab", name="Images").click()
    said(page, "Image 1 of 10")
    page.panel.get_by_text("Variant, class, order, folder").click()
    assert page.panel.get_by_label("Ablated variant").input_value() == row
    page.panel.get_by_role("tab", name="Queries").click()
    said(page, "Queries 1 to 6 of 6")
    page.panel.get_by_text("displacement", exact=True).click()
    page.panel.get_by_role("img", name=re.compile("^Mean way")).wait_for()


def test_from_a_detector_to_its_results(opened: Open, stored: Any, tmp_path: Path) -> None:
    page = opened(
        "from dissect_widgets import Workbench\nfrom toy_detector import ToyDetector\n"
        f"panel = Workbench(detector=ToyDetector(), images={str(stored.split.images)!r}, "
        f"annotations={str(stored.split.annotations)!r}, out={str(tmp_path / 'out')!r})"
    )
    page.panel.get_by_label("Search", exact=True).fill("features weight")
    page.panel.get_by_label("Select features.weight").check()
    page.panel.get_by_text("shares of the single weights of this component").click()
    page.panel.get_by_role("button", name="Add to the study").click()
    said(page, "In the study as shares of the single weights of this component: ")
    page.panel.get_by_role("tab", name="Study").click()
    said(page, "The study is valid: 1 ablation, 10 variants with the baseline")
    page.panel.get_by_role("tab", name="Run").click()
    page.panel.get_by_label("Images a batch").fill("5")
    page.panel.get_by_label("Images a batch").press("Tab")
    page.panel.get_by_role("button", name="Start").click()
    said(page, "Done.")
    page.panel.get_by_role("tab", name="Results").click()
    said(page, "10 variants, 10 images")
    assert violations(page) == []
