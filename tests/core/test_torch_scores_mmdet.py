"""Importance of heads in MMCV's and MMDetection's blocks, against finite differences of their output columns."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("mmdet", reason="mmdet is not installed")

from dissect_core.spec import load_spec  # noqa: E402
from dissect_core.torch import anatomy_of, gradient_scores  # noqa: E402
from mmdet_layers import BLOCKS, layer  # noqa: E402

EPS = 1e-5


@pytest.mark.parametrize("name", BLOCKS)
def test_importance_is_a_finite_difference(name: str) -> None:
    model, call = layer(name)
    anatomy = anatomy_of(model)
    select = {"by": "top", "score": "head_importance", "counts": [1]}
    ablation = {"name": "a", "target": {"unit": "head", "components": "*"}, "select": select}
    spec = load_spec({"name": "s", "ablations": [ablation]})

    def loss(model: Any, image: int) -> Any:
        """Of one of the two images that `call` runs, so that columns can be scaled for it alone."""
        return call(model)[image].pow(3).mean()

    scores = gradient_scores(model, [0, 1], loss, spec, anatomy)
    assert len(scores) == len(BLOCKS[name])
    for path, layout in anatomy.attention.items():
        output = next(s for s in layout.slices if s.part == "output")
        weight, found = model.get_parameter(output.parameter), np.zeros(layout.n_heads)
        original = weight.detach().clone()
        for head in range(layout.n_heads):
            columns = slice(head * output.width, (head + 1) * output.width)
            for image in (0, 1):
                at = []
                with torch.no_grad():
                    for factor in (1 + EPS, 1 - EPS):
                        weight[:, columns] = original[:, columns] * factor
                        at.append(float(loss(model, image)))
                        weight.copy_(original)
                found[head] += abs(at[0] - at[1])
        assert np.ptp(found) > 0.01 * found.max()
        expected = found / np.linalg.norm(found)
        np.testing.assert_allclose(scores["head_importance", path], expected, rtol=1e-5, atol=1e-8)
