"""Each package builds as a wheel that works alone, with nothing installed but what its metadata names."""

import email
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "dissect-core": "dissect_core",
    "dissect-eval": "dissect_eval",
    "dissect-mmdet": "dissect_mmdet",
    "dissect-transformers": "dissect_transformers",
    "deep-dissect": "deep_dissect",
    "dissect-widgets": "dissect_widgets",
}

pytestmark = pytest.mark.packaging


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wheels")
    for name in PACKAGES:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*command, "-w", str(folder), str(ROOT / "packages" / name)], check=True)
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in PACKAGES}


def test_each_wheel_says_what_it_is(wheels: dict[str, Path]) -> None:
    for name, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            metadata = email.message_from_bytes(
                archive.read(next(entry for entry in names if entry.endswith(".dist-info/METADATA")))
            )
        assert metadata["Name"] == name
        assert metadata["Requires-Python"] == ">=3.10"
        assert len(str(metadata.get_payload())) > 200, "the README is missing"
        assert f"{PACKAGES[name]}/py.typed" in names


def test_the_demo_travels_in_the_wheel(wheels: dict[str, Path]) -> None:
    with zipfile.ZipFile(wheels["dissect-mmdet"]) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    for detector in ("detr", "deformable_detr", "dino"):
        assert f"dissect_mmdet/demo/configs/{detector}.py" in sizes
        assert 1_000_000 < sizes[f"dissect_mmdet/demo/weights/{detector}.pth"] <= 12 * 2**20
    with zipfile.ZipFile(wheels["deep-dissect"]) as archive:
        names = archive.namelist()
    assert "deep_dissect/studies/layer_knockout.yaml" in names
    assert "deep_dissect/report/report.html.jinja" in names
    with zipfile.ZipFile(wheels["dissect-widgets"]) as archive:
        assert "dissect_widgets/app/workbench.ipynb" in archive.namelist()


@pytest.mark.parametrize("name", PACKAGES)
def test_each_wheel_installs_alone(name: str, wheels: dict[str, Path], tmp_path: Path) -> None:
    """Into an empty environment, siblings given by path, everything else from the index as metadata asks."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    siblings = {
        "dissect-core": [],
        "dissect-eval": [],
        "dissect-mmdet": ["dissect-core", "dissect-eval"],
        "dissect-transformers": ["dissect-core", "dissect-eval"],
        "deep-dissect": ["dissect-core", "dissect-eval"],
        "dissect-widgets": ["dissect-core", "dissect-eval", "deep-dissect"],
    }[name]
    files = [str(wheels[each]) for each in (name, *siblings)]
    constraints = ["-c", str(ROOT / "constraints.txt")]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-compile", *constraints, *files], check=True, cwd=tmp_path
    )
    check = f"import {PACKAGES[name]} as p; print(p.__file__); assert p.__all__"
    done = subprocess.run(
        [str(python), "-c", check], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert str(tmp_path) in done.stdout
    subprocess.run([*pip, "check"], check=True, capture_output=True)
    if name == "dissect-mmdet":
        say = "import dissect_mmdet; dissect_mmdet.require_mmdet()"
        told = subprocess.run([str(python), "-c", say], capture_output=True, text=True, check=False)
        assert 'pip install "dissect-mmdet[lite]"' in told.stderr
    if name == "dissect-transformers":
        say = "import dissect_transformers; dissect_transformers.require_transformers()"
        told = subprocess.run([str(python), "-c", say], capture_output=True, text=True, check=False)
        assert 'pip install "dissect-transformers[full]"' in told.stderr
    if name == "deep-dissect":
        command = [str(python.with_name("deep-dissect")), "studies"]
        assert "layer_knockout" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
