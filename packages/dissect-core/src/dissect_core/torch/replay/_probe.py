"""The effective dose of many variants on a batch, without running each in full."""

from collections.abc import Callable, Sequence
from typing import Any

from ...plan import Variant
from .._effects import Probe, VariantEffect
from .._reference import Reference
from ._pass import BatchPass
from ._players import Player


class _ReplayedProbe(Probe[Any]):
    """A probe whose passes of variants are answered from the record of a batch."""

    def __init__(self, one: BatchPass[Any, Any]) -> None:
        self._playing: Player | None = None
        super().__init__(one.model, lambda _model, _batch: one.once(self._playing), None)
        self._one = one

    def replayed(self, variant: Variant, reference: Reference | None) -> VariantEffect:
        self._playing = self._one.player(variant)
        try:
            return self.effect(variant, reference)
        finally:
            self._playing = None


def replayed_effects(
    one: BatchPass[Any, Any],
    variants: Sequence[Variant],
    reference_of: Callable[[Variant], Reference | None] = lambda _variant: None,
) -> dict[str, VariantEffect]:
    """What variants change in the outputs of what they ablate, on the batch of a pass.

    The same numbers as `dissect_core.torch.Probe` gives, for two passes in full and the replayed ones.

    Parameters
    ----------
    one : BatchPass
        Of `PrefixReplay.on`, begun with these variants, before any of them was run: records are dropped then.
    variants : sequence of Variant
    reference_of : callable, optional
        Reference activations for a variant, where it needs them.

    Returns
    -------
    dict of str to VariantEffect
        By the variant's id.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of
    >>> from dissect_core.torch.replay import PrefixReplay
    >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 2).eval()
    >>> layers = {"name": "layers", "target": {"unit": "layer", "components": "*"}, "select": {"by": "each"}}
    >>> variants = plan(load_spec({"name": "single layers", "ablations": [layers]}), anatomy_of(model))
    >>> with PrefixReplay(model, torch.no_grad()(model)).on(torch.randn(1, 5, 8), variants) as one:
    ...     effects = replayed_effects(one, variants)
    >>> [effect.is_no_op for effect in effects.values()]
    [True, False, False]
    """
    probe = _ReplayedProbe(one)
    probe.remember(path for variant in variants for path in probe.paths(variant))
    return {variant.id: probe.replayed(variant, reference_of(variant)) for variant in variants}
