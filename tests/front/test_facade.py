"""What ``import deep_dissect`` gives, and what it leaves unloaded."""

import subprocess
import sys

import deep_dissect as dd
from deep_dissect import v1


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_front_door_is_small_and_every_name_is_there() -> None:
    names = [name for name in dd.__all__ if name not in v1.__all__]
    assert len(names) <= 25
    assert all(getattr(dd, name) is not None for name in names)
    assert set(names) <= set(dir(dd))


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = ("torch", "pyarrow", "pydantic", "numpy", "matplotlib", "pandas", "dissect_mmdet", "typer")
    code = f"import sys, deep_dissect as dd; dd.__version__; print([m for m in {heavy} if m in sys.modules])"
    assert fresh(code) == "[]"
    code = "import sys, deep_dissect as dd; dd.run_study, dd.compare, dd.CocoSplit; print('torch' in sys.modules)"
    assert fresh(code) == "False"


def test_modules_of_version_1_are_imported_by_their_old_names() -> None:
    for name in v1.SUBMODULES:
        code = (
            f"import deep_dissect.{name} as one, deep_dissect.v1.{name} as other\n"
            f"from deep_dissect.{name} import *\n"
            "print(all(getattr(one, name) is globals()[name] is getattr(other, name) for name in other.__all__))"
        )
        assert fresh(code) == "True", name


def test_one_except_catches_the_errors_of_all() -> None:
    from deep_dissect.errors import ImageFilesError
    from dissect_core import StudyError
    from dissect_eval.errors import StudyDataError

    assert all(issubclass(error, dd.ERRORS) for error in (ImageFilesError, StudyError, StudyDataError))
