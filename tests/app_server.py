"""The app as a process of its own, and requests to it as any program can send them."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str


class Server(NamedTuple):
    """An app that runs."""

    process: subprocess.Popen[str]
    port: int
    token: str
    log: Path

    def ask(self, path: str, *, method: str = "GET", body: str | None = None, **headers: str) -> Answer:
        """What is answered; `Host` is as a browser on this machine sends it, unless it is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        headers = {"Host": f"127.0.0.1:{self.port}", **headers}
        if body is not None:
            headers |= {"Content-Length": str(len(body)), "Content-Type": "application/x-www-form-urlencoded"}
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(None if body is None else body.encode())
        answer = connection.getresponse()
        text = "" if answer.status == 101 else answer.read().decode("utf-8", "replace")
        connection.close()
        # Cookies come in a header each.
        return Answer(
            answer.status, {**answer.headers, "Set-Cookie": str(answer.headers.get_all("Set-Cookie"))}, text
        )

    def connect(self, path: str, **headers: str) -> Answer:
        """What is answered to a websocket's first words."""
        key = base64.b64encode(os.urandom(16)).decode()
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": key,
            **headers,
        }
        return self.ask(path, **headers)

    def enter(self, **headers: str) -> tuple[str, str]:
        """Go through the door: the app's path, and the cookie."""
        answer = self.ask(f"/?token={self.token}", **headers)
        cookie = re.search(r"deep-dissect=[^;]+", answer.headers["Set-Cookie"])
        assert answer.status == 302
        assert cookie
        return answer.headers["Location"], cookie[0]

    def kernels(self) -> list[psutil.Process]:
        found = []
        for each in psutil.Process(self.process.pid).children():
            with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
                if "ipykernel_launcher" in each.cmdline():
                    found.append(each)
        return found

    def wait_for_kernels(self, n: int) -> None:
        deadline = time.monotonic() + 30
        while len(self.kernels()) != n:
            assert time.monotonic() < deadline, f"{len(self.kernels())} kernels, not {n}"
            time.sleep(0.1)


@contextmanager
def served(folder: Path, *, pages: int = 4, idle: float = 600, cell: str = "'a page'") -> Iterator[Server]:
    """An app with a page of one cell, started in a folder that is anybody's."""
    notebook = folder / "notebook" / "page.ipynb"
    notebook.parent.mkdir()
    one = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": []}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": [{**one, "source": cell}], "metadata": {"kernelspec": kernel}}
    notebook.write_text(json.dumps({**whole, "nbformat": 4, "nbformat_minor": 5}))
    words = [sys.executable, __file__, str(notebook), str(pages), str(idle)]
    env = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "TMPDIR": str(folder)}
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=file, text=True, bufsize=1
        )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0], log.read_text()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\w+) ", process.stdout.readline())
        assert found, log.read_text()
        yield Server(process, int(found[1]), found[2], log)
    finally:
        process.terminate()
        process.communicate(timeout=30)


if __name__ == "__main__":
    from dissect_widgets.app._server import App

    given, most, seconds = sys.argv[1:]
    told = App.config_of(Path(given), 0, open_browser=False, kernels=int(most), idle=float(seconds))
    App.launch_instance(argv=[], config=told, say=lambda text: print(text, flush=True))
