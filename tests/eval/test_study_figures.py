"""Pictures of a study's tables: the numbers beside them are the tables', and what is left out is said."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, t

pytest.importorskip("pyarrow")
import pyarrow as pa

from dissect_eval.plots import figure_bytes
from dissect_eval.study import (
    StudyTables,
    class_bars,
    class_map,
    dose_curves,
    error_bars,
    figures,
    head_maps,
    layer_maps,
    signed_text,
    variant_groups,
    worst_variants,
)
from dissect_eval.tide._fix import ERROR_TYPES, SPECIAL_TYPES

KINDS = (*ERROR_TYPES, *SPECIAL_TYPES)


def row(name: str, value: float, ablation: str = "heads", **more: Any) -> dict[str, Any]:
    plain = {"id": name, "ablation": ablation, "kind": "ablation", "unit": "head", "intervention": "zero"}
    numbers = {"AP": value, "AP_difference": value - 0.8, "AP_low": value - 0.9, "AP_high": value - 0.7}
    return {**plain, "dose": 0.5, "removed": [], **numbers, **more}


def tables(rows: list[dict[str, Any]], n_classes: int = 3) -> StudyTables:
    whole = row("baseline", 0.8, "baseline", kind="baseline", dose=0.0)
    variants = [whole, *rows]
    classes = [
        {
            "variant": each["id"],
            "category": f"class {i}",
            "metric": "AP",
            "value": each["AP"] - i / 1000,
            "baseline": 0.8,
            "difference": each["AP"] - i / 1000 - 0.8,
            "low": each.get("class_low", math.nan),
            "high": each.get("class_high", math.nan),
        }
        for each in variants
        for i in range(n_classes)
    ]
    errors = [
        {"variant": each["id"], "ap": each["AP"], **{f"d_{kind}": i / 10 for i, kind in enumerate(KINDS)}}
        for each in variants
    ]
    about = {"settings": {"metrics": ["AP"]}}
    return StudyTables(about, variants, pa.Table.from_pylist(classes), errors, [])


def single_heads() -> StudyTables:
    places = [("layer.0", 0), ("layer.0", 1), ("layer.1", 0)]
    return tables(
        [
            row(f"{path}:{unit}", 0.7 - unit / 10, removed=[{"path": path, "units": [unit]}])
            for path, unit in places
        ]
    )


def test_a_map_of_heads_shows_difference_ablated_or_baseline() -> None:
    found = {
        show: next(head_maps(single_heads(), "AP", show=show))
        for show in ("difference", "ablated", "baseline")
    }
    assert found["difference"].data.head == ("block", "unit 0", "unit 1")
    expected = {"difference": (-0.1, -0.2), "ablated": (0.7, 0.6), "baseline": (0.8, 0.8)}
    for show, numbers in expected.items():
        first, second = found[show].data.rows
        assert (first[0], second[0]) == ("layer.0", "layer.1")
        assert first[1:] == pytest.approx(numbers)
        assert second[1] == pytest.approx(numbers[0])
        assert second[2] != second[2], "layer 1 has one head alone in the study"
    assert "Orange is a loss" in found["difference"].caption
    assert "Orange" not in found["ablated"].caption


def test_all_of_cocos_classes_are_in_the_overview_and_what_is_cut_is_said() -> None:
    drawn = next(class_map(tables([row("a", 0.5)], 80), "AP"))
    assert len(drawn.data.head) == 81
    assert "The first" not in drawn.caption
    assert drawn.figure.axes[0].texts[:] == [], "an overview has no numbers"
    rows = [row(f"a{i}", 0.5, dose=i / 100) for i in range(1, 51)]
    cut = next(class_map(tables(rows, 200), "AP"))
    assert "The first 120 of 200 classes and 40 of 50 doses." in cut.caption
    assert (len(cut.data.head), len(cut.data.rows)) == (121, 40)


def test_one_variant_in_detail_begins_with_the_class_that_loses_most() -> None:
    drawn = next(class_bars(tables([row("a", 0.5)], 40), "AP", "a"))
    assert [each[0] for each in drawn.data.rows] == [f"class {i}" for i in range(39, 14, -1)]
    assert drawn.data.rows[0][1:] == pytest.approx((0.8, 0.461, -0.339))
    assert "25 of 40 classes" in drawn.caption
    assert list(class_bars(tables([row("a", 0.5)]), "AP", "unknown")) == []


def test_error_types_and_worst_variants_say_what_they_leave_out() -> None:
    many = tables([row(f"v{i}", 0.5 - i / 100, f"ablation {i}") for i in range(20)])
    drawn = next(error_bars(many, "AP"))
    assert "The first 4 of 20 ablations." in drawn.caption
    assert drawn.data.head == ("type of error", "baseline", *(f"ablation {i}" for i in range(4)))
    assert [each[0] for each in drawn.data.rows] == list(KINDS)
    assert drawn.data.rows[1][1:] == pytest.approx([0.1] * 5)
    worst = next(worst_variants(many, "AP"))
    assert worst.caption.startswith(
        "The 15 of 20 variants that lose most of AP. They were chosen on the same images"
    )
    assert "for all 20 variants together" in worst.caption
    assert worst.data.rows[0][0] == "v19"
    reach = 0.1 * norm.ppf(1 - 0.05 / 20 / 2) / norm.ppf(0.975)
    assert worst.data.rows[0][1:] == pytest.approx((-0.49, -0.49 - reach, -0.49 + reach))
    alone = next(worst_variants(tables([row("v", 0.5)]), "AP"))
    assert alone.data.rows[0][1:] == pytest.approx((-0.3, -0.4, -0.2))
    assert "chosen" not in alone.caption


def test_points_of_a_curve_are_means_over_draws() -> None:
    rows = [row(f"{dose}/{i}", 0.8 - dose - i / 10, dose=dose) for dose in (0.2, 0.4) for i in range(2)]
    drawn = next(dose_curves(tables(rows), "AP"))
    assert drawn.data.head == ("ablation", "curve", "dose", "mean", "low", "high", "draws")
    numbers = {each[2]: each for each in drawn.data.rows}
    assert set(numbers) == {0.0, 0.2, 0.4}
    assert numbers[0.2][3] == pytest.approx(0.55)
    assert [numbers[dose][6] for dose in (0.0, 0.2, 0.4)] == [0, 2, 2]


def draws(dose: float, values: list[float], ablation: str = "heads", **more: Any) -> list[dict[str, Any]]:
    return [
        row(f"{ablation}/{dose}/{i}", value, ablation, dose=dose, repeat=i, **more)
        for i, value in enumerate(values)
    ]


def test_two_draws_have_no_band_and_the_caption_says_what_was_drawn() -> None:
    two = tables([*draws(0.2, [0.1, 0.7]), *draws(0.4, [0.2, 0.5])])
    drawn = next(dose_curves(two, "AP"))
    assert not drawn.figure.axes[0].collections, "no band"
    assert all(math.isnan(low) for _, _, dose, _, low, *_ in drawn.data.rows if dose)
    assert "2 random draws" in drawn.caption
    assert "t interval" not in drawn.caption
    three = next(dose_curves(tables([*draws(0.2, [0.5, 0.6, 0.7]), *draws(0.4, [0.2, 0.5])]), "AP"))
    low, high = next(each[4:6] for each in three.data.rows if each[2] == 0.2)
    reach = t.ppf(0.975, 2) * np.std([0.5, 0.6, 0.7], ddof=1) / 3**0.5
    assert (low, high) == pytest.approx((0.6 - reach, 0.6 + reach))
    assert "2 to 3 random draws" in three.caption
    assert len(three.figure.axes[0].collections) == 1
    assert "the 95 % t interval of the mean over draws" in three.caption
    chosen = tables([row("a", 0.5, dose=0.2, repeat=0), row("b", 0.4, dose=0.4, repeat=0)])
    told = next(dose_curves(chosen, "AP")).caption
    assert "1 chosen set" in told
    assert "draw" not in told


def test_a_band_of_a_signed_metric_may_lie_below_zero() -> None:
    def signed(dose: float, values: list[float]) -> list[dict[str, Any]]:
        return [{**one, "giou": one["AP"], "giou_difference": one["AP"] - 0.8} for one in draws(dose, values)]

    given = tables([*signed(0.2, [0.1, 0.2, 0.3]), *signed(0.4, [-0.3, -0.2, -0.1])])
    given.summary[0]["giou"] = 0.8
    rows = {each[2]: each for each in next(dose_curves(given, "giou")).data.rows}
    assert rows[0.4][4] < rows[0.4][3] < rows[0.4][5] < 0.1


def test_each_has_a_row_for_every_unit_and_only_draws_are_averaged() -> None:
    heads = [
        row(f"heads/head/each/l:{i}", 0.7 - i / 100, repeat=0, removed=[{"path": "l", "units": [i]}])
        for i in range(24)
    ]
    study = tables([*heads, *draws(0.5, [0.5, 0.4], "shares")])
    doses, units = class_map(study, "AP")
    assert [each[0] for each in doses.data.rows] == ["shares, 50%"]
    assert doses.data.rows[0][1] == pytest.approx(-0.35)
    assert "2 random draws a row" in doses.caption
    assert [each[0] for each in units.data.rows] == [f"l:{i}" for i in range(24)]
    assert [each[1] for each in units.data.rows] == pytest.approx([-0.1 - i / 100 for i in range(24)])
    assert "draw" not in units.caption
    assert "one variant a row" in units.caption
    assert not list(dose_curves(tables(heads), "AP"))


def test_all_maps_of_a_metric_have_one_colour_scale() -> None:
    places = [{"path": "l", "units": [i]} for i in range(3)]
    study = tables(
        [
            *(row(f"small/{i}", 0.79 - i / 100, "small", removed=[p]) for i, p in enumerate(places)),
            *(row(f"large/{i}", 0.5 - i / 10, "large", removed=[p]) for i, p in enumerate(places)),
            *draws(0.5, [0.1, 0.2], "shares"),
        ]
    )
    for show in ("difference", "ablated", "baseline"):
        # Of units and of classes each: a class can lose all, and beside it every head would be pale.
        for draw, n in ((head_maps, 2), (class_map, 3)):
            drawn = [*draw(study, "AP", show=show)]
            images = [one.figure.axes[0].images[0] for one in drawn]
            assert len(images) == n
            assert len({image.get_clim() for image in images}) == 1
            assert len({tuple(map(float, image.to_rgba(0.02))) for image in images}) == 1
            assert all("one colour scale" in one.caption for one in drawn)
            values = np.concatenate([np.ravel(image.get_array().compressed()) for image in images])
            low, high = images[0].get_clim()
            assert low <= values.min() <= values.max() <= high, "no value is beyond the colours"
    image = next(head_maps(study, "AP")).figure.axes[0].images[0]
    assert image.to_rgba(-0.038) != image.to_rgba(-0.187)


def test_units_are_maps_beside_each_other_with_layers_as_rows() -> None:
    def cell(part: str, layer: int, head: int, value: float, **more: Any) -> dict[str, Any]:
        path = f"{part}.layers.{layer}.self_attn"
        place = [{"path": path, "units": [head]}]
        return row(f"{path}:{head}", value, part, unit="head", removed=place, AP_high=0.05, **more)

    rows = [
        cell(part, layer, head, 0.8 - layer / 10 - head / 100)
        for part in ("encoder", "decoder")
        for layer in (0, 1)
        for head in range(3)
    ]
    rows[1] |= {"AP_high": -0.001}
    (drawn,) = layer_maps(tables(rows), "AP")
    encoder, decoder, scale = drawn.figure.axes
    assert [axes.get_title("left") for axes in (encoder, decoder)] == [
        "Encoder self-attention",
        "Decoder self-attention",
    ]
    assert [text.get_text() for text in encoder.get_yticklabels()] == ["0", "1"]
    assert [text.get_text() for text in decoder.get_xticklabels()] == ["0", "1", "2"]
    (first,), (second,) = encoder.collections, decoder.collections
    assert first.get_clim() == second.get_clim() == scale.images[0].get_clim()
    bold = [text.get_text() for text in encoder.texts if text.get_fontweight() == "bold"]
    assert bold == [signed_text(rows[1]["AP_difference"])]
    assert "Bold (1 of 12): the 95 % interval leaves out 0" in drawn.caption
    # A mark for each cell, where the cell is, for the variant that the cell shows.
    assert [mark.variant for mark in drawn.marks] == [one["id"] for one in rows]
    assert drawn.marks[5].box == (1.5, 2.5, 0.5, 1.5)
    assert drawn.marks[7].axes == 1
    assert drawn.marks[1].label.startswith("encoder 0 · head 1: AP −")


def test_units_of_several_ablations_are_in_maps_of_their_own() -> None:
    place = [{"path": "encoder.layers.0.self_attn", "units": [0]}]
    rows = [row(f"{kind}/0", 0.7, kind, unit="head", removed=place) for kind in ("output", "value")]
    (drawn,) = layer_maps(tables(rows), "AP")
    titles = [axes.get_title("left") for axes in drawn.figure.axes[:2]]
    assert titles == ["Encoder self-attention: output, zero", "Encoder self-attention: value, zero"]
    assert len(drawn.marks) == 2


def test_a_cell_of_a_class_says_what_it_is_the_mean_of() -> None:
    (drawn,) = class_map(tables(draws(0.5, [0.7, 0.5])), "AP")
    (mark, *_) = drawn.marks
    assert ", mean of 2; the largest loss is −" in mark.label
    assert mark.variant == "heads/0.5/1"


def test_cells_that_may_be_zero_are_hatched_and_the_legend_says_so() -> None:
    sure = row("sure", 0.7, removed=[{"path": "l", "units": [0]}], AP_low=-0.2, AP_high=-0.05)
    unsure = row("unsure", 0.7, removed=[{"path": "l", "units": [1]}], AP_low=-0.2, AP_high=0.01)
    drawn = next(head_maps(tables([sure, unsure]), "AP"))
    (hatched,) = drawn.figure.axes[0].collections
    assert [path.vertices[:, 0].mean().round() for path in hatched.get_paths()] == [1.0]
    assert [text.get_text() for text in drawn.figure.legends[0].get_texts()] == ["95 % interval includes 0"]
    assert "Hatched: the 95 % interval includes 0" in drawn.caption
    calm = next(
        head_maps(tables([sure, {**sure, "id": "b", "removed": [{"path": "l", "units": [1]}]}]), "AP")
    )
    assert not calm.figure.axes[0].collections
    assert "No cell's 95 % interval includes 0." in calm.caption
    bare = [{**each, "AP_low": math.nan, "AP_high": math.nan} for each in (sure, unsure)]
    assert "without resamples" in next(head_maps(tables(bare), "AP")).caption


def test_means_over_draws_are_unsure_where_draws_or_images_are() -> None:
    ends = {"class_low": -0.1, "class_high": -0.001}
    drawn = next(class_map(tables(draws(0.5, [0.75, 0.3, 0.7], **ends), 1), "AP"))
    assert len(drawn.figure.axes[0].collections) == 1, "sure of each draw on these images, not of all draws"
    assert "t interval over draws" in drawn.caption
    narrow = next(class_map(tables(draws(0.5, [0.5, 0.51, 0.52], **ends), 1), "AP"))
    assert not narrow.figure.axes[0].collections
    wide = [*draws(0.5, [0.5, 0.51], **ends), *draws(0.6, [0.5, 0.51], class_low=-0.1, class_high=0.02)]
    two = next(class_map(tables(wide, 1), "AP"))
    (hatched,) = two.figure.axes[0].collections
    assert [path.vertices[:, 1].mean().round() for path in hatched.get_paths()] == [1.0]
    assert "t interval" not in two.caption


def with_controls() -> StudyTables:
    rows = []
    for i in range(2):
        place = [{"path": "l", "units": [i]}]
        name = f"heads/head/each/l:{i}"
        rows.append(row(name, 0.5 - i / 10, repeat=0, removed=place))
        for k, value in enumerate((0.7, 0.6)):
            rows.append(
                row(f"{name}/control/{k}", value, kind="control", control_of=name, repeat=k, removed=place)
            )
    return tables(rows)


def test_controls_stand_beside_their_variant_and_are_told_apart() -> None:
    study = with_controls()
    (heads,) = head_maps(study, "AP")
    assert [each[0] for each in heads.data.rows] == ["l", "↳ random control"]
    assert heads.data.rows[1][1:] == pytest.approx((-0.15, -0.15))
    assert "mean over 2 random sets" in heads.caption
    (classes,) = class_map(study, "AP")
    assert [each[0] for each in classes.data.rows] == ["l:0", "↳ random control", "l:1", "↳ random control"]
    worst = next(worst_variants(study, "AP"))
    assert [each[0] for each in worst.data.rows] == ["heads/head/each/l:1", "heads/head/each/l:0"]
    assert [text.get_text() for text in worst.figure.legends[0].get_texts()] == [
        "ablation",
        "its random controls",
    ]
    (squares,) = [
        line for line in worst.figure.axes[0].get_lines() if line.get_label() == "its random controls"
    ]
    assert sorted(squares.get_xdata()) == pytest.approx([-0.2, -0.2, -0.1, -0.1])
    errors = next(error_bars(study, "AP"))
    assert errors.data.head == ("type of error", "baseline", "heads", "heads, random control")
    assert "heads/head/each/l:1" in errors.caption, "the worst is an ablation, never a control"


def test_controls_of_every_intervention_have_a_curve() -> None:
    rows = [
        one
        for kind in ("zero", "mean")
        for dose in (0.2, 0.4)
        for one in (
            row(f"{kind}/{dose}", 0.8 - dose, dose=dose, intervention=kind, repeat=0),
            *draws(dose, [0.7, 0.6], kind="control", intervention=kind, control_of=f"{kind}/{dose}"),
        )
    ]
    curves = {each[1] for each in next(dose_curves(tables(rows), "AP")).data.rows}
    assert curves == {"zero", "mean", "zero: random control", "mean: random control"}


def test_every_caption_says_of_how_many_images() -> None:
    given = with_controls()
    about = {**given.about, "n_images": 40, "n_truth": 107, "seed": 3}
    study = StudyTables(about, given.summary, given.per_class, given.errors, [])
    drawn = [*figures(study, "AP"), *class_bars(study, "AP", study.summary[1]["id"])]
    assert {one.name for one in drawn} == {"units", "worst", "classes-heads", "errors", "class-bars"}
    for one in drawn:
        assert "n = 40 images with 107 objects; 1 study seed (3)." in one.caption


def test_error_types_of_a_detector_that_finds_nothing_are_not_numbers() -> None:
    study = tables([row("dead", 0.0)])
    study.errors[1] |= {f"d_{kind}": 0.0 for kind in KINDS}
    drawn = next(error_bars(study, "AP"))
    assert all(math.isnan(each[2]) for each in drawn.data.rows)
    assert "n/a: undefined, because no detection is a hit" in drawn.caption
    texts = [text.get_text() for axes in drawn.figure.axes for text in axes.texts]
    assert texts.count("n/a") == len(KINDS)
    assert "n/a" not in next(error_bars(tables([row("a", 0.5)]), "AP")).caption


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_two_runs_give_the_same_bytes(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [figure_bytes(one.figure, kind, dpi=40) for one in figures(with_controls(), "AP")]
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert [figure_bytes(one.figure, kind, dpi=40) for one in figures(with_controls(), "AP")] == first


def test_many_sets_of_an_ablation_are_named_by_what_they_remove() -> None:
    pairs = [row(f"two/l/head/pairs/l:0+l:{i}", 0.5, "two", repeat=0) for i in (1, 2)]
    blocks = [row(f"two/head/pairs/l:{i}+m:0", 0.5, "two", repeat=0) for i in (1, 2)]
    named = [[each[0] for each in next(class_map(tables(rows), "AP")).data.rows] for rows in (pairs, blocks)]
    assert named == [["l:0+1", "l:0+2"], ["l:1+m:0", "l:2+m:0"]]


def test_blocks_that_are_taken_apart_are_no_draws_of_one_another() -> None:
    rows = [
        one
        for block in ("enc.0", "enc.1")
        for dose in (0.2, 0.4)
        for name in (f"top/{block}/head/top-norm/{dose}",)
        for one in (
            row(name, 0.8 - dose, "top", dose=dose, repeat=0),
            # as many single weights: another unit
            row(f"{name}/control/0", 0.7, "top", dose=dose, repeat=0, kind="control", control_of=name)
            | {"unit": "element"},
        )
    ]
    rows += [
        row(f"drawn/{block}/head/{dose}/{i}", 0.5 + i / 10, "drawn", dose=dose, repeat=i)
        for block in ("enc.0", "enc.1")
        for dose in (0.2, 0.4)
        for i in range(2)
    ]
    plain = tables(rows)
    about = {**plain.about, "selections": {"top": "top", "drawn": "fraction"}}
    given = StudyTables(about, plain.summary, plain.per_class, plain.errors, [])
    drawn = next(dose_curves(given, "AP"))
    numbers = {each[:3]: each for each in drawn.data.rows}
    for block in ("enc.0", "enc.1"):
        assert numbers[f"top: {block}", "ablated", 0.4][3] == pytest.approx(0.4)
        assert numbers[f"top: {block}", "random control", 0.4][6] == 1
        assert numbers[f"drawn: {block}", "ablated", 0.4][6] == 2
    assert "1 to 2" not in drawn.caption
    assert "4 random draws" not in drawn.caption
    doses = [each[0] for each in next(class_map(given, "AP")).data.rows]
    assert doses[:2] == ["top: enc.0, 20%", "↳ random control"]
    assert "drawn: enc.1, 40%" in doses


def test_controls_of_different_variants_are_no_draws_of_one_set() -> None:
    assert not list(dose_curves(with_controls(), "AP"))
    rows = [
        row(f"top/head/{name}/control/{i}", 0.5, "top", kind="control", control_of=name, dose=dose, repeat=i)
        for dose in (0.2, 0.4)
        for name in ("a", "b")
        for i in range(3)
    ]
    assert not list(dose_curves(tables(rows), "AP")), "of two sets each"


def test_many_blocks_are_cut_and_the_caption_says_so() -> None:
    rows = [
        row(f"drawn/enc.{k}/head/{dose}/0", 0.5, "drawn", dose=dose, repeat=0)
        for k in range(20)
        for dose in (0.2, 0.4)
    ]
    drawn = next(dose_curves(tables(rows), "AP"))
    assert len(drawn.figure.axes) == 12
    assert "The first 12 of 20 ablations and blocks." in drawn.caption


def test_what_gains_is_not_said_to_lose() -> None:
    alone = next(worst_variants(tables([row("up", 0.9)]), "AP"))
    assert alone.caption.startswith("Change of AP of the one variant that changed something.")
    assert "together" not in alone.figure.axes[0].get_xlabel()
    some = next(worst_variants(tables([row(f"v{i}", 0.79 + i / 100) for i in range(20)]), "AP"))
    assert some.caption.startswith("The 15 of 20 variants with the lowest change of AP; 1 of them lose any.")
    every = next(worst_variants(tables([row("a", 0.5), row("b", 0.9)]), "AP"))
    assert "chosen" not in every.caption
    assert "lose" not in next(error_bars(tables([row("up", 0.9)]), "AP")).caption


def test_a_map_of_what_changed_nothing_speaks_of_no_intervals() -> None:
    still = [
        row(f"a{i}", 0.8, removed=[{"path": "l", "units": [i]}], no_op="its detections are the baseline's")
        for i in range(2)
    ]
    caption = next(head_maps(tables(still), "AP")).caption
    assert "Grey: 2 variants that changed nothing." in caption
    assert "interval" not in caption
    assert "Orange" not in caption


def test_the_noise_of_a_detector_is_in_every_map_and_curve() -> None:
    places = [[{"path": "l", "units": [i]}] for i in range(2)]
    rows = [
        row("small", 0.72, removed=places[0], AP_low=-0.1, AP_high=-0.05, AP_noise=0.09),
        row("large", 0.6, removed=places[1], AP_low=-0.3, AP_high=-0.1, AP_noise=0.09),
    ]
    given = tables(rows)
    given.summary[0]["AP_noise"] = 0.09
    drawn = next(head_maps(given, "AP"))
    (hatched,) = drawn.figure.axes[0].collections
    assert [path.vertices[:, 0].mean().round() for path in hatched.get_paths()] == [0.0]
    assert "or the change is within the detector's own noise" in drawn.caption
    worst = next(worst_variants(given, "AP"))
    assert "its AP differs by up to 0.090 between passes with nothing removed" in worst.caption
    assert any(patch.get_width() == pytest.approx(0.18) for patch in worst.figure.axes[0].patches)


def test_units_that_are_kept_are_not_named_as_removed() -> None:
    only = [row(f"keep/l/head/only/l:{i}", 0.5, "keep", repeat=0) for i in (1, 2)]
    assert [each[0] for each in next(class_map(tables(only), "AP")).data.rows] == [
        "all but l:1",
        "all but l:2",
    ]


def test_long_and_odd_names_are_drawn_as_text_that_fits() -> None:
    name = "heads & <b> of $x_1$ with a name that goes on and on"
    study = tables([*draws(0.2, [0.5, 0.6], name), *draws(0.4, [0.2, 0.3], f"{name} #2")])
    classes = study.per_class
    long = pa.array(
        [f"{each}, " + "which is called at some length" * 4 for each in classes["category"].to_pylist()]
    )
    study = StudyTables(study.about, study.summary, classes.set_column(1, "category", long), study.errors, [])
    for one in figures(study, "AP"):
        figure_bytes(one.figure, "png", dpi=40)
        texts = one.figure.findobj(lambda artist: hasattr(artist, "get_parse_math"))
        assert not any(text.get_parse_math() for text in texts), "a dollar sign is one"
    map_of_classes = next(class_map(study, "AP"))
    figure_bytes(map_of_classes.figure, "png", dpi=40)
    axes = map_of_classes.figure.axes[0]
    assert axes.get_position().width > 0.3, "long names leave room for the map"
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert len(set(labels)) == 3
    two = tables([row(f"{name}/{i}", 0.5, name, dose=dose) for i, dose in enumerate((0.2, 0.4))])
    title = next(dose_curves(two, "AP")).figure.axes[0].get_title()
    assert title.replace("\n", " ") == name


def test_names_of_groups_are_those_of_the_maps_rows() -> None:
    rows = [
        row(f"top/{block}/head/top-norm/{dose}", 0.8 - dose, "top", dose=dose, repeat=0)
        for block in ("enc.0", "enc.1")
        for dose in (0.2, 0.4)
    ]
    given = tables(rows)
    named = [each[0] for each in next(class_map(given, "AP")).data.rows]
    assert list(variant_groups(given.summary)) == named
