"""The environment that `make` sets up: consistent, and at home on a machine without a screen."""

import re
import subprocess
import sys
from importlib.metadata import distributions, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def made_by_make() -> bool:
    return Path(sys.prefix).resolve() == (ROOT / ".venv").resolve()


def test_opencv_is_the_headless_build() -> None:
    """The desktop build needs libGL and X libraries, which servers lack."""
    if not made_by_make():
        pytest.skip("not the environment of `make`, which installs the headless build")
    import cv2

    gui = re.search(r"GUI:\s*(\S+)", cv2.getBuildInformation())
    assert gui is not None
    assert gui[1] == "NONE"


def test_requirements_agree() -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def pins() -> dict[str, str]:
    """Pinned version of each package for this Python."""
    newer = sys.version_info >= (3, 11)
    found = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        pin, _, marker = line.partition(";")
        wrong = ("<" in marker and newer) or (">=" in marker and not newer)
        if "==" in pin and not wrong:
            name, pinned = pin.strip().split("==")
            found[name.lower().replace("_", "-")] = pinned
    return found


def test_everything_installed_is_pinned() -> None:
    if not made_by_make():
        pytest.skip("not the environment of `make`, which installs from constraints.txt")
    ours = {
        "dissect-core",
        "dissect-eval",
        "dissect-mmdet",
        "dissect-transformers",
        "deep-dissect",
        "dissect-widgets",
        "opencv-python",
    }
    installed = (
        {d.metadata["Name"].lower().replace("_", "-") for d in distributions()} - ours - {"setuptools"}
    )
    pinned = pins()
    assert sorted(installed - pinned.keys()) == []
    for name in installed:
        assert version(name).split("+")[0] == pinned[name]


def test_no_index_host_and_no_lock_file() -> None:
    for name in ("constraints.txt", "requirements-dev.txt", "pyproject.toml", "Makefile"):
        assert "://" not in (ROOT / name).read_text(encoding="utf-8")
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    assert not re.search(r"(uv|poetry|Pipfile)\.lock", tracked)
