"""Real data for tests: trained detectors, photographs and references, which lie beside the repository and not in it.

`DISSECT_TEST_DATA` names their folder, with ``data``, ``reference`` and ``wheels`` in it. Without it that is ``shared``
beside the checkout. A test that needs what is not there is skipped, and says what it looked for.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared"


def data_path(name: str) -> Path:
    """Give the path of a file or folder of the test data, whether or not it is there."""
    return Path(os.environ.get("DISSECT_TEST_DATA") or _BESIDE) / name


def needed(name: str) -> Path:
    """Give the path of a file or folder of the test data, or skip the test."""
    path = data_path(name)
    if not path.exists():
        pytest.skip(f"needs the test data {name}: DISSECT_TEST_DATA names their folder, {path} is not there")
    return path
