"""The app's command, its notebook, and what is told when it cannot be served."""

import json
import os
import socket
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("voila")

from typer.testing import CliRunner

from dissect_widgets import app
from dissect_widgets.app import _server
from dissect_widgets.errors import DissectWidgetsError, MissingAppError, StudyFolderError
from studies import SlowToy, toy_spec


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, str | None, str | None]]:
    """What the server is told, and the study and the folder that its kernels would see."""
    found: list[tuple[Any, str | None, str | None]] = []

    def launched(*, argv: list[str], config: Any, say: Any) -> None:
        assert argv == []
        found.append((config, os.environ.get(app.STUDY), os.environ.get(app.FOLDER)))
        say(f"on port {config.Voila.port}")

    monkeypatch.setattr(_server.App, "launch_instance", launched)
    for name in (app.STUDY, app.FOLDER):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return found


def test_it_serves_this_machine_alone_and_names_the_study(started: Any, tmp_path: Path) -> None:
    said: list[str] = []
    assert app.serve(port=9000, say=said.append) == 0
    assert app.serve(tmp_path, port=9001, open_browser=False, say=said.append, pages=2, idle=30) == 0
    (other, bare, _), (told, study, folder) = started
    assert (told.Voila.ip, told.Voila.port, told.Voila.notebook_path) == (
        "127.0.0.1",
        9001,
        str(app.NOTEBOOK),
    )
    assert (other.Voila.open_browser, told.Voila.open_browser) == (True, False)
    assert (told.Kernels.most, told.Kernels.cull_idle_timeout) == (2, 30)
    assert (bare, study, folder) == (None, str(tmp_path), str(Path.cwd()))
    assert said == ["on port 9000", "on port 9001"]


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
    monkeypatch.delitem(sys.modules, "dissect_widgets.app._server")
    monkeypatch.setitem(sys.modules, "voila", None)
    monkeypatch.setitem(sys.modules, "voila.app", None)
    with pytest.raises(MissingAppError, match=r'pip install "dissect-widgets\[app\]"'):
        app.serve()
    assert started == []


def test_its_notebook_opens_the_study(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = json.loads(app.NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    source = "".join(cells[0]["source"])
    monkeypatch.chdir(app.NOTEBOOK.parent)  # where its kernel begins
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.setenv(app.FOLDER, str(tmp_path))
    for study, text in ((str(folder), "10 images"), ("", "Choose a detector.")):
        monkeypatch.setenv(app.STUDY, study)
        names: dict[str, Any] = {}
        exec(source.replace("\nopen_workbench()", "\nworkbench = open_workbench()"), names)
        assert text in names["workbench"].snapshot()
        names["workbench"].close()
    assert Path.cwd() == tmp_path, (
        "what is written by a relative name is not written among the program's files"
    )
    assert "" not in sys.path, "nor is a module of a stranger's folder found"


def test_a_kernel_says_while_it_runs_a_study(
    split: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "at-work"
    monkeypatch.setenv(app.AT_WORK, str(mark))
    monkeypatch.setenv(app.FOLDER, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(app.STUDY, raising=False)
    workbench = app.open_workbench(
        detector=SlowToy(),
        study=toy_spec(),
        images=split.images,
        annotations=split.annotations,
        out=tmp_path / "out",
    )
    assert not mark.exists()
    workbench.run.start()
    assert mark.exists()
    workbench.run.cancel()
    assert workbench.run.wait(60) == "cancelled"
    assert not mark.exists()
    workbench.close()


def test_the_command_line_finds_it_by_entry_point(started: Any, tmp_path: Path) -> None:
    pytest.importorskip("dissect_mmdet")
    from deep_dissect.cli import app as command_line

    assert [one.value for one in entry_points(group="dissect.apps")] == ["dissect_widgets.app:serve"]
    done = CliRunner().invoke(command_line, ["app", str(tmp_path), "--port", "9002", "--no-browser"])
    assert done.exit_code == 0, done.output
    assert "on port 9002" in done.output
    assert started[0][0].Voila.port == 9002


def test_without_the_panels_the_command_line_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dissect_mmdet")
    from deep_dissect.cli import _app

    monkeypatch.setattr(_app, "entry_points", lambda **_: ())
    with pytest.raises(Exception, match="The app needs dissect-widgets"):
        _app.app_()
