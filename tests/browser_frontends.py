"""Opening a panel in JupyterLab or in Voila, and looking at it as a person, or a screen reader, would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe

MARK = "dissect-test"
PANEL = f".{MARK}"
WENT_WRONG = (
    "[data-mime-type='application/vnd.jupyter.error'], [data-mime-type='application/vnd.jupyter.stderr']"
)
READY_MS = 60_000
# Of the front ends' own frames, not of a panel: these rules are about whole pages.
PAGE_RULES = (
    "region",
    "landmark-one-main",
    "page-has-heading-one",
    "heading-order",
    "bypass",
    "document-title",
)

LAB_CONNECTED = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.context;
  const kernel = context?.sessionContext?.session?.kernel;
  return context?.isReady && kernel?.connectionStatus === 'connected' && kernel?.status === 'idle';
}"""
LAB_RUN = "() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }"


class Frontend:
    """A served folder in which notebooks are opened in the browser.

    Parameters
    ----------
    name : {"lab", "voila"}
    browser : playwright Browser
    port : int
    folder : Path
        What the server serves.
    """

    def __init__(self, name: str, browser: Any, port: int, folder: Path) -> None:
        self.name, self._browser, self._port, self.folder = name, browser, port, folder

    def open(self, notebook: str, *, width: int = 1280, height: int = 1400, dark: bool = False) -> Any:
        """A page of its own on which the notebook has been run; the caller closes it."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        page = context.new_page()
        page.set_default_timeout(READY_MS)
        self.requests: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        root = f"http://127.0.0.1:{self._port}"
        if self.name == "voila":
            page.goto(f"{root}/voila/render/{notebook}")
        else:
            page.goto(f"{root}/lab/tree/{notebook}?reset")
            page.wait_for_function(LAB_CONNECTED)
            page.evaluate(LAB_RUN)
        page.locator(f"{PANEL}, {WENT_WRONG}").first.wait_for()
        wrong = page.locator(WENT_WRONG)
        assert not wrong.count(), wrong.first.inner_text()
        page.panel = page.locator(PANEL).first
        return page

    def write(self, name: str, code: str) -> None:
        """Write a notebook with one cell."""
        cell = {
            "cell_type": "code",
            "execution_count": None,
            "id": "panel",
            "metadata": {},
            "outputs": [],
            "source": code,
        }
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        content = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        (self.folder / name).write_text(json.dumps(content))


def violations(page: Any, selector: str = PANEL) -> list[str]:
    """What axe finds wrong within the panel: rule, element, and how to mend it."""
    found = Axe().run(
        page,
        context={"include": [[selector]]},
        options={"rules": {rule: {"enabled": False} for rule in PAGE_RULES}},
    )
    return [
        f"{each['id']} ({each['impact']}): {each['help']}: {node['html'][:200]}"
        for each in found.response["violations"]
        for node in each["nodes"]
    ]


def foreign_requests(requests: list[str]) -> list[str]:
    """Requests to any host but this machine."""
    return [
        url
        for url in requests
        if not url.startswith(("http://127.0.0.1", "data:", "blob:", "ws://127.0.0.1"))
    ]


def overflow(page: Any, selector: str = PANEL) -> int:
    """By how many pixels a panel is wider than what is there for it."""
    return int(
        page.evaluate(
            "selector => { const one = document.querySelector(selector); "
            "return Math.max(0, one.scrollWidth - one.clientWidth); }",
            selector,
        )
    )
