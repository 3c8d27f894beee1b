from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

import dissect_eval
from dissect_eval import Detections, GroundTruth, MissingExtraError, coco_ap, errors

PACKAGE = Path(dissect_eval.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "packages" / "dissect-eval" / "README.md"


def test_import_leaves_heavy_modules_unloaded():
    code = (
        "import sys, dissect_eval;"
        "heavy = {'torch', 'mmdet', 'mmengine', 'ipywidgets', 'matplotlib', 'pycocotools', 'pandas', 'scipy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.strip() == "[]"


def test_all_is_complete_and_sorted():
    # As ruff sorts it: constants first.
    assert dissect_eval.__all__ == sorted(dissect_eval.__all__, key=lambda name: (not name.isupper(), name))
    for name in dissect_eval.__all__:
        assert getattr(dissect_eval, name).__doc__, name
    assert set(errors.__all__) <= set(dissect_eval.__all__)


def test_one_root_for_all_errors():
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, errors.EvalError) or issubclass(kind, Warning)


def test_typed_marker():
    assert (PACKAGE / "py.typed").exists()


def stand_ins() -> dict[str, object]:
    """Models and files that the README's blocks assume; both models find what is there."""
    boxes, scores = [[10, 20, 110, 220], [300, 200, 380, 260]], [0.9, 0.8]
    nothing = np.zeros((0, 4)), np.zeros(0), np.zeros(0)

    def torchvision_model(images):
        keys = ("boxes", "scores", "labels")
        return [dict(zip(keys, values, strict=True)) for values in ((boxes, scores, [1, 18]), nothing)]

    class Yolo:
        names: ClassVar = {0: "dog", 1: "person"}

        def __call__(self, files, conf):
            keys = ("xyxy", "conf", "cls")
            both = ((boxes, scores, [1.0, 0.0]), nothing)
            found = (SimpleNamespace(**dict(zip(keys, values, strict=True))) for values in both)
            return [SimpleNamespace(boxes=one) for one in found]

    return {"torchvision_model": torchvision_model, "images": [], "yolo": Yolo(), "files": []}


def test_readme_examples_run(capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    names = stand_ins()
    printed = []
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
        printed.append(capsys.readouterr().out)
    frameworks, comparison = printed[1:]
    assert [float(number) for number in frameworks.split()] == pytest.approx([1, 1])
    assert [line.split()[0] for line in comparison.splitlines()] == ["whole", "whole", "ablated", "ablated"]
    assert "-" in comparison.splitlines()[3], "the ablated detector's F1 is lower"


def test_the_version_is_that_of_the_package() -> None:
    assert dissect_eval.__version__ == version("dissect-eval")


@pytest.mark.parametrize("package", sorted((ROOT / "packages").iterdir()), ids=lambda path: path.name)
def test_every_package_has_the_licence(package: Path) -> None:
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_reference_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pycocotools", "pycocotools.coco", "pycocotools.cocoeval"):
        monkeypatch.setitem(sys.modules, name, None)
    truth = GroundTruth.from_arrays([([[0, 0, 9, 9]], [1])], [1], {1: "cat"})
    found = Detections.from_arrays([([[0, 0, 9, 9]], [0.9], [0])], [1], [1])
    with pytest.raises(MissingExtraError, match=r'Run `pip install "dissect-eval\[coco\]"`'):
        coco_ap(truth, found, backend="pycocotools")
