"""Prefix replay of random models that do whatever Python lets them: each variant as in a full pass of a fresh model."""

from __future__ import annotations

import os
import random
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from dissect_core.torch import ablated  # noqa: E402
from dissect_core.torch.replay import PrefixReplay, ReplayWarning  # noqa: E402
from dissect_core.torch.replay._values import same  # noqa: E402
from random_models import Model, kinds_in  # noqa: E402
from replays import images, rows_of  # noqa: E402

SEED = int(os.environ["DISSECT_RANDOM_SEED"])  # a fresh one each time, see tests/conftest.py
MODELS = int(os.environ.get("DISSECT_RANDOM_MODELS", "80"))
CHUNKS = 8


@pytest.fixture(autouse=True)
def plain_layers() -> Any:
    """Torch's fused layers differ from its plain ones in the last bits."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


def wrong_variants(seed: int) -> tuple[list[str], int, int]:
    """Variants whose replayed result is not that of a full pass; how many there are, and calls left out for them."""
    model = Model(seed).eval()
    variants = rows_of(model)
    replay: PrefixReplay[Any, Any] = PrefixReplay(model, torch.no_grad()(model))
    wrong, total = [], 0
    for i, image in enumerate(images(3, 4, n=3)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReplayWarning)
            with replay.on(image, variants) as one:
                found = {variant: one.run(variant) for variant in one.order}
        for variant, result in found.items():
            fresh = Model(seed).eval()
            with ablated(fresh, variant), torch.no_grad():
                full = fresh(image.clone())
            total += 1
            if not same(result, full):
                wrong.append(f"batch {i}, {variant.id}")
    return wrong, total, replay.counts.replayed


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_models(chunk: int) -> None:
    rng = random.Random(SEED * CHUNKS + chunk)
    total = replayed = 0
    for _ in range(MODELS // CHUNKS):
        seed = rng.randrange(2**32)
        wrong, n, answered = wrong_variants(seed)
        assert not wrong, f"Model({seed}) of {kinds_in(Model(seed))}: {len(wrong)} of {n} differ: {wrong[:4]}"
        total, replayed = total + n, replayed + answered
    assert total
    assert replayed > 0  # or nothing was tried
