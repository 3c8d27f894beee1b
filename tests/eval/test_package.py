from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import dissect_eval
from dissect_eval import errors

PACKAGE = Path(dissect_eval.__file__).parent
README = Path(__file__).resolve().parents[2] / "packages" / "dissect-eval" / "README.md"


def test_import_leaves_heavy_modules_unloaded():
    code = (
        "import sys, dissect_eval;"
        "heavy = {'torch', 'mmdet', 'mmengine', 'ipywidgets', 'matplotlib', 'pycocotools', 'pandas'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.strip() == "[]"


def test_all_is_complete_and_sorted():
    assert dissect_eval.__all__ == sorted(dissect_eval.__all__)
    for name in dissect_eval.__all__:
        assert getattr(dissect_eval, name).__doc__, name
    assert set(errors.__all__) <= set(dissect_eval.__all__)


def test_one_root_for_all_errors():
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, errors.DissectEvalError) or issubclass(kind, Warning)


def test_typed_marker():
    assert (PACKAGE / "py.typed").exists()


def test_readme_examples_run():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
