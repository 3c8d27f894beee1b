"""The compiled mmcv that the operators are compared with, in a folder and a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from real_data import needed

WHEEL = "wheels/mmcv-2.1.0-cp311-cp311-linux_x86_64.whl"


@pytest.fixture(scope="session")
def compiled_mmcv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a compiled mmcv, not on this process's path."""
    wheel = needed(WHEEL)
    fits = sys.version_info[:2] == (3, 11) and platform.system() == "Linux" and platform.machine() == "x86_64"
    if not fits or platform.python_implementation() != "CPython":
        pytest.skip("the compiled mmcv is for CPython 3.11 on x86-64 Linux")
    if not torch.__version__.startswith("2.13."):
        pytest.skip(f"the compiled mmcv is for torch 2.13, this is {torch.__version__}")

    def install(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
        subprocess.run([*command, "--target", str(folder), str(wheel)], check=True, capture_output=True)

    return once(tmp_path_factory, "compiled-mmcv", install)


def once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Make something in the first of pytest-xdist's workers that asks for it, and give it to all of them."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with FileLock(folder / f"{name}.lock"):
        if not (folder / name).exists():
            make(folder / f"{name}-in-the-making")
            (folder / f"{name}-in-the-making").rename(folder / name)
    return folder / name


def run_child(folder: Path | None, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python with this process's path, a folder (if any) in front of it."""
    path = [str(folder)] if folder else []
    path += [entry for entry in sys.path if entry]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="session")
def reference(compiled_mmcv: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give everything that the compiled mmcv says, from one child process."""
    cases = str(Path(__file__).with_name("parity_cases.py"))
    out = once(
        tmp_path_factory,
        "reference.pt",
        lambda path: run_child(compiled_mmcv, cases, str(path), "--detectors"),
    )
    found: dict[str, Any] = torch.load(out, weights_only=True)
    assert found["backend"] == "compiled"
    return found


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give what the stand-in says to the same calls, also from a child process."""
    cases = str(Path(__file__).with_name("parity_cases.py"))
    out = once(tmp_path_factory, "ours.pt", lambda path: run_child(None, cases, str(path), "--detectors"))
    found: dict[str, Any] = torch.load(out, weights_only=True)
    if found["backend"] == "compiled":
        pytest.skip("a compiled mmcv is installed here, so the stand-in is not in use")
    return found
