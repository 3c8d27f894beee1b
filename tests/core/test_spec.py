"""Specs: what is accepted, what is refused and in which words, and the ways in and out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dissect_core import SpecError
from dissect_core.edits import Mean, Zero
from dissect_core.spec import Control, StudySpec, load_spec, parse_spec, spec_schema, spec_to_yaml


def study(**changes: Any) -> dict[str, Any]:
    ablation: dict[str, Any] = {
        "name": "heads",
        "target": {"unit": "head", "components": "encoder.self_attn"},
        "select": {"by": "fraction", "fractions": [0.25, 1], "repeats": 2},
    }
    return {"name": "a study", "ablations": [{**ablation, **changes}]}


def test_shorthands_are_spelt_out() -> None:
    (ablation,) = load_spec(study(interventions=["zero", {"kind": "mean"}], control="random")).ablations
    assert ablation.target.components == ("encoder.self_attn",)
    assert ablation.interventions == (Zero(), Mean())
    assert ablation.control == Control()
    assert load_spec(study(interventions="mean")).ablations[0].interventions == (Mean(),)


def test_files_say_the_same(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    content = study()
    toml = """
name = "a study"
[[ablations]]
name = "heads"
target = {unit = "head", components = "encoder.self_attn"}
select = {by = "fraction", fractions = [0.25, 1], repeats = 2}
"""
    files = {"a.json": json.dumps(content), "a.yaml": yaml.safe_dump(content), "a.toml": toml}
    specs = set()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        specs.add(load_spec(tmp_path / name).model_dump_json())
    assert specs == {load_spec(content).model_dump_json()}


def test_yaml_and_back() -> None:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    spec = load_spec(study(interventions=[{"kind": "noise", "snr_db": 3}], control={"match": "parameters"}))
    text = spec_to_yaml(spec)
    assert load_spec(yaml.safe_load(text)) == spec
    assert "bias" not in text, "defaults are left out"


def test_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_spec(study()).name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"select": {"by": "fraction", "fractions": [0.1, 5]}},
            "ablations[0].select.fractions[1]: must be within 0 and 1, got 5. For 5 % write 0.05.",
        ),
        (
            {"select": {"by": "fraction", "fractions": 0.1, "fraction": 0.1}},
            "ablations[0].select.fraction: no such field; did you mean 'fractions'?",
        ),
        ({"select": {"by": "fraction"}}, "ablations[0].select.fractions: must be given"),
        ({"select": {"by": "halves"}}, "ablations[0].select: `by` must be one of 'fraction', 'count'"),
        ({"select": {"fractions": 0.1}}, "ablations[0].select: must say `by`"),
        (
            {"select": {"by": "top", "score": "weight_norm"}},
            "ablations[0].select: give either `fractions` or `counts`",
        ),
        (
            {"target": {"unit": "hed", "components": "a"}},
            "ablations[0].target: `unit` must be one of 'element'",
        ),
        (
            {"target": {"unit": "layer", "components": "a"}, "interventions": "mean"},
            "ablations[0]: the unit 'layer' changes the model's structure and no values: leave `interventions` out",
        ),
        (
            {
                "target": {"unit": "row", "components": "a"},
                "select": {"by": "top", "score": "head_importance", "counts": 1},
            },
            "ablations[0]: `score: head_importance` is defined for heads, not for the unit 'row'",
        ),
        ({"interventions": [{"kind": "constant"}]}, "ablations[0].interventions[0].value: must be given"),
        ({"name": "a/b"}, "ablations[0].name: must be one line without a slash"),
        ({"control": {"source": "anywhere"}}, "ablations[0].control: `source: anywhere` needs"),
    ],
)
def test_messages_name_path_rule_and_value(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(study(**changes))
    assert any(line.strip().startswith(message) for line in str(caught.value).splitlines()), caught.value
    assert len(str(caught.value).splitlines()) == 2, "one problem, one line"


def test_all_problems_at_once() -> None:
    content = study(name=" ")
    content["ablatons"] = 1
    with pytest.raises(SpecError) as caught:
        load_spec(content)
    assert "ablatons: no such field; did you mean 'ablations'?" in str(caught.value)
    assert "ablations[0].name" in str(caught.value)


@pytest.mark.parametrize(
    ("execution", "message"),
    [
        ({"engine": "ray", "worker": 2}, "execution.worker: no such field; did you mean 'workers'?"),
        ({"engine": "ray", "address": "ray://head:10001"}, "execution.address: must be `auto` or host:port"),
        (
            {"engine": "ray", "cpus_per_worker": 0},
            "execution.cpus_per_worker: must be greater than 0",
        ),
        (
            {"engine": "ray", "workers": 10**9},
            "execution.workers: must be less than or equal to 10000, got 1000000000",
        ),
        (
            {"engine": "ray", "cpus_per_worker": 1e300},
            "execution.cpus_per_worker: must be less than or equal to 10000",
        ),
        ("rays", "execution: `engine` must be one of 'local', 'ray', got 'rays'; did you mean 'ray'?"),
    ],
)
def test_messages_about_where_it_runs(execution: Any, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec({**study(), "execution": execution})
    assert str(caught.value).splitlines()[-1].strip().startswith(message), caught.value


def test_names_are_unique() -> None:
    content = study()
    content["ablations"] *= 2
    with pytest.raises(
        SpecError, match="the study: `name` must be unique among the ablations, got heads more"
    ):
        load_spec(content)


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(
        SpecError, match=r"schema_version: must be at most 1 for this Deep Dissect, got 2. Install"
    ):
        load_spec({**study(), "schema_version": 2, "new": 1})


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.yaml", "name: [", "a.yaml is not valid YAML"),
        ("a.json", "{", "a.json is not valid JSON"),
        ("a.toml", "name", "a.toml is not valid TOML"),
        ("a.txt", "", "must end in .yaml, .yml, .json or .toml, got '.txt'"),
        ("a.json", "[]", "must be a mapping with `name` and `ablations`, got list"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, text: str, match: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SpecError, match=match):
        load_spec(tmp_path / name)
    with pytest.raises(SpecError, match="cannot be read"):
        load_spec(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("name", "text", "line", "key", "before"),
    [
        ("a.yaml", "name: a\nseed: 1\nname: b\n", 3, "name", "in line 1"),
        (
            "a.yaml",
            "name: a\nablations:\n  - name: b\n    target:\n      unit: row\n      unit: head\n",
            6,
            "unit",
            "in line 5",
        ),
        ("a.yml", 'name: a\n"seed": 1\nseed: 2\n', 3, "seed", "in line 2"),
        ("a.yaml", "name: a\nexecution: {engine: ray, engine: local}\n", 2, "engine", "in this line"),
        ("a.json", '{"name": "a",\n"seed": 1,\n"name": "b"}', 3, "name", "in line 1"),
        ("a.json", '{"x": [{"y": "}: {"}, {"z": 1,\n\n"z": [1]}]}', 3, "z", "in line 1"),
        ("a.json", '{"a\\"": 1,\n"a\\"": 2}', 2, 'a"', "in line 1"),
    ],
)
def test_a_repeated_key_is_named_with_its_line(
    tmp_path: Path, name: str, text: str, line: int, key: str, before: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SpecError) as raised:
        load_spec(tmp_path / name)
    assert f"{name}, line {line}: `{key}` is given already {before}" in str(raised.value)


def test_keys_that_only_look_repeated_are_read(tmp_path: Path) -> None:
    merged = parse_spec("x: &x {a: 1, b: 2}\ny: {<<: *x, a: 3}\nz: {a: 4}\n")
    assert merged == {"x": {"a": 1, "b": 2}, "y": {"a": 3, "b": 2}, "z": {"a": 4}}
    text = '{"a": {"a": "a:", "b": ["a", "a", {"a": 1}, {"a": 2}]}, "b": {}}'
    assert parse_spec(text, ".json") == json.loads(text)


def test_the_schema_describes_every_field() -> None:
    schema = spec_schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    models = [schema, *schema["$defs"].values()]
    silent = [
        f"{model['title']}.{name}"
        for model in models
        for name, field in model.get("properties", {}).items()
        if name != "kind" and "description" not in field
    ]
    assert not silent
    assert all(model.get("additionalProperties") is False for model in models if "properties" in model)
    StudySpec.model_validate(study())


@pytest.mark.parametrize("value", ["!!bool x", "!!int ''", "!!float ''", "!!timestamp x", "2001-99-99"])
def test_a_value_that_its_tag_contradicts_is_refused(value: str) -> None:
    with pytest.raises(SpecError, match="is not valid YAML"):
        parse_spec(f"name: {value}")
