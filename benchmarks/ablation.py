"""Time applying and undoing ablations of one component, beside Deep Dissect 1.0's way.

    python benchmarks/ablation.py [--threads 1] [--repeats 30]

The component is one of DETR R-50's: the in-projection of an attention (768 × 256), and the first linear of a
feed-forward network (2048 × 256). The old way copies the model's whole state and loads it again for each variant. Times
are medians by the clock, in milliseconds; `apply+undo` is of a prepared ablation, `first use` of `edited`, which works
the new values out as well. `copy` is one copy of the component's values.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from dissect_core import Constant, Edit, Intervention, Mean, Noise, Quantize, Scale, Shuffle, Zero
from dissect_core.torch import Prepared, edited, prepared


def median_ms(function: Callable[[], object], repeats: int) -> float:
    """Return milliseconds by the clock, the median of some runs after one to warm up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def detr_like() -> nn.Module:
    """Return attention and feed-forward layers of DETR's sizes, with about as many parameters as DETR has."""
    encoder = nn.TransformerEncoderLayer(256, 8, 2048, batch_first=True)
    decoder = nn.TransformerDecoderLayer(256, 8, 2048, batch_first=True)
    backbone = nn.Sequential(*(nn.Conv2d(512, 512, 3) for _ in range(10)))
    return nn.ModuleDict(
        {
            "encoder": nn.TransformerEncoder(encoder, 6, enable_nested_tensor=False),
            "decoder": nn.TransformerDecoder(decoder, 6),
            "backbone": backbone,
        }
    ).eval()


def masks(shape: tuple[int, int]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield masks of the kinds that a plan has."""
    rng, size = np.random.default_rng(0), shape[0] * shape[1]
    for dose in (0.05, 0.5, 1.0):
        order = rng.permutation(size)
        name = "component" if dose == 1 else f"{dose:.0%} of elements"
        yield name, (order < int(dose * size)).reshape(shape)
    rows = np.zeros(shape, dtype=np.bool_)
    rows[rng.permutation(shape[0])[: shape[0] // 2]] = True
    yield "50% of rows", rows
    head = np.zeros(shape, dtype=np.bool_)
    head[32:64] = True
    yield "one head's rows", head


INTERVENTIONS: tuple[Intervention, ...] = (
    Zero(),
    Constant(value=1),
    Mean(),
    Shuffle(),
    Noise(),
    Noise(snr_db=10),
    Scale(factor=0.5),
    Quantize(bits=4),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=30)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = detr_like()
    n_parameters = sum(p.numel() for p in model.parameters())

    def old_way() -> None:
        state = copy.deepcopy(model.state_dict())
        edited_state = copy.deepcopy(state)
        edited_state["encoder.layers.0.self_attn.in_proj_weight"].zero_()
        model.load_state_dict(edited_state)
        model.load_state_dict(state)

    old = median_ms(old_way, max(3, args.repeats // 5))
    print(
        f"{n_parameters / 1e6:.1f} M parameters, {args.threads} thread(s); the old way: {old:.1f} ms a variant"
    )
    print(f"{'component':<12}{'masked':<18}{'intervention':<16}{'prepare':>9}{'apply+undo':>12}{'copy':>8}{'ratio':>8}"
          f"{'first use':>11}")  # fmt: skip
    for path in ("encoder.layers.0.self_attn.in_proj_weight", "encoder.layers.0.linear1.weight"):
        parameter = model.get_parameter(path)
        shape = (parameter.shape[0], parameter.shape[1])
        copied = median_ms(lambda p=parameter: p.detach().clone(), args.repeats)  # type: ignore[misc]
        for what, mask in masks(shape):
            for intervention in INTERVENTIONS:
                edits = [Edit(path, mask, intervention)]
                ready = prepared(model, edits)
                prepare = median_ms(ready.prepare, args.repeats)
                use = median_ms(lambda r=ready: entered(r), args.repeats)  # type: ignore[misc]
                first = median_ms(lambda e=edits: entered(edited(model, e)), args.repeats)  # type: ignore[misc]
                print(
                    f"{'×'.join(map(str, shape)):<12}{what:<18}{label(intervention):<16}{prepare:>9.2f}{use:>12.3f}"
                    f"{copied:>8.3f}{old / use:>8.0f}{first:>11.2f}"
                )


def entered(block: Prepared) -> None:
    """Apply and undo."""
    with block:
        pass


def label(intervention: Intervention) -> str:
    """Return the short name of an intervention."""
    return "noise, additive" if getattr(intervention, "snr_db", None) is not None else intervention.kind


if __name__ == "__main__":
    main()
