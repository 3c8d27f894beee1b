"""The command line, called as a user calls it."""

import pytest

from dissect_core import MissingDependencyError


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of ``deep-dissect``; skips where MMDetection is missing."""
    try:
        from dissect_mmdet import require_mmdet
        from dissect_mmdet.cli import main

        require_mmdet()
    except (ImportError, MissingDependencyError):
        pytest.skip("mmdet is not installed")
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err
