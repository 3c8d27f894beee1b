import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ipywidgets import VBox

import dissect_widgets
from dissect_widgets import StudyBuilder

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


def test_no_panel_hides_what_a_widget_needs() -> None:
    panels = {each.__name__: each for each in every_subclass(VBox) if each.__module__.startswith("dissect")}
    assert {"Workbench", "ResultsExplorer", "ImageSheet", "ModelStep"} <= set(panels)
    for name, panel in panels.items():
        own = {key for key in vars(panel) if not key.startswith("__")} - {"close", "_repr_mimebundle_"}
        # What a plain box has, and what traitlets keep for every class of their own.
        hidden = {
            key
            for key in own & set(dir(VBox))
            if not key.startswith(("_trait", "_all_trait", "_static", "_instance", "_descriptors"))
        }
        assert not hidden, f"{name} has its own {', '.join(sorted(hidden))}"


def every_subclass(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from every_subclass(each)


def test_what_is_displayed_holds_plain_html_for_pages_without_widgets() -> None:
    panel = StudyBuilder()
    bundle = panel._repr_mimebundle_()
    assert bundle["text/html"] == panel.snapshot()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    panel.close()
