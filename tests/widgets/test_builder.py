"""The study builder: its form covers the format, its errors stand beside their fields, and YAML goes both ways."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ipywidgets.widgets.widget import _instances

from dissect_core import Component, SpecError
from dissect_core.anatomy import Anatomy
from dissect_core.plan import plan
from dissect_core.spec import load_spec, spec_schema
from dissect_widgets import DraftError, SpecModel, StudyBuilder, UnknownNameError
from dissect_widgets.builder._form import form_of
from dissect_widgets.builder._form_schema import SchemaReader

STUDIES = sorted(
    (Path(__file__).parents[2] / "packages/deep-dissect/src/deep_dissect/studies").glob("*.yaml")
)
ANATOMY = Anatomy((Component("query_embedding.weight", (100, 256), "float32"),))
TARGET = ("ablations", 0, "target")
SELECT = ("ablations", 0, "select")


def queries() -> dict[str, Any]:
    target = {"unit": "row", "components": "query_embedding.*"}
    select = {"by": "fraction", "fractions": [0.05, 0.5], "repeats": 2}
    return {"name": "queries", "ablations": [{"name": "queries", "target": target, "select": select}]}


@pytest.fixture
def builder() -> Iterator[StudyBuilder]:
    panel = StudyBuilder(queries(), anatomy=ANATOMY)
    yield panel
    panel.close()


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_studies_fill_the_form_and_come_back_as_they_were(path: Path) -> None:
    spec = load_spec(path)
    panel = StudyBuilder(path)
    assert panel.model.spec == spec
    text = panel.text.value
    other = StudyBuilder()
    other.text.value = text
    other.apply.click()
    assert other.model.spec == spec
    assert other.text.value == text
    # Every value that the draft holds has a row of its own, but for the tags, which are their group's choice.
    for n, ablation in enumerate(spec.ablations):
        assert panel.row("ablations", n, "target").member.value == ablation.target.unit
        assert panel.row("ablations", n, "select").member.value == ablation.select.by
        assert panel.row("ablations", n, "name").control.value == ablation.name
        shown = panel.row("ablations", n, "target", "components").control.value
        assert tuple(shown.split(", ")) == ablation.target.components
    panel.close()
    other.close()


def test_every_field_of_every_member_is_in_the_form() -> None:
    schema = spec_schema()
    reader = SchemaReader(schema)
    seen: set[str] = set()
    ablation = reader.items(schema["properties"]["ablations"])
    for name in ("target", "select"):
        for member in reader.members(ablation["properties"][name]):
            draft = {"ablations": [{name: reader.blank(ablation) | member.tags}], "control": {}}
            form = form_of(reader, draft)
            seen |= {str(field.path[-1]) for field in form.walk() if field.path} | set(member.tags)
    items = reader.items(ablation["properties"]["interventions"])
    members = reader.members(items)
    assert len({member.label for member in members}) == len(members) == 12, "no two with one label"
    for member in members:
        form = form_of(
            reader, {"ablations": [{"interventions": [member.tags], "control": {}}], "detector": {}}
        )
        seen |= {str(field.path[-1]) for field in form.walk() if field.path} | set(member.tags)
    for member in reader.members(schema["properties"]["execution"]):
        form = form_of(reader, {"ablations": [], "execution": member.tags})
        seen |= {str(field.path[-1]) for field in form.walk() if field.path} | set(member.tags)
    fields = {name for each in (schema, *schema["$defs"].values()) for name in each.get("properties", {})} - {
        "schema_version"
    }
    assert fields <= seen, fields - seen


def test_what_is_wrong_stands_beside_its_field_and_nothing_can_be_saved(builder: StudyBuilder) -> None:
    assert not builder.save.disabled
    doses = builder.row(*SELECT, "fractions")
    doses.control.value = "0.1, 5, half"
    assert builder.model.spec is None
    assert builder.save.disabled
    assert "2. value: must be within 0 and 1, got 5. For 5 % write 0.05." in doses.note.value
    assert "3. value: " in doses.note.value
    assert "&#x27;half&#x27;" in doses.note.value
    assert "Wrong:" not in builder.row(*SELECT, "repeats").note.value
    assert "Not ready to run: ablations[0].select.fractions[1]" in builder.status.value
    assert doses.control.value == "0.1, 5, half", "what was typed stays"
    doses.control.value = "0.1, 1"
    assert "Wrong:" not in doses.note.value
    assert builder.model.spec.ablations[0].select.fractions == (0.1, 1.0)
    assert "The study is valid" in builder.status.value


def test_rules_between_fields_stand_at_their_group(builder: StudyBuilder) -> None:
    builder.row(*TARGET).member.value = "layer"
    builder.row(*SELECT).member.value = "each"
    builder.row("ablations", 0, "interventions").add.click()
    builder.row("ablations", 0, "interventions", 0).member.value = "constant"
    builder.row("ablations", 0, "interventions", 0, "value").control.value = "0.5"
    note = builder.row("ablations", 0).note.value
    assert "the unit &#x27;layer&#x27; changes the model&#x27;s structure" in note


def test_another_member_keeps_what_both_have(builder: StudyBuilder) -> None:
    builder.row(*SELECT).member.value = "count"
    assert builder.model.value(SELECT) == {"by": "count", "counts": [], "repeats": 2}
    assert "must have at least 1, got none" in builder.row(*SELECT, "counts").note.value
    builder.row(*SELECT, "counts").control.value = "5, 50"
    assert builder.model.spec.ablations[0].select.counts == (5, 50)
    with pytest.raises(UnknownNameError, match="fractions"):
        builder.row(*SELECT, "fractions")
    builder.row(*TARGET).member.value = "segment"
    builder.row(*TARGET, "segments_per_row").control.value = "16"
    assert builder.model.spec.ablations[0].target.segments_per_row == 16


def test_interventions_are_told_apart_by_space(builder: StudyBuilder) -> None:
    builder.row(*TARGET).member.value = "head"
    many = builder.row("ablations", 0, "interventions")
    many.add.click()
    many.add.click()
    builder.row("ablations", 0, "interventions", 1).member.value = "mean (activation)"
    builder.row("ablations", 0, "interventions", 1, "over").control.value = "position"
    spec = builder.model.spec
    assert [getattr(item, "space", "weight") for item in spec.ablations[0].interventions] == [
        "weight",
        "activation",
    ]
    builder.row("ablations", 0, "interventions", 0).remove.click()
    assert [item.kind for item in builder.model.spec.ablations[0].interventions] == ["mean"]


def test_optional_groups_come_and_go(builder: StudyBuilder) -> None:
    builder.row("ablations", 0, "control").add.click()
    builder.row("ablations", 0, "control", "match").control.value = "parameters"
    assert builder.model.spec.ablations[0].control.match == "parameters"
    builder.row("ablations", 0, "control").remove.click()
    assert builder.model.spec.ablations[0].control is None
    builder.row("detector").add.click()
    builder.row("detector", "adapter").control.value = "mmdet"
    builder.row("detector", "options").control.value = "checkpoint: detr.pth"
    assert builder.model.spec.detector.options == {"checkpoint": "detr.pth"}
    builder.row("detector", "options").control.value = "checkpoint: [broken"
    assert "Wrong:" in builder.row("detector", "options").note.value


def test_ablations_are_added_and_removed(builder: StudyBuilder) -> None:
    builder.row("ablations").add.click()
    assert "ablations[1].target.components" in builder.status.value, "to be filled in"
    builder.row("ablations", 1, "name").control.value = "queries"
    builder.row(*("ablations", 1), "target").member.value = "row"
    builder.row("ablations", 1, "target", "components").control.value = "query_embedding.weight"
    assert "must be unique among the ablations" in builder.row().note.value
    builder.row("ablations", 0).remove.click()
    assert [each.name for each in builder.model.spec.ablations] == ["queries"]
    assert builder.row("ablations", 0, "target", "components").control.value == "query_embedding.weight"


def test_shorthands_are_spelt_out_even_where_the_study_is_not_valid() -> None:
    content = queries()
    content["ablations"][0] |= {"interventions": "zero", "control": "random", "name": "a/b"}
    model = SpecModel(content)
    assert model.spec is None
    assert model.value(("ablations", 0, "interventions")) == [{"kind": "zero"}]
    assert model.value(("ablations", 0, "control")) == {}
    model.set(("ablations", 0, "name"), "ab")
    assert model.spec is not None
    assert model.spec.ablations[0].control is not None


def test_the_plan_is_that_of_the_run(builder: StudyBuilder) -> None:
    spec = builder.model.spec
    rows = builder.model.preview().rows
    assert [row.id for row in rows] == [variant.id for variant in plan(spec, ANATOMY)]
    assert "5 variants with the baseline" in builder.status.value
    assert "queries/row/0.05/0" in builder.plan.value
    builder.row(*TARGET, "components").control.value = "query_embeding.weight"
    assert builder.model.spec is not None, "the study is valid, for another model"
    assert "query_embedding.weight" in builder.row(*TARGET).note.value, "near names are told"
    assert "Not ready to run" in builder.status.value


def test_large_plans_and_scores_are_counted_and_not_listed() -> None:
    content = queries() | {"max_variants": 1_000_000}
    content["ablations"][0]["select"] = {"by": "pairs"}
    preview = SpecModel(content, anatomy=ANATOMY).preview()
    assert preview is not None
    assert (preview.n_variants, preview.rows) == (1 + 100 * 99 // 2 + 100, ())
    assert "counted, not listed" in preview.unlisted
    content["ablations"][0]["select"] = {"by": "top", "score": "weight_norm", "counts": [1, 2]}
    preview = SpecModel(content, anatomy=ANATOMY).preview()
    assert preview is not None
    assert "once weight_norm is measured" in preview.unlisted
    content["max_variants"] = 1
    content["ablations"][0]["select"] = {"by": "each"}
    preview = SpecModel(content, anatomy=ANATOMY).preview()
    assert preview is not None
    assert "more than `max_variants`, 1" in preview.problems[0]


def test_bad_yaml_leaves_the_study_and_the_text(builder: StudyBuilder) -> None:
    before = builder.model.draft
    builder.text.value = "name: [broken"
    builder.apply.click()
    assert builder.model.draft is before
    assert builder.text.value == "name: [broken"
    assert "was not taken over" in builder.status.value
    for text, error in (("- a\n- b", DraftError), ("a: b: c", SpecError)):
        with pytest.raises(error):
            builder.model.load_yaml(text)
    builder.text.value = "name: half\nablations: 3\nmore: 1"
    builder.apply.click()
    assert builder.model.spec is None, "an unfinished study is taken over, with its problems"
    assert "no such field" in builder.status.value + builder.row().note.value


def test_values_of_any_type_are_shown_and_never_break_the_form() -> None:
    hostile = "<script>alert(1)</script>"
    wrong = [None, 3, "x", [], [1], {}, {"by": "no"}, {"by": ["fraction"]}, {"unit": 3}, hostile, [[hostile]]]
    for value in wrong:
        for content in (
            {"name": value, "ablations": value},
            {"name": "x", "ablations": [value]},
            {"name": "x", "ablations": [{"name": value, "target": value, "select": value, "control": value}]},
            {"name": "x", "ablations": [{"interventions": value}], "detector": value, "reference": value},
            {"name": "x", "seed": value, "ablations": [{"target": {"unit": "row", "components": value}}]},
        ):
            panel = StudyBuilder(content)
            assert panel.model.spec is None
            panel.row()
            notes = "".join(row.note.value for row in panel.fields.rows.values())
            assert hostile not in panel.snapshot() + notes + panel.ablation.snapshot()
            panel.close()


def test_components_are_added_from_elsewhere(builder: StudyBuilder) -> None:
    builder.model.add_targets(["query_embedding.weight", "query_embedding.*"])
    assert builder.row(*TARGET, "components").control.value == "query_embedding.*, query_embedding.weight"
    with pytest.raises(UnknownNameError, match="ablations"):
        builder.model.add_targets(["x"], ablation=4)


def test_saving(builder: StudyBuilder, tmp_path: Path) -> None:
    builder.path.value = str(tmp_path / "mine.yaml")
    builder.save.click()
    assert load_spec(tmp_path / "mine.yaml") == builder.model.spec
    builder.path.value = str(tmp_path / "mine.txt")
    builder.save.click()
    assert "must end with .yaml" in builder.status.value
    builder.model.set(("name",), None)
    with pytest.raises(DraftError, match="name: must be given"):
        builder.model.save(tmp_path / "other.yaml")
    assert not (tmp_path / "other.yaml").exists()


def test_every_control_has_words(builder: StudyBuilder) -> None:
    builder.row("ablations", 0, "control").add.click()
    controls = [row.control for row in builder.fields.rows.values() if hasattr(row, "control")]
    assert len(controls) > 10
    assert all(control.description for control in controls)
    assert all(row.member.description for row in builder.fields.rows.values() if getattr(row, "member", None))


def test_opening_and_closing_leaves_nothing_behind() -> None:
    model = SpecModel(queries(), anatomy=ANATOMY)
    before, panels = len(_instances), []
    for _ in range(50):
        panel = StudyBuilder(model)
        panel.row("ablations").add.click()  # rows come and go
        panel.row("ablations", 1).remove.click()
        panel.close()
        panels.append(weakref.ref(panel))
    del panel
    gc.collect()
    assert len(_instances) == before
    assert not [each for each in panels if each() is not None]
    assert not any(model._trait_notifiers.get("draft", {}).values())
