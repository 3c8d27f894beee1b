"""What a run tells that it will take: the first pass is slow, so the first variants put it right."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("pyarrow")

from dissect_core.engine._passes import _Guess
from dissect_core.torch.replay._trace import Trace


def trace(*times: float) -> Trace:
    return Trace(times=list(times), flops=[10 * i for i in range(len(times))])


def test_the_first_variants_put_it_right() -> None:
    # A slow pass of 8 s; three variants that begin 1, 4 and 8 s before its end.
    guess = _Guess(trace(0, 4, 7, 8), [2, 1, 0])
    assert guess.left_out == pytest.approx((20 + 10 + 0) / 90)
    assert not guess.is_good(), "1 s of 13 is too little to go by"
    assert guess.is_good()
    # They took .5 s instead of 5: a tenth of all that was expected, 8 + 13 s.
    assert guess.of_a_batch(0.5) == pytest.approx(2.1)


def test_variants_that_take_no_time() -> None:
    guess = _Guess(trace(0, 4, 8), [2, 2])
    assert guess.is_good()
    assert guess.of_a_batch(0.0) == pytest.approx(8.0)
