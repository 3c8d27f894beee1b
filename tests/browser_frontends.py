"""Opening a panel in JupyterLab or in Voila, and looking at it as a person, or a screen reader, would."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
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
TESTS = Path(__file__).parent

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


def _lab(folder: Path) -> list[str]:
    return [
        *("jupyterlab", "--no-browser", "--ip=127.0.0.1", "--allow-root"),
        *("--IdentityProvider.token=", "--ServerApp.password="),
        *("--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={folder}"),
    ]


def _voila(folder: Path) -> list[str]:
    return ["voila", str(folder), "--no-browser", "--Voila.ip=127.0.0.1", "--show_tracebacks=True"]


SERVERS: dict[str, Callable[[Path], list[str]]] = {"lab": _lab, "voila": _voila}
"""What to start for each front end, to serve the notebooks of a folder."""


class Servers:
    """Servers of Jupyter on this machine, each on a free port, with settings of their own; all end with the block."""

    def __init__(self, home: Path) -> None:
        self._home = home
        # JupyterLab would ask whether to fetch news, over what is looked at.
        settings = home / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.terminate()
        for process in self._started:
            process.wait(timeout=30)

    def start(self, arguments: list[str], **more: str) -> int:
        """Start a module with arguments and further environment variables; its port, once it answers."""
        home = self._home
        places = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {
            **os.environ,
            **places,
            "IPYTHONDIR": str(home / "ipython"),
            "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_NUM_THREADS": "1",
            **more,
        }
        port = free_port()
        log = home / f"{port}.log"
        command = [sys.executable, "-m", *arguments, f"--port={port}"]
        with log.open("wb") as file:
            process = subprocess.Popen(command, env=env, stdout=file, stderr=file, cwd=home)
        self._started.append(process)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and process.poll() is None:
            if answers(port):
                return port
            time.sleep(0.1)
        raise AssertionError(f"{' '.join(command)} does not answer:\n{log.read_text()[-3000:]}")


def answers(port: int) -> bool:
    """Whether a server says anything there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launched(playwright: Any) -> Any:
    """The browser."""
    return playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)


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

    def open(self, notebook: str, *, width: int = 1280, height: int = 1400, scale: float = 1) -> Any:
        """A page of its own on which the notebook has been run; the caller closes it."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, device_scale_factor=scale
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
