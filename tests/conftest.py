"""A fresh seed for tests of random models, printed, and the same for all workers."""

from __future__ import annotations

import os
import secrets

# Set where the run begins: workers inherit it.
os.environ.setdefault("DISSECT_RANDOM_SEED", str(secrets.randbelow(2**31)))


def pytest_report_header() -> str:
    """Say the seed, to run the same again."""
    return f"random models: DISSECT_RANDOM_SEED={os.environ['DISSECT_RANDOM_SEED']}"
