"""The package's README runs as it is pasted."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "packages/deep-dissect/README.md"


def test_the_readme_runs_with_nothing_else_defined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, str(README), "exec"), {})
    assert (tmp_path / "layers.png").is_file()
    assert capsys.readouterr().out.rstrip().endswith("report.html")


def test_the_readme_names_what_is_there() -> None:
    import deep_dissect as dd
    from deep_dissect import v1

    text = README.read_text(encoding="utf-8")
    assert all(f"`{name}" in text for name in dd.__all__ if name not in {*v1.__all__, *UNNAMED})


UNNAMED = {"Comparison", "Detector", "Slimmed", "latex_table", "write_report"}
"""What the README's table leaves out: it is met as the result of what is named."""
