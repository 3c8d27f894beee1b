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

from browser_frontends import foreign_requests, free_port


@contextmanager
def served(study: Path, folder: Path, **options: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The app, in a folder, and the address that it prints."""
    code = (
        f"from functools import partial; from dissect_widgets.app import serve; serve({str(study)!r}, "
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
