"""Imports between the packages go one way, and importing one of them leaves heavy libraries alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ALLOWED: dict[str, set[str]] = {
    "dissect_core": set(),
    "dissect_eval": set(),
    "dissect_mmdet": {"dissect_core", "dissect_eval"},
    "dissect_transformers": {"dissect_core", "dissect_eval"},
    "deep_dissect": {"dissect_core", "dissect_eval"},
    "dissect_widgets": {"dissect_core", "dissect_eval", "deep_dissect"},
}

UNLOADED: dict[str, set[str]] = {
    "dissect_core": {"torch", "mmdet", "mmengine", "mmcv", "ipywidgets", "matplotlib", "dissect_eval"},
    "dissect_eval": {"torch", "mmdet", "mmengine", "ipywidgets", "matplotlib", "pycocotools", "dissect_core"},
    "dissect_mmdet": {"mmdet", "mmengine", "mmcv", "cv2", "ipywidgets", "matplotlib"},
    "dissect_transformers": {"torch", "transformers", "huggingface_hub", "mmdet", "ipywidgets", "matplotlib"},
    "deep_dissect": {
        "torch",
        "mmdet",
        "mmengine",
        "mmcv",
        "numpy",
        "pyarrow",
        "matplotlib",
        "dissect_mmdet",
        "dissect_transformers",
        "typer",
    },
    "dissect_widgets": {"torch", "mmdet", "mmengine", "mmcv", "dissect_mmdet", "dissect_transformers"},
}


def imported_names(file: Path) -> list[tuple[int, str]]:
    """Line and top-level name of every absolute import, those inside functions included."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name.split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append((node.lineno, (node.module or "").split(".")[0]))
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_siblings_import_one_way(package: str) -> None:
    files = sorted(ROOT.glob(f"packages/*/src/{package}/**/*.py"))
    assert files, f"no source found for {package}"
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in files
        for line, name in imported_names(file)
        if name in ALLOWED.keys() - {package} - ALLOWED[package]
    ]
    assert not wrong


def test_a_wrong_way_import_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("def late():\n    from dissect_mmdet.ops import nms\n", encoding="utf-8")
    assert imported_names(file) == [(2, "dissect_mmdet")]


@pytest.mark.parametrize("package", UNLOADED)
def test_an_import_leaves_heavy_libraries_unloaded(package: str) -> None:
    code = f"import sys, {package}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not UNLOADED[package] & set(done.stdout.split())
