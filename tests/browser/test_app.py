"""`deep-dissect app STUDY` as a browser sees it."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from browser_frontends import answers, foreign_requests, free_port
from dissect_widgets.app import STUDY, arguments


@pytest.mark.xdist_group("voila")
def test_the_app_opens_a_study(browser: Any, serve: Callable[..., int], stored: Any) -> None:
    told = [each for each in arguments(1, open_browser=False) if not each.startswith("--port")]
    port = serve(["voila", *told], **{STUDY: str(stored.study)})
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"http://127.0.0.1:{port}/")
    page.get_by_text("15 variants, 10 images").first.wait_for()
    assert page.title() == "Deep Dissect"
    page.get_by_role("button", name="Images", exact=True).click()
    page.get_by_text("Image 1 of 10").first.wait_for()
    assert [url for url in foreign_requests(requests) if "fontawesome" not in url] == []
    page.close()


@pytest.mark.xdist_group("voila")
def test_nothing_is_left_of_it_once_it_is_terminated(stored: Any, tmp_path: Path) -> None:
    port = free_port()
    code = f"from dissect_widgets.app import serve; serve({str(stored.study)!r}, port={port}, open_browser=False)"
    env = {**os.environ, "IPYTHONDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not answers(port) and time.monotonic() < deadline:
            time.sleep(0.1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as page:
            assert b"Deep Dissect" in page.read()
        kernels = psutil.Process(server.pid).children(recursive=True)
        assert kernels
    finally:
        server.terminate()
    assert server.wait(timeout=30) is not None
    _, alive = psutil.wait_procs(kernels, timeout=30)
    assert alive == []
