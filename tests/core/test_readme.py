import re
from pathlib import Path

import pytest

pytest.importorskip("torch")

README = Path(__file__).parents[2] / "packages" / "dissect-core" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_there_is_an_example() -> None:
    assert BLOCKS


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_run_as_printed(block: str) -> None:
    if "import ViT" in block:
        pytest.importorskip("transformers")
    exec(compile(block, str(README), "exec"), {"__name__": "readme"})
