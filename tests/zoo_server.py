"""A small zoo for tests: an index as mmdet's wheel holds it, and a server on loopback that behaves as it is told."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Behaviour = Callable[["Handler", bytes], None]

NAME = "tiny_r18_coco"
FOLDER = "/mmdetection/v3.0/tiny/"


class Handler(BaseHTTPRequestHandler):
    """Answers by the next behaviour on the server's list, then as any server of files does."""

    server: Server

    def do_GET(self) -> None:
        """Answer."""
        self.server.asked.append((self.path, self.headers.get("Range")))
        content = self.server.files.get(self.path)
        try:
            if self.server.behaviours:
                self.server.behaviours.pop(0)(self, content or b"")
            elif content is None:
                self.send_error(404)
            else:
                whole(self, content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever asked has gone

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A server of files on loopback."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.behaviours: list[Behaviour] = []
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


def whole(handler: Handler, content: bytes) -> None:
    """Send what is asked for, a range too."""
    found = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range") or "")
    start = int(found[1]) if found else 0
    if start >= len(content) and start:
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(content)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    handler.send_response(206 if found else 200)
    if found:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    handler.wfile.write(content[start:])


def without_ranges(handler: Handler, content: bytes) -> None:
    """Send all of it, whatever part is asked for."""
    del handler.headers["Range"]
    whole(handler, content)


def truncated(n_bytes: int) -> Behaviour:
    """Break off after some bytes of what is asked for."""

    def send(handler: Handler, content: bytes) -> None:
        found = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range") or "")
        start = int(found[1]) if found else 0
        handler.send_response(206 if found else 200)
        if found:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start : start + n_bytes])
        handler.close_connection = True

    return send


def status(code: int) -> Behaviour:
    """Answer with an error."""
    return lambda handler, _: handler.send_error(code)


def moved(url: str) -> Behaviour:
    """Send on to another address."""

    def send(handler: Handler, _: bytes) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return send


def log_in_page(handler: Handler, _: bytes) -> None:
    """Answer as the network of a hotel does."""
    page = b"<html>log in</html>"
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html; charset=utf-8")
    handler.send_header("Content-Length", str(len(page)))
    handler.end_headers()
    handler.wfile.write(page)


@contextmanager
def serving() -> Iterator[Server]:
    """Start a server, and end it."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def file_name(content: bytes, stem: str = NAME) -> str:
    """Name a file as the zoo does, by the beginning of its SHA-256."""
    return f"{stem}_20200101_000000-{sha256(content).hexdigest()[:8]}.pth"


def write_index(folder: Path, config: Path | str, weights: str, name: str = NAME, **more: Any) -> Path:
    """Write an index of one model, as mmdet's wheel holds it."""
    import yaml

    model = {
        "Name": name,
        "In Collection": "Tiny",
        "Config": str(config),
        "Results": [{"Task": "Object Detection", "Dataset": "COCO", "Metrics": {"box AP": 12.5}}],
        "Weights": weights,
        **more,
    }
    family = folder / "configs" / name.partition("_")[0]
    family.mkdir(parents=True, exist_ok=True)
    (family / "metafile.yml").write_text(yaml.safe_dump({"Models": [model]}))
    return folder


def use_zoo(monkeypatch: pytest.MonkeyPatch, index: Path, server: Server, cache: Path) -> None:
    """Let this process and those that it starts take an index, a server and a cache for the zoo's."""
    monkeypatch.setattr("dissect_mmdet.zoo._index.zoo_folder", lambda: index)
    monkeypatch.setattr("dissect_mmdet.zoo._download.PAUSE_S", 0.0)
    monkeypatch.setenv("DEEP_DISSECT_ZOO", server.url)
    monkeypatch.setenv("DEEP_DISSECT_CACHE", str(cache))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
