import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dissect_core import (
    Constant,
    Edit,
    InterventionError,
    MaskError,
    Mean,
    Noise,
    Scale,
    Shuffle,
    UnknownComponentError,
    Zero,
    edit_arrays,
    intervene,
    row_mask,
    unit_mask,
    variant_rng,
)

INTERVENTIONS = [Zero(), Constant(value=2), Mean(), Shuffle(), Noise(), Scale(factor=3)]


def state() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"a": rng.normal(size=(4, 3)).astype(np.float32), "b": rng.normal(size=4), "note": "kept"}


@given(st.lists(st.tuples(st.sampled_from(INTERVENTIONS), st.sets(st.integers(0, 11))), max_size=5))
def test_the_last_edit_of_each_value_wins(drawn: Any) -> None:
    arrays = state()
    edits = [Edit("a", unit_mask((4, 3), "element", sorted(chosen)), i) for i, chosen in drawn]
    # By hand: each intervention over the union of its masks, from the values given, and then place by place.
    union: dict[Any, set[int]] = {}
    for intervention, chosen in drawn:
        union[intervention] = union.get(intervention, set()) | chosen
    expected = arrays["a"].copy()
    for intervention, chosen in drawn:
        mask = unit_mask((4, 3), "element", sorted(union[intervention]))
        full = intervene(arrays["a"], mask, intervention, rng=variant_rng(3, "v/a"))
        expected.flat[sorted(chosen)] = full.flat[sorted(chosen)]
    before = arrays["a"].copy()
    new, report = edit_arrays(arrays, edits, seed=3, variant="v")
    np.testing.assert_array_equal(new["a"], expected)
    np.testing.assert_array_equal(arrays["a"], before)
    assert report.masked == len(set().union(*(chosen for _, chosen in drawn)))
    assert report.changed == np.count_nonzero(expected != before)
    assert len(report.components) <= 1
    assert new["b"] is arrays["b"]
    assert new["note"] == "kept"


def test_tied_arrays_stay_one() -> None:
    arrays = state()
    arrays["tied"] = arrays["a"]
    arrays["view"] = arrays["a"][:]
    edits = [Edit("a", row_mask((4, 3), [0]), Zero()), Edit("tied", row_mask((4, 3), [1]), Zero())]
    new, report = edit_arrays(arrays, edits)
    assert new["a"] is new["tied"] is new["view"]
    assert not new["a"][:2].any()
    assert [(c.name, c.masked) for c in report.components] == [("a", 6)]


def test_read_only_arrays_and_scalars() -> None:
    array = np.ones(3)
    array.flags.writeable = False
    edits = [Edit("x", row_mask((3,), [1]), Zero()), Edit("s", np.array(True), Constant(value=5))]
    new, _ = edit_arrays({"x": array, "s": np.array(2.0)}, edits)
    assert new["x"].tolist() == [1, 0, 1]
    assert float(new["s"]) == 5


def test_errors_name_the_array() -> None:
    with pytest.raises(UnknownComponentError, match="'aa'"):
        edit_arrays(state(), [Edit("aa", row_mask((4, 3), [0]), Zero())])
    with pytest.raises(MaskError, match=r"'b' must have the component's shape \(4,\)"):
        edit_arrays(state(), [Edit("b", row_mask((4, 3), [0]), Zero())])
    with pytest.raises(InterventionError, match=r"'a': .*'constant' puts in 1e\+300"):
        edit_arrays(state(), [Edit("a", row_mask((4, 3), [0]), Constant(value=1e300))])
    with pytest.raises(UnknownComponentError, match="'note'"):
        edit_arrays(state(), [Edit("note", row_mask((4,), [0]), Zero())])


def test_arrays_are_edited_without_torch() -> None:
    code = (
        "import sys, numpy as np; from dissect_core import Edit, Zero, edit_arrays, row_mask\n"
        "new, _ = edit_arrays({'w': np.ones((2, 2))}, [Edit('w', row_mask((2, 2), [0]), Zero())])\n"
        "print(new['w'].sum(), 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["2.0", "False"]
