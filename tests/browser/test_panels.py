"""Every panel in both front ends: it opens, its pictures are there, axe finds nothing, a phone's width is enough."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from browser_frontends import Frontend, foreign_requests, overflow, violations

PANELS = {
    "model": """
from dissect_widgets import ComponentBrowser
from toy_detector import ToyDetector, weights
panel = ComponentBrowser(ToyDetector().anatomy.components, weights=weights().__getitem__)
panel.model.add("*.weight")
panel.show_weights.value = True
""",
    "detector": "from dissect_widgets import DetectorPanel\npanel = DetectorPanel()",
    "builder": """
from dissect_widgets import StudyBuilder
from studies import toy_spec
from toy_detector import ToyDetector
panel = StudyBuilder(toy_spec(), anatomy=ToyDetector().anatomy)
""",
    "run": """
from deep_dissect import CocoSplit
from dissect_widgets import RunPanel, StudyRunner
from studies import toy_spec
from toy_detector import ToyDetector
panel = RunPanel(toy_spec(), StudyRunner(CocoSplit({annotations!r}, {images!r}), {out!r}, ToyDetector(), replicates=10))
panel.model.start()
panel.model.wait()
""",
    "results": "from dissect_widgets import ResultsExplorer\npanel = ResultsExplorer({study!r})",
    "images": "from dissect_widgets import ImageBrowser\npanel = ImageBrowser({study!r})",
    "queries": "from dissect_widgets import QueryPanel\npanel = QueryPanel({study!r})",
    "workbench": """
from dissect_widgets import Workbench
from toy_detector import ToyDetector
panel = Workbench({study!r}, detector=ToyDetector(), images={images!r})
""",
}
WORDS = {
    "model": "5 components",
    "detector": "No detector is open",
    "builder": "The study is valid: 2 ablations, 15 variants with the baseline",
    "run": "Done.",
    "results": "15 variants, 10 images",
    "images": "Image 1 of 10",
    "queries": "Queries 1 to 6 of 6",
    "workbench": "15 variants, 10 images",
}
WITH_PICTURE = ("model", "results", "images", "queries", "workbench")


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_opens_and_can_be_used_by_everybody(
    name: str, frontend: Frontend, opened: Callable[..., Any], stored: Any, tmp_path: Path
) -> None:
    code = PANELS[name].format(
        study=str(stored.study),
        images=str(stored.split.images),
        annotations=str(stored.split.annotations),
        out=str(tmp_path / "out"),
    )
    page = opened(code)
    page.get_by_text(WORDS[name], exact=False).first.wait_for()
    if name in WITH_PICTURE:
        picture = page.panel.locator(".dd-picture, figure").first
        drawn = picture.locator("svg, img").first
        drawn.wait_for()
        if drawn.evaluate("one => one.tagName") == "IMG":
            page.wait_for_function(
                "() => [...document.querySelectorAll('.dissect-test img')].some(one => one.naturalWidth > 20)"
            )
        assert drawn.bounding_box()["width"] > 200
        told = picture.get_attribute("aria-label") or drawn.get_attribute("alt")
        assert len(told) > 20
    assert page.panel.locator("[role=status]").count() >= 1
    assert violations(page) == []
    wide = overflow(page)
    page.set_viewport_size({"width": 480, "height": 900})
    page.wait_for_timeout(300)
    if frontend.name == "voila":  # Lab's own frame needs more
        assert (wide, overflow(page)) == (0, 0)
    # Voila takes its icons from elsewhere; nothing of ours asks for anything.
    asked = [url for url in foreign_requests(frontend.requests) if "fontawesome" not in url]
    assert asked == []
    page.panel.screenshot(path=tmp_path / f"{frontend.name}-{name}.png")
