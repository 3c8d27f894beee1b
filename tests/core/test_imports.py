import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import dissect_core.detectors


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_needs_numpy_and_pydantic_only() -> None:
    loaded = run(
        "import sys; before = set(sys.modules); import dissect_core; "
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
    ).split()
    assert "dissect_core" in loaded
    unwanted = {"torch", "mmdet", "mmcv", "mmengine", "scipy", "pyarrow", "matplotlib", "ipywidgets"}
    assert not unwanted & set(loaded)


def test_names_are_imported_when_they_are_used() -> None:
    loaded = run(
        "import sys, dissect_core, dissect_core.detectors as detectors; dir(dissect_core)\n"
        "from dissect_core import StudyError\n"
        "print(*sorted(m for m in sys.modules if m.startswith(('numpy', 'dissect_core'))))"
    ).split()
    assert not {"dissect_core.plan", "dissect_core.detectors._conformance"} & set(loaded)
    assert "dissect_core.errors" in loaded


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("dissect_core.store", {"numpy", "pyarrow", "pydantic"}),
        ("dissect_core.store._study", {"torch", "pydantic", "dissect_core.spec", "dissect_core.detectors"}),
        ("dissect_core.engine", {"numpy", "pyarrow", "pydantic", "torch"}),
        ("dissect_core.engine._run", {"torch", "ray"}),
    ],
)
def test_a_study_is_read_and_run_without_what_it_does_not_need(module: str, unwanted: set[str]) -> None:
    pytest.importorskip("pyarrow")
    loaded = run(f"import sys, {module}\nprint(*sys.modules)").split()
    assert module in loaded
    assert not unwanted & set(loaded)


@pytest.mark.parametrize("package", [dissect_core, dissect_core.detectors])
def test_every_public_name_is_there(package: Any) -> None:
    assert set(package.__all__) <= set(dir(package))
    assert all(getattr(package, name) is not None for name in package.__all__)
    others = {n for n in dir(package) if n[0] != "_" and not isinstance(getattr(package, n), ModuleType)}
    assert others - {"TYPE_CHECKING", "names_when_used"} == set(package.__all__)
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nothing'"):
        _ = package.nothing
    assert dissect_core.errors.StudyError is dissect_core.StudyError  # a folder's name does as well


def test_without_torch_the_error_says_what_to_install() -> None:
    out = run(
        "import sys; sys.modules['torch'] = None\n"
        "import dissect_core\n"
        "try:\n    import dissect_core.torch\n"
        "except dissect_core.MissingDependencyError as error:\n    print(error.name, '|', error)"
    )
    assert out.startswith("torch | `dissect_core.torch` needs torch")
    assert 'pip install "dissect-core[torch]"' in out


def test_a_broken_torch_is_not_called_missing() -> None:
    out = run(
        "import sys, types, importlib.abc\n"
        "class Broken(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'torch': raise ModuleNotFoundError('No module named libfoo', name='libfoo')\n"
        "sys.meta_path.insert(0, Broken())\n"
        "try:\n    import dissect_core.torch\n"
        "except ModuleNotFoundError as error:\n    print(type(error).__name__, error.name)"
    )
    assert out.strip() == "ModuleNotFoundError libfoo"
