"""What people do with the panels, in both front ends: fill in, mend, run, stop, go on, choose, and walk by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from browser_frontends import Frontend, violations

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
    field = page.panel.get_by_label("fractions")
    field.fill("0.2, 5")
    field.press("Enter")
    page.panel.get_by_text("must be within 0 and 1, got 5. For 5 % write 0.05.").first.wait_for()
    said(page, "Not ready to run: ablations[1].select.fractions[1]")
    assert page.panel.get_by_role("button", name="Save the YAML").is_disabled()
    assert violations(page) == [], "with a problem shown"
    field.fill("0.2, 0.5")
    field.press("Tab")
    said(page, "The study is valid")
    text = page.panel.get_by_label("The study as YAML")
    assert "- 0.5" in text.input_value()
    text.fill(text.input_value().replace("- 0.5", "- 0.7"))
    text.press("Tab")
    page.panel.get_by_role("button", name="Take over the YAML").click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.dissect-test input')].some(one => one.value === '0.2, 0.7')"
    )
    page.panel.get_by_label("by", exact=True).first.select_option("count")
    said(page, "Not ready to run: ablations[0].select.counts")


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


def test_images_are_walked_by_keyboard_alone(opened: Open, stored: Any, frontend: Frontend) -> None:
    page = opened(f"from dissect_widgets import ImageBrowser\npanel = ImageBrowser({str(stored.study)!r})")
    said(page, "Image 1 of 10")
    page.panel.get_by_label("Ablated variant").focus()  # where Tab leads from the cell before
    names: list[str] = []

    def tab_to(name: str) -> None:
        for _ in range(20):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "() => { const one = document.activeElement; "
                "return one.labels?.[0]?.textContent || one.getAttribute('aria-label') || one.textContent; }"
            )
            names.append(focused)
            if name in focused:
                return
        pytest.fail(f"{name} is not reached: {names}")

    tab_to("Score threshold")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    said(page, "at score 0.35")
    tab_to("Next image")
    page.keyboard.press("Enter")
    said(page, "Image 2 of 10")
    before = page.panel.locator("figure img").get_attribute("src")
    page.keyboard.press("Enter")
    said(page, "Image 3 of 10")
    page.wait_for_function(
        "src => document.querySelector('.dissect-test figure img').src !== src", arg=before
    )
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    said(page, "Image 2 of 10")
    page.panel.get_by_label("Ablated variant").focus()
    tab_to("Sort images by")
    for key in ("Space", "ArrowDown", "Enter"):  # opened first: then JupyterLab leaves arrow keys alone too
        page.keyboard.press(key)
    said(page, "Image 1 of 10")
    assert page.panel.get_by_label("Sort images by").input_value() == "objects found anew"
    if frontend.name == "voila":
        tab_to("Images")
        page.keyboard.press("ArrowDown")
        said(page, "Image 2 of 10")


def test_points_are_walked_by_keyboard_alone(opened: Open, stored: Any) -> None:
    page = opened(
        f"from dissect_widgets import ResultsExplorer\npanel = ResultsExplorer({str(stored.study)!r})"
    )
    page.panel.get_by_label("Points of the picture").focus()
    for _ in range(2):  # "Previous point" cannot be pressed yet, so Tab leaves it out
        page.keyboard.press("Tab")
        if "Next point" in page.evaluate("() => document.activeElement.textContent"):
            break
    page.keyboard.press("Enter")
    said(page, "Chosen: ")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    said(page, "Image 1 of 10")
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
    page.panel.get_by_role("button", name="Results").click()
    page.panel.get_by_text("These results are of a run that was stopped: ").wait_for()
    assert (
        page.panel.locator("figure img").first.evaluate(
            "one => getComputedStyle(one.parentElement.parentElement).opacity"
        )
        == "0.7"
    )
    assert violations(page) == []


def test_a_point_of_the_results_leads_to_its_images(opened: Open, stored: Any) -> None:
    page = opened(f"from dissect_widgets import Workbench\npanel = Workbench({str(stored.study)!r})")
    said(page, "15 variants, 10 images")
    points = page.panel.get_by_label("Points of the picture")
    first = points.locator("option").nth(0).inner_text()
    points.select_option(first)
    said(page, "Chosen: ")
    page.panel.get_by_label("Picture", exact=True).select_option("Classes")
    page.wait_for_function("() => document.querySelector('.dissect-test figure img').alt.includes('class')")
    page.panel.get_by_role("button", name="Images", exact=True).click()
    said(page, "Image 1 of 10")
    variant = page.panel.get_by_label("Ablated variant").input_value()
    assert variant in first
    page.panel.get_by_role("button", name="Queries").click()
    said(page, "Queries 1 to 6 of 6")
    page.panel.get_by_label("Show").select_option("displacement")
    page.wait_for_function(
        "() => document.querySelector('.dissect-test figure img').alt.startsWith('Mean way')"
    )


def test_from_a_detector_to_its_results(opened: Open, stored: Any, tmp_path: Path) -> None:
    page = opened(
        "from dissect_widgets import Workbench\nfrom toy_detector import ToyDetector\n"
        f"panel = Workbench(detector=ToyDetector(), images={str(stored.split.images)!r}, "
        f"annotations={str(stored.split.annotations)!r}, out={str(tmp_path / 'out')!r})"
    )
    search = page.panel.get_by_label("Search components")
    search.fill("features.weight")
    search.press("Enter")
    page.panel.get_by_label("weight", exact=True).check()
    page.panel.get_by_role("button", name="Add what is selected to the study").click()
    said(page, "1 component in the study as selection 1")
    page.panel.get_by_role("button", name="Study", exact=True).click()
    said(page, "The study is valid: 1 ablation, 10 variants with the baseline")
    page.panel.get_by_role("button", name="Run", exact=True).click()
    page.panel.get_by_label("Images a batch").fill("5")
    page.panel.get_by_label("Images a batch").press("Tab")
    page.panel.get_by_role("button", name="Start").click()
    said(page, "Done.")
    page.panel.get_by_role("button", name="Results").click()
    said(page, "10 variants, 10 images")
    assert violations(page) == []
