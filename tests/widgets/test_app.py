"""The app's command, its notebook, and what is told when it cannot be served."""

import json
import os
import socket
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from dissect_widgets import app
from dissect_widgets.errors import DissectWidgetsError, MissingAppError, StudyFolderError


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str | None]]:
    """What Voila is told, and the study that its kernels would see."""
    found: list[tuple[list[str], str | None]] = []

    class Voila:
        @staticmethod
        def launch_instance(*, argv: list[str]) -> None:
            found.append((argv, os.environ.get(app.STUDY)))

    monkeypatch.setitem(sys.modules, "voila.app", SimpleNamespace(Voila=Voila))
    monkeypatch.setenv(app.STUDY, "")
    monkeypatch.delenv(app.STUDY)
    return found


def test_it_serves_this_machine_alone_and_names_the_study(started: Any, tmp_path: Path) -> None:
    said: list[str] = []
    assert app.serve(port=9000, say=said.append) == 0
    assert app.serve(tmp_path, port=9001, open_browser=False, say=said.append) == 0
    (other, bare), (told, study) = started
    assert "--Voila.ip=127.0.0.1" in told
    assert {"--port=9001", "--no-browser", str(app.NOTEBOOK)} <= set(told)
    assert "--no-browser" not in other
    assert (bare, study) == (None, str(tmp_path))
    assert [line.split()[3] for line in said] == ["http://127.0.0.1:9000/", "http://127.0.0.1:9001/"]


def test_what_is_missing_is_told_before_a_server_starts(
    started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StudyFolderError, match="There is no folder "):
        app.serve(tmp_path / "nowhere")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(DissectWidgetsError, match="`port` must be free, but something listens on"):
            app.serve(port=taken.getsockname()[1])
    monkeypatch.delitem(sys.modules, "voila.app")
    monkeypatch.setitem(sys.modules, "voila", None)
    with pytest.raises(MissingAppError, match=r'pip install "dissect-widgets\[app\]"'):
        app.serve()
    assert started == []


def test_its_notebook_opens_the_study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = json.loads(app.NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    source = "".join(cells[0]["source"])
    for study, text in ((str(folder), "15 variants"), ("", "No detector is open")):
        monkeypatch.setenv(app.STUDY, study)
        names: dict[str, Any] = {}
        exec(source.replace("Workbench(os", "workbench = Workbench(os"), names)
        assert text in names["workbench"].snapshot()
        names["workbench"].close()


def test_the_command_line_finds_it_by_entry_point(started: Any, tmp_path: Path) -> None:
    pytest.importorskip("dissect_mmdet")
    from dissect_mmdet.cli import app as command_line

    assert [one.value for one in entry_points(group="dissect.apps")] == ["dissect_widgets.app:serve"]
    done = CliRunner().invoke(command_line, ["app", str(tmp_path), "--port", "9002", "--no-browser"])
    assert done.exit_code == 0, done.output
    assert "http://127.0.0.1:9002/" in done.output
    assert "--port=9002" in started[0][0]


def test_without_the_panels_the_command_line_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dissect_mmdet")
    from dissect_mmdet.cli import _app

    monkeypatch.setattr(_app, "entry_points", lambda **_: ())
    with pytest.raises(Exception, match="The app needs dissect-widgets"):
        _app.app_()
