"""Damage anywhere in a study's folder: equal numbers, or a refusal that names the file."""

import os
import random
import shutil
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
import damage
from dissect_core import DissectError
from dissect_eval import DissectEvalError

SEED = int(os.environ.get("DISSECT_DAMAGE_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
TRIALS = int(os.environ.get("DISSECT_DAMAGE_TRIALS", "150"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return damage.small_study(tmp_path_factory.mktemp("made"))


def test_numbers_are_equal_or_refused(made: Path, tmp_path: Path) -> None:
    before, rng = damage.numbers(made), random.Random(SEED)
    refusals = []
    for trial in range(TRIALS):
        folder = Path(shutil.copytree(made, tmp_path / str(trial)))
        what = f"DISSECT_DAMAGE_SEED={SEED}, trial {trial}: {damage.damage(folder, rng)}"
        try:
            found = damage.numbers(folder)
        except (DissectError, DissectEvalError) as error:
            refusals.append(str(error))
        else:
            assert found == before, what
        shutil.rmtree(folder)
    assert len(refusals) > TRIALS // 2, f"DISSECT_DAMAGE_SEED={SEED}: only {len(refusals)} were refused"
    assert all(len(text.splitlines()) == 1 for text in refusals)
