"""The study page: questions, answers that fit, plan and cost beside; and what is asked about a selection."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dissect_core import Component
from dissect_core.anatomy import UNITS, Anatomy, Block, multihead_layout
from dissect_core.detectors import open_detector
from dissect_core.plan import n_variants, plan
from dissect_core.spec import StudySpec, load_spec
from dissect_widgets import DetectorModel, RunInputsModel, SpecModel, StudyBuilder
from dissect_widgets.builder import QUESTIONS, AskPanel
from dissect_widgets.builder._answers import HOW
from dissect_widgets.detector import Speed, speed_of
from dissect_widgets.errors import DraftError, RunStateError, UnknownNameError
from toy_detector import ToyDetector
from toy_split import Split

BUNDLED = ("detr", "dino", "deformable_detr")


@cache
def anatomy_of(name: str) -> Anatomy:
    pytest.importorskip("mmdet")
    return open_detector(f"demo:{name}").anatomy


def small() -> Anatomy:
    names = [f"encoder.layers.{i}.self_attn.in_proj_weight" for i in range(3)]
    blocks = [Block(f"encoder.layers.{i}.self_attn", "attention", ("encoder.self_attn",)) for i in range(3)]
    layouts = {block.path: multihead_layout(8, 2, prefix=f"{block.path}.") for block in blocks}
    return Anatomy(tuple(Component(name, (24, 8), "float32") for name in names), tuple(blocks), layouts)


@pytest.mark.parametrize("name", BUNDLED)
def test_every_answer_that_is_offered_makes_a_study_that_can_be_planned(name: str) -> None:
    anatomy = anatomy_of(name)
    model = SpecModel(anatomy=anatomy)
    (remove, *_) = model.segments()
    for unit in remove.options:
        model.load({"name": "a", "ablations": [{"name": "a", "target": {"unit": "head", "components": []}}]})
        model.answer("remove", unit)
        for segment in model.segments()[1:]:
            for value in segment.options:
                model.answer(segment.name, value)
                assert model.spec is not None, (unit, segment.name, value, model.problems)
                assert next(one.chosen for one in model.segments() if one.name == segment.name) == value
                assert n_variants(model.spec.ablations[0], anatomy) > 0, (unit, segment.name, value)
                assert model.sentence().endswith(".")


def test_without_a_model_every_answer_makes_a_valid_study() -> None:
    model = SpecModel()
    names = [one.name for one in model.segments()]
    assert names == ["remove", "how", "place", "compare"]
    for unit, segment in product(model.segments()[0].options, names[1:]):
        model.load({"name": "a", "ablations": [{"name": "a", "target": {"unit": "head"}}]})
        model.add_targets(["encoder.self_attn"])
        model.answer("remove", unit)
        for value in next(one for one in model.segments() if one.name == segment).options:
            model.answer(segment, value)
            assert model.spec is not None, (unit, segment, value, model.problems)


def test_what_gives_way_is_told() -> None:
    model = SpecModel(anatomy=small())
    model.ask("heads")
    assert model.segments()[3].chosen == "parameters"
    assert model.answer("place", "resample activation") == ("compare",)
    assert model.segments()[3].chosen == "nothing"
    builder = StudyBuilder(model)
    model.ask("heads")
    builder.ablation.segments["place"].value = "mean activation"
    assert "Changed with it, as it would not fit: Compare with." in builder.ablation.notes.value
    builder.close()


def test_an_answer_that_is_not_offered_is_refused() -> None:
    model = SpecModel(anatomy=small())
    with pytest.raises(UnknownNameError, match=r"`value` must be one of .*head.* for 'remove', got 'query'"):
        model.answer("remove", "query")
    with pytest.raises(
        UnknownNameError, match="`name` must be one of remove, how, place, compare, got 'why'"
    ):
        model.answer("why", "zero")


@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_questions_of_the_bundled_detectors_can_be_planned(name: str, question: str) -> None:
    model = SpecModel(anatomy=anatomy_of(name))
    if question in model.unanswered:
        with pytest.raises(DraftError):
            model.ask(question)
        assert (name, question) == ("dino", "queries"), (
            "only queries that are chosen per image have no weights"
        )
        return
    model.ask(question)
    assert model.spec is not None
    preview = model.preview()
    assert preview is not None
    assert preview.n_variants == len(plan(model.spec, model.anatomy))
    builder = StudyBuilder(model)
    assert f">{preview.n_variants:,}<" in builder.box.figures.value
    assert builder.name.value == QUESTIONS[question].title
    assert "dd-chosen" in builder.questions[question]._dom_classes
    builder.close()


def test_a_question_can_be_taken_back() -> None:
    model = SpecModel({"name": "mine", "ablations": []}, anatomy=small())
    builder = StudyBuilder(model)
    assert builder.undo.disabled
    builder.questions["heads"].click()
    assert model.draft["name"] == "Which heads matter?"
    builder.undo.click()
    assert model.draft == {"name": "mine", "ablations": []}
    builder.close()


def test_questions_that_a_model_cannot_answer_say_why() -> None:
    builder = StudyBuilder(SpecModel(anatomy=small()))
    assert builder.questions["queries"].disabled
    assert "cannot be asked of this model" in builder.questions["queries"].tooltip
    assert not builder.questions["heads"].disabled
    builder.close()


def test_places_are_chips_that_can_be_taken_out() -> None:
    model = SpecModel(anatomy=small())
    builder = StudyBuilder(model)
    form = builder.ablation
    assert "Say of what: add a role, a path or a glob." in form.places_note.value
    form.adder.value = "encoder.self_attn, encoder.layers.0.self_attn"
    form.add_place.click()
    assert form.chips["encoder.self_attn"].description == "encoder.self_attn · 3 ✕"
    form.chips["encoder.layers.0.self_attn"].click()
    assert model.draft["ablations"][0]["target"]["components"] == ["encoder.self_attn"]
    form.adder.value = "encoder.cross"
    form.add_place.click()
    assert "encoder.cross" in form.places_note.value, "a name that matches nothing is told of at once"
    builder.close()


def test_numbers_are_checked_where_they_are_written() -> None:
    model = SpecModel(anatomy=small())
    builder = StudyBuilder(model)
    model.add_targets(["encoder.self_attn"])
    form = builder.ablation
    form.details["Shares, in %"].value = "25, 500"
    assert "2. value: must be within 0 and 100 %, got 500 %." in form.detail_notes["Shares, in %"].value
    how = model.segments()[1]
    assert list(how.options) == sorted(how.options, key=list(HOW).index), "what does not fit keeps its place"
    assert builder.status.value.count("Not ready to run") == 1
    form.details["Shares, in %"].value = "12.5 %, many"
    assert "Wrong" in form.detail_notes["Shares, in %"].value
    form.details["Shares, in %"].value = "12.5 %, 50"
    assert model.spec is not None
    assert model.spec.ablations[0].select.fractions == (0.125, 0.5)
    form.details["In each place by itself"].value = True
    assert model.spec.ablations[0].target.pool is False
    builder.close()


def test_parts_are_added_looked_at_and_removed() -> None:
    model = SpecModel(anatomy=small())
    builder = StudyBuilder(model)
    form = builder.ablation
    form.add_part.click()
    assert (len(model.draft["ablations"]), model.current, form.parts.value) == (2, 1, "1")
    form.parts.value = "0"
    assert model.current == 0
    form.remove_part.click()
    assert [one["name"] for one in model.draft["ablations"]] == ["ablation 2"]
    assert form.remove_part.layout.display == "none"
    builder.close()


def test_the_selection_of_the_model_page_is_added_to_a_part() -> None:
    model = SpecModel(anatomy=small())
    chosen: dict[str, Any] = {"names": (), "heads": {}}
    builder = StudyBuilder(model, chosen=lambda: (chosen["names"], chosen["heads"]))
    builder.ablation.add_chosen.click()
    assert "Nothing is selected in Model yet." in builder.ablation.notes.value
    chosen["names"] = ("encoder.layers.1.self_attn.in_proj_weight",)
    builder.ablation.add_chosen.click()
    assert model.draft["ablations"][0]["target"]["components"] == ["encoder.layers.1.self_attn"]
    builder.close()


def test_a_selection_is_asked_about_and_becomes_what_was_meant() -> None:
    model = SpecModel(anatomy=small())
    heads = {"encoder.layers.0.self_attn": (1,), "encoder.layers.2.self_attn": (0, 1)}
    panel = AskPanel(model, lambda: ((), heads))
    assert panel.what.value == "chosen heads"
    panel.add.click()
    assert model.spec is not None
    (ablation,) = model.spec.ablations
    removed = plan(model.spec, small())[1].removed()
    assert {path: tuple(some) for path, some in removed.items()} == heads, (
        "those heads, together, and no other"
    )
    assert ablation.name == "3 heads, together"
    panel.add.click()
    assert [one.name for one in model.spec.ablations] == ["3 heads, together", "3 heads, together 2"]
    panel.close()


@pytest.mark.parametrize("name", BUNDLED)
def test_every_proposal_about_every_block_can_be_planned(name: str) -> None:
    anatomy = anatomy_of(name)
    model = SpecModel(anatomy=anatomy)
    for block in anatomy.blocks[::3]:
        names = [one.name for one in anatomy.components if one.name.startswith(f"{block.path}.")]
        for proposal in model.proposals(names):
            spec = load_spec({"name": "a", "ablations": [{**proposal.ablation, "name": "a"}]})
            assert n_variants(spec.ablations[0], anatomy) > 0, (block.path, proposal.key)


def test_proposals_need_a_model() -> None:
    with pytest.raises(DraftError, match="Open a detector first"):
        SpecModel().proposals(["a"])


def test_all_fields_are_made_when_they_are_asked_for() -> None:
    builder = StudyBuilder(SpecModel(anatomy=small()))
    assert builder.fields.rows == {}
    builder.row("seed").control.value = "7"
    assert builder.model.draft["seed"] == 7
    assert builder.fields.rows
    builder.close()


def test_a_study_is_opened_from_a_file_a_list_or_an_upload(tmp_path: Path) -> None:
    file = tmp_path / "study.json"
    file.write_text('{"name": "of a file", "ablations": []}')
    builder = StudyBuilder(SpecModel(anatomy=small()))
    box = builder.box
    box.open_it.click()
    box.source.value = str(tmp_path / "nothing.yaml")
    box.open_path.click()
    assert "Not opened: " in builder.snapshot() or "Not opened: " in box.status.value
    box.shipped.value = "layer_knockout"
    assert builder.model.draft["name"] == "Knock out layers and sublayers"
    given = {"type": "", "size": 1, "last_modified": datetime.now()}
    box.upload.value = ({"name": "study.json", "content": file.read_bytes(), **given},)
    assert builder.model.draft["name"] == "of a file"
    box.upload.value = ({"name": "x.yaml", "content": b"\xff\xfe", **given},)
    assert "must be UTF-8 text" in box.status.value
    assert builder.model.draft["name"] == "of a file"
    box.text.value = "name: typed\nablations: []\n"
    box.apply.click()
    assert builder.model.draft["name"] == "typed"
    builder.close()


def test_the_cost_is_told_once_a_pass_is_timed(split: Split) -> None:
    detector = DetectorModel(ToyDetector())
    inputs = RunInputsModel(detector, images=split.images)
    inputs.limit = 4
    model = SpecModel(anatomy=ToyDetector().anatomy)
    builder = StudyBuilder(model, detector=detector, inputs=inputs)
    model.add_proposal(model.proposals(["features.weight"])[-1])
    n = model.preview().n_variants
    assert f"{n} passes over 4 images" in " ".join(builder.box.cost)
    builder.box.time.click()
    assert detector.wait(60) == "open", detector.error
    assert detector.speed is not None, detector.error
    assert "about " in builder.box.figures.value
    assert "for 4 images here" in builder.box.figures.value
    builder.close()
    inputs.close()


def test_a_detector_is_timed_on_a_picture_of_its_own_kind() -> None:
    detector = DetectorModel(ToyDetector())
    detector.time_pass()
    assert detector.wait(60) == "open"
    assert detector.speed is not None, detector.error


def test_a_detector_that_cannot_be_timed_stays_open(tmp_path: Path) -> None:
    detector = DetectorModel(ToyDetector())
    (tmp_path / "broken.png").write_bytes(b"")
    detector.time_pass(tmp_path / "broken.png")
    assert detector.wait(60) == "open"
    assert detector.speed is None
    assert "A pass could not be timed: ValueError" in detector.error


def test_a_detector_is_not_timed_while_it_runs() -> None:
    detector = DetectorModel(ToyDetector())
    detector.busy = lambda: True
    with pytest.raises(RunStateError, match="A run uses the detector"):
        detector.time_pass()
    with pytest.raises(RunStateError, match="must be open"):
        DetectorModel().time_pass()


def test_replay_leaves_out_what_comes_before_the_change() -> None:
    speed = Speed(1.0, {"backbone": 0.0, "encoder": 0.5, "decoder": 0.75, "decoder.layers.1": 0.9})
    assert speed.left_out({(): 1}) == 0.0
    assert speed.left_out({("decoder.layers.1.attn",): 1}) == 0.9
    assert speed.left_out({("encoder", "decoder"): 1}) == 0.5, "the first change counts"
    assert speed.left_out({("head",): 1}) == 0.0, "a module that was not seen may be called first"


def test_a_torch_detector_tells_when_its_modules_are_called() -> None:
    pytest.importorskip("mmdet")
    speed = speed_of(open_detector("demo:detr"))
    assert speed.seconds > 0
    assert 0 <= speed.begins["backbone"] < speed.begins["encoder"] < speed.begins["decoder"] < 1


def test_units_that_are_offered_are_units_of_the_format() -> None:
    assert set(SpecModel().segments()[0].options) <= set(UNITS)
    assert isinstance(SpecModel().spec, StudySpec | None)
