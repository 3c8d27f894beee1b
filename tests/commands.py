"""The command line, called as a user calls it."""

import pytest

from dissect_core import MissingDependencyError


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
