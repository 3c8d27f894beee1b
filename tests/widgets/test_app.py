"""The app's command, its notebook, and what is told when it cannot be served."""

import json
import os
import socket
import subprocess
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dissect_widgets import app
from dissect_widgets.errors import DissectWidgetsError, MissingAppError, StudyFolderError


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """Commands that would be run, with their environment."""
    found: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], *, env: dict[str, str], check: bool) -> Any:
        found.append((command, env))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(app.subprocess, "run", run)
    return found


def test_it_serves_this_machine_alone_and_names_the_study(started: Any, tmp_path: Path) -> None:
    assert app.serve(tmp_path, port=9001, open_browser=False) == 0
    assert app.serve() == 0
    (command, env), (other, bare) = started
    assert "--Voila.ip=127.0.0.1" in command
    assert {"--port=9001", "--no-browser", str(app.NOTEBOOK)} <= set(command)
    assert env[app.STUDY] == str(tmp_path)
    assert "--no-browser" not in other
    assert app.STUDY not in bare
    assert bare.items() <= dict(os.environ).items()


def test_an_interrupt_is_how_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app.subprocess, "run", interrupted)
    assert app.serve() == 0


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
    monkeypatch.setattr(app, "find_spec", lambda name: None)
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
