"""The command line, called as a user calls it."""

from pathlib import Path

import pytest

from dissect_core import MissingDependencyError


def install_adapter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that offers the toy detector under the name ``toy``."""
    info = folder / "site" / "toy_plugin-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-plugin\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[dissect.detectors]\ntoy = toy_detector:open_toy\n")
    monkeypatch.syspath_prepend(str(info.parent))


def skip_without_mmdet() -> None:
    """Skip the test at hand where MMDetection is missing."""
    try:
        from dissect_mmdet import require_mmdet

        require_mmdet()
    except (ImportError, MissingDependencyError):
        pytest.skip("mmdet is not installed")


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of ``deep-dissect``; skips where MMDetection is missing."""
    skip_without_mmdet()
    from deep_dissect.cli import main

    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err
