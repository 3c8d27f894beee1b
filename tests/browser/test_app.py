"""`deep-dissect app STUDY` as a browser sees it."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("pyarrow")

from browser_frontends import foreign_requests, free_port
from dissect_core.store import Study


@contextmanager
def served(study: Path | None, folder: Path, **options: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The app, in a folder, and the address that it prints."""
    code = (
        f"from functools import partial; from dissect_widgets.app import serve; serve({study and str(study)!r}, "
        f"port={free_port()}, open_browser=False, say=partial(print, flush=True), **{options!r})"
    )
    env = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, "-c", code], env=env, cwd=folder, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        found = re.search(r"http:\S+", server.stdout.readline())
        assert found
        yield server, found[0]
    finally:
        server.terminate()
        server.communicate(timeout=30)


def kernels(server: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(server.pid).children()


@pytest.mark.xdist_group("voila")
def test_the_app_opens_a_study(browser: Any, stored: Any, tmp_path: Path) -> None:
    with served(stored.study, tmp_path, pages=2) as (server, address):
        page = browser.new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        page.get_by_text("15 variants, 10 images").first.wait_for()
        assert page.title() == "Deep Dissect"
        assert "token" not in page.url
        page.get_by_role("tab", name="Images").click()
        page.get_by_text("Image 1 of 10").first.wait_for()
        assert [url for url in foreign_requests(requests) if "fontawesome" not in url] == []
        for _ in range(3):  # more often than there are kernels
            page.reload()
            page.get_by_text("15 variants, 10 images").first.wait_for()
        assert len(kernels(server)) <= 2
        page.goto("about:blank")
        deadline = time.monotonic() + 30
        while kernels(server) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert kernels(server) == [], "a page that is left takes its kernel with it"
        page.close()


@pytest.mark.xdist_group("voila")
def test_the_app_is_dark_where_the_system_is(browser: Any, stored: Any, tmp_path: Path) -> None:
    with served(stored.study, tmp_path) as (_, address):
        brightness = {}
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme)
            page.goto(address)
            page.get_by_text("15 variants, 10 images").first.wait_for()
            colours = page.evaluate(
                """() => ["body", ".dd-app", ".dd-figure"].map(at => document.querySelector(at))
                .filter(Boolean).map(one => getComputedStyle(one))
                .flatMap(style => [style.backgroundColor, style.color])"""
            )
            found = [[int(n) for n in re.findall(r"\d+", text)[:3]] for text in colours]
            brightness[scheme] = [sum(found[0]), sum(found[3])]
            page.close()
        (light_page, dark_text), (dark_page, light_text) = brightness["light"], brightness["dark"]
        assert dark_page < 150 < 600 < light_page
        assert dark_text < 300 < 600 < light_text


@pytest.mark.xdist_group("voila")
def test_a_run_is_found_followed_and_stopped_after_a_reload(browser: Any, tmp_path: Path) -> None:
    pytest.importorskip("mmdet")
    with served(None, tmp_path) as (_, address):
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        page.get_by_role("button", name="Deformable DETR").click()
        page.get_by_role("button", name="How much can go?").click()
        page.get_by_role("button", name="Run it").click()
        page.get_by_text(" remaining").first.wait_for()
        page.reload()
        page.get_by_text("Which parts of your detector matter?").first.wait_for()
        page.get_by_role("row", name="How much can go?").filter(has_text="running").click()
        cancel = page.get_by_role("button", name="Cancel")
        page.get_by_text("Another process runs it").or_(page.get_by_text("process ")).first.wait_for()
        cancel.click()
        page.get_by_text("Asked to stop").first.wait_for()
        folder = tmp_path / "deep-dissect-runs" / "paper_protocol-deformable_detr-1"
        deadline = time.monotonic() + 120
        while Study.open(folder).held_by is not None and time.monotonic() < deadline:
            time.sleep(0.2)
        study = Study.open(folder)
        assert study.held_by is None, "it was stopped from the new page"
        done, wanted = study.progress()
        assert 0 < done < wanted
        page.close()
