"""Models of the Hub, fetched from a server on loopback: once, in formats that run no code, then found in the cache."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants

from dissect_core.detectors import open_detector
from dissect_transformers import ModelNotFoundError, open_transformers
from families import build

COMMIT = "a" * 40
NAME = "owner/tiny-detr"


class Hub:
    """A server that holds one model, and what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        self.status = 200
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self, with_body=True)

            def do_HEAD(self) -> None:
                hub.answer(self, with_body=False)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler, *, with_body: bool) -> None:
        path = request.path.partition("?")[0]
        self.asked.append(path)
        headers = {"X-Repo-Commit": COMMIT}
        status, body = 404, b'{"error": "Repository not found"}'
        if self.status != 200:
            status = self.status
        elif path.startswith(f"/api/models/{NAME}/revision/v9"):
            headers["X-Error-Code"] = "RevisionNotFound"
        elif path.startswith("/api/models/") and NAME not in path:
            headers["X-Error-Code"] = "RepoNotFound"
        elif "/tree/" in path:
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in self.files.items()
            ]
            status, body = 200, json.dumps(tree).encode()
        elif path.startswith("/api/models/"):
            siblings = [{"rfilename": name} for name in self.files]
            status, body = 200, json.dumps({"id": NAME, "sha": COMMIT, "siblings": siblings}).encode()
        elif path.startswith(f"/{NAME}/resolve/") and (name := path.rpartition("/")[2]) in self.files:
            status, body = 200, self.files[name]
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
        request.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(key, value)
        request.end_headers()
        if with_body:
            request.wfile.write(body)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    folder = tmp_path / "model"
    for part in build("detr"):
        part.save_pretrained(folder)
    (folder / "evil.py").write_text("raise SystemExit\n")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "README.md").write_text("A model.\n")
    hub = Hub(folder)
    thread = threading.Thread(target=hub.server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield hub
    hub.server.shutdown()
    hub.server.server_close()
    thread.join()


def test_a_model_is_fetched_once(hub: Hub, tmp_path: Path, pictures: list[Path]) -> None:
    detector = open_transformers(NAME)
    assert detector.checkpoint == NAME
    expected = open_transformers(tmp_path / "model").predict(pictures[0])
    assert np.array_equal(detector.predict(pictures[0]).boxes, expected.boxes)
    fetched = {path.rpartition("/")[2] for path in hub.asked if "/resolve/" in path}
    assert fetched == {"config.json", "preprocessor_config.json", "model.safetensors"}
    hub.asked.clear()
    again = open_transformers(NAME, local_files_only=True)
    assert not hub.asked
    assert np.array_equal(again.predict(pictures[0]).boxes, expected.boxes)
    hub.status = 503  # a server that does not answer for now: the cache will do
    assert open_transformers(NAME).class_names == detector.class_names


def test_python_files_and_pickles_are_fetched_with_trust_alone(hub: Hub) -> None:
    open_transformers(NAME, trust=True)
    fetched = {path.rpartition("/")[2] for path in hub.asked if "/resolve/" in path}
    assert {"evil.py", "pytorch_model.bin"} <= fetched
    assert "README.md" not in fetched


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("owner/other", {}, "is no folder here, and the Hub has no such model, or keeps it private."),
        (NAME, {"revision": "v9"}, f"model '{NAME}': the Hub has it, but not at revision 'v9'."),
    ],
)
def test_what_the_hub_does_not_have(hub: Hub, name: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        open_detector("transformers", name, **options)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
