"""A real browser against real servers: JupyterLab and Voila on this machine, Debian's Chromium headless."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from browser_frontends import MARK, Frontend
from toy_detector import QueryDetector
from toy_split import Split, write_split, write_study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_S = 60
TESTS = Path(__file__).parents[1]


class Stored(NamedTuple):
    """What is on disk before a panel is opened."""

    split: Split
    study: Path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            # With several workers, each front end has its own: servers and the browser are started once.
            callspec = getattr(item, "callspec", None)
            group = callspec.params.get("frontend", "none") if callspec else "none"
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        reason = "needs Chromium: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    """Starts servers of Jupyter, each on a free port of this machine, and ends them."""
    home = tmp_path_factory.mktemp("jupyter")
    places = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    env = {
        **os.environ,
        **places,
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "OMP_NUM_THREADS": "1",
    }
    started: list[subprocess.Popen[bytes]] = []

    def start(arguments: list[str], **more: str) -> int:
        port = free_port()
        log = home / f"{port}.log"
        command = [sys.executable, "-m", *arguments, f"--port={port}"]
        with log.open("wb") as file:
            process = subprocess.Popen(command, env={**env, **more}, stdout=file, stderr=file, cwd=home)
        started.append(process)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and process.poll() is None:
            if answers(port):
                return port
            time.sleep(0.1)
        pytest.fail(f"{' '.join(command)} does not answer:\n{log.read_text()[-3000:]}")

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(timeout=30)


def answers(port: int) -> bool:
    """Whether a server says anything there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Images with their truth, and a study of a detector that tells its queries."""
    root = tmp_path_factory.mktemp("stored")
    split = write_split(root, 10)
    return Stored(split, write_study(split, root / "study", QueryDetector()))


@pytest.fixture(scope="session", params=["lab", "voila"])
def frontend(
    request: pytest.FixtureRequest,
    browser: Any,
    serve: Callable[..., int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Frontend:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "voila":
        arguments = ["voila", str(folder), "--no-browser", "--Voila.ip=127.0.0.1", "--show_tracebacks=True"]
    else:
        arguments = [
            *("jupyterlab", "--no-browser", "--ip=127.0.0.1", "--allow-root"),
            *("--IdentityProvider.token=", "--ServerApp.password="),
            *("--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={folder}"),
        ]
    return Frontend(request.param, browser, serve(arguments), folder)


@pytest.fixture
def opened(frontend: Frontend) -> Iterator[Callable[..., Any]]:
    """Opens a page with a panel made by some lines of Python that call it `panel`."""
    pages: list[Any] = []

    def open_page(code: str, **options: Any) -> Any:
        name = f"{len(list(frontend.folder.iterdir()))}.ipynb"
        frontend.write(name, f"{code}\npanel.add_class({MARK!r})\npanel")
        pages.append(frontend.open(name, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.context.close()
