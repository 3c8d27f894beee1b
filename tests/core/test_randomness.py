import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from dissect_core import SeedError, sample_units, variant_rng

ID = "query_embedding.weight/row/0.05/0"
RAW = [1457471651661638434, 7013124360603246907, 5780692608008758454]
ROWS = [11, 43, 67, 86, 91]


def test_known_answer() -> None:
    """Pinned for good: another answer would change every study."""
    raw = variant_rng(0, ID).bit_generator.random_raw(3)
    assert raw.tolist() == RAW
    assert sample_units(100, variant_rng(0, ID), fraction=0.05).tolist() == ROWS


def test_known_answer_spelt_out() -> None:
    """The construction in the docstring, done by hand."""
    from hashlib import sha256

    words = np.frombuffer(sha256(ID.encode()).digest(), dtype=">u4").tolist()
    by_hand = np.random.PCG64(np.random.SeedSequence(7, spawn_key=tuple(words)))
    assert np.array_equal(by_hand.random_raw(8), variant_rng(7, ID).bit_generator.random_raw(8))


def test_same_stream_in_another_process_with_another_hash_seed() -> None:
    code = f"from dissect_core import variant_rng; print(variant_rng(3, {ID!r}).bit_generator.random_raw())"
    path = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "123"}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True, check=True)
    assert int(done.stdout) == variant_rng(3, ID).bit_generator.random_raw()


def test_seeds_and_ids_give_streams_of_their_own() -> None:
    keys = [(seed, name) for seed in (0, 1, 2**32, 2**64 + 1) for name in ("", "a", "b", "ä", "a/0", "a/1")]
    firsts = {int(variant_rng(seed, name).bit_generator.random_raw()) for seed, name in keys}
    assert len(firsts) == len(keys)


def test_global_generators_are_left_alone() -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]  # noqa: NPY002
    variant_rng(0, ID)
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None, True])
def test_a_seed_is_a_non_negative_integer(seed: Any) -> None:
    with pytest.raises(SeedError, match="`seed` must be an integer of 0 or more"):
        variant_rng(seed, ID)


def test_numpy_integers_are_seeds() -> None:
    assert (
        variant_rng(np.int64(4), ID).bit_generator.random_raw()
        == variant_rng(4, ID).bit_generator.random_raw()
    )  # type: ignore[arg-type]
