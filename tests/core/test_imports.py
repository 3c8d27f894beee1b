import subprocess
import sys


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
