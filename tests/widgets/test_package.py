import re
import subprocess
import sys
from pathlib import Path

import pytest

import dissect_widgets

README = Path(__file__).parents[2] / "packages" / "dissect-widgets" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_there_is_an_example() -> None:
    assert BLOCKS


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_run_as_printed(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block, str(README), "exec"), {"__name__": "readme"})
    printed = "selected: ('encoder.layers.0.self_attn.in_proj_weight',"
    assert (printed in capsys.readouterr().out) == ("selected:" in block)


def test_everything_exported_is_there() -> None:
    assert sorted(dissect_widgets.__all__) == dissect_widgets.__all__
    assert all(hasattr(dissect_widgets, name) for name in dissect_widgets.__all__)


def test_opening_a_panel_loads_no_framework_and_no_pyplot() -> None:
    code = (
        "import sys, dissect_widgets as w; from dissect_core import Component\n"
        "w.ComponentBrowser([Component('a.b', (1,), 'float32')]).close()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "dissect_widgets" in loaded
    assert not {"torch", "mmdet", "mmengine", "mmcv", "dissect_mmdet", "matplotlib.pyplot"} & loaded
