"""A fresh seed for tests of random models, printed, and the same for all workers; signals as at a terminal."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from quick import LONG

collect_ignore = ["hostile_mark.py"]  # which leaves a file wherever it is imported

# Set where the run begins: workers inherit it.
os.environ.setdefault(
    "DISSECT_TEST_KEPT", "0"
)  # random models change it: it has to be there before replay looks
os.environ["DEEP_DISSECT_STATE"] = ""  # tests are no studies that anybody wants to find again
os.environ.setdefault("DISSECT_RANDOM_SEED", str(secrets.randbelow(2**31)))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take ``--quick``, which `make quick` gives."""
    parser.addoption("--quick", action="store_true", help="leave out files of tests that take long")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files that take long, with ``--quick``."""
    return True if config.getoption("--quick") and collection_path.stem in LONG else None


def pytest_report_header() -> str:
    """Say the seed, to run the same again."""
    return f"random models: DISSECT_RANDOM_SEED={os.environ['DISSECT_RANDOM_SEED']}"


def pytest_configure() -> None:
    """Take back that signals are ignored, as in the background or below nohup: processes of tests would inherit it."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
        (getattr(signal, "SIGHUP", signal.SIGTERM), signal.SIG_DFL),
    ):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def own_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep bundled scenes out of the user's folder for caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEP_DISSECT_CACHE", str(tmp_path_factory.getbasetemp() / "caches"))
        yield
