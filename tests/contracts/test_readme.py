"""The Python blocks of the READMEs run, and the README's numbers are the checkpoints' own."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from dissect_core.plan import plan, weight_norms
from dissect_core.spec import load_spec
from dissect_mmdet import load_mmdet_checkpoint, open_mmdet
from dissect_mmdet.demo import DEMO_DETECTORS, demo_files

ROOT = Path(__file__).parents[2]
READMES = [ROOT / "README.md", ROOT / "packages" / "dissect-mmdet" / "README.md"]


def python_blocks(readme: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_python_blocks_run(
    readme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = python_blocks(readme)
    assert blocks
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}  # nothing is defined before; the blocks build on each other
    for block in blocks:
        exec(compile(block, str(readme), "exec"), names)
    assert "weights changed" in capsys.readouterr().out


def test_the_study_of_the_readme_is_valid() -> None:
    (block,) = re.findall(
        r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    files = demo_files("detr")
    anatomy = open_mmdet(config=files.config, checkpoint=files.checkpoint).anatomy
    arrays = {c.name: np.ones(c.shape) for c in anatomy.components}
    spec = load_spec(yaml.safe_load(block))
    variants = plan(spec, anatomy, weight_norms(spec, anatomy, arrays))
    kinds = [variant.kind for variant in variants]
    assert kinds.count("ablation") == 15 + 12
    assert {variant.space for variant in variants} == {"weight", "activation"}
    assert kinds.count("control") == 12


def test_pictures_and_links_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    assert len(targets) > 5
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_stated_metrics_are_the_checkpoints_own() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, title in DEMO_DETECTORS.items():
        metrics = load_mmdet_checkpoint(demo_files(name).checkpoint)["meta"]["test_metrics"]
        row = next(line for line in text.splitlines() if line.startswith(f"| {title} |"))
        assert f"{metrics['bbox_mAP']:.3f}" in row
        assert f"{metrics['bbox_mAP_50']:.3f}" in row
