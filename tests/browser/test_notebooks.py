"""Every committed notebook run from its first cell to its last in JupyterLab: what it shows is there, and not blank."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from browser_frontends import LAB_CONNECTED, LAB_RUN, SERVERS, foreign_requests

pytest.importorskip("mmdet")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
WAIT_MS = 240_000
IDLE = """() => {
  const kernel = window.jupyterapp?.shell.currentWidget?.context.sessionContext.session?.kernel;
  const waiting = [...document.querySelectorAll('.jp-InputPrompt')].some((one) => one.textContent.includes('*'));
  return kernel?.status === 'idle' && !waiting;
}"""


def expected(path: Path) -> tuple[int, int]:
    """How many panels the committed outputs hold, and how many of these have a picture."""
    panels = pictures = 0
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            page = "".join(output.get("data", {}).get("text/html", ""))
            if "<section" in page:
                panels += 1
                pictures += "<img" in page
    return panels, pictures


@pytest.mark.slow
@pytest.mark.xdist_group("lab")
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_run_all_leaves_no_panel_blank(
    name: str, browser: Any, serve: Callable[..., int], tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    port = serve(SERVERS["lab"](tmp_path))
    context = browser.new_context(
        viewport={"width": 1400, "height": 20_000}
    )  # Lab draws what is in sight alone
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"http://127.0.0.1:{port}/lab/tree/notebooks/{name}?reset")
    page.wait_for_function(LAB_CONNECTED)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate(LAB_RUN)
    page.wait_for_timeout(1500)
    page.wait_for_function(IDLE)
    page.wait_for_timeout(3000)
    wrong = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    assert not wrong.count(), wrong.first.inner_text()
    panels, pictures = expected(ROOT / "notebooks" / name)
    shown = page.locator(".jp-OutputArea-output > .dd-panel, .jp-OutputArea-output .jupyter-widgets.dd-panel")
    outer = shown.evaluate_all(
        "all => all.filter((one) => !one.parentElement.closest('.dd-panel')).map((one) => "
        "[one.getBoundingClientRect().height, one.querySelectorAll('.dd-picture svg, img').length])"
    )
    assert len(outer) == panels
    assert all(height > 60 for height, _ in outer), outer
    assert sum(n > 0 for _, n in outer) >= pictures, outer
    assert foreign_requests(requests) == []
    context.close()
