"""Roles that rules say: given by the caller, or brought by an installed package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from dissect_core.torch import anatomy_of  # noqa: E402


def paths(anatomy: Any, role: str) -> list[str]:
    return [block.path for block in anatomy.select_blocks(role)]


def test_a_rule_says_what_structure_does_not_show() -> None:
    def rule(path: str, module: Any) -> list[str]:
        return {
            "refine": ["decoder"],
            "labels": ["query_embedding"],
            "classes": ["head.cls", "head"],
            "refine.layers.1": ["last"],
        }.get(path, [])

    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.ModuleDict(
        {
            "refine": nn.TransformerEncoder(layer, 2),
            "labels": nn.Embedding(5, 8),
            "classes": nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)),
        }
    )
    assert anatomy_of(model).roles[:2] == ("encoder", "encoder.ffn")
    anatomy = anatomy_of(model, roles=[rule])
    assert not any(role.startswith("encoder") for role in anatomy.roles)
    assert paths(anatomy, "decoder.self_attn") == ["refine.layers.0.self_attn", "refine.layers.1.self_attn"]
    assert anatomy.select_blocks("last")[0].roles == ("last", "decoder.layer", "layer")
    assert anatomy.component("classes.0.bias").role == "head.cls"
    assert anatomy.component("classes.1.bias").role == "head.norm"
    assert [(g.path, g.n_units) for g in anatomy.groups if g.unit == "query"] == [("labels", 5)]


def test_a_rule_of_the_caller_that_fails_says_so() -> None:
    def rule(path: str, module: Any) -> list[str]:
        raise RuntimeError(path)

    with pytest.raises(RuntimeError, match="0"):
        anatomy_of(nn.Sequential(nn.Linear(2, 2)), roles=[rule])


def install(folder: Path, name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[dissect.roles]\n{name} = {name}:rule\n")
    if str(folder) not in sys.path:
        monkeypatch.syspath_prepend(str(folder))


@pytest.mark.parametrize("code", ["import no_such_thing", "def rule(path, module): raise KeyError(path)", ""])
def test_a_broken_rule_is_named_and_not_fatal(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"broken{len(code)}"
    install(tmp_path, name, code, monkeypatch)
    install(tmp_path, f"good_{name}", "def rule(path, module):\n    return ['good']\n", monkeypatch)
    with pytest.warns(
        RuntimeWarning, match=rf"role rule '{name}' \({name}:rule\) does not work.*mend or remove"
    ):
        anatomy = anatomy_of(nn.Sequential(nn.Linear(2, 2)))
    assert paths(anatomy, "good") == ["0"]
