"""The effective dose of many variants on a batch, without running each in full."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ...plan import Variant
from ..activations import Reference
from ..measure import EffectProbe, VariantEffect, flops_saved
from ._pass import BatchPass
from ._players import Player


class EffectPass(EffectProbe[Any]):
    """Runs variants on a batch by replay, and measures meanwhile what they change in what they ablate.

    Parameters
    ----------
    one : BatchPass
        Of `PrefixReplay.on`, begun with these variants, before any of them was run: records are dropped then.
    variants : sequence of Variant
        All that will be run.
    """

    def __init__(self, one: BatchPass[Any, Any], variants: Sequence[Variant]) -> None:
        self._one = one
        self._flops = one.trace.flops_by_module()
        self._playing: Player | None = None
        self._output: Any = None
        super().__init__(one.model, self._once, None)
        # Everything that is compared runs after the earliest first use.
        self._playing = one.player_until(min((one.moment(variant) for variant in variants), default=0))
        self.remember(path for variant in variants for path in self.paths(variant))
        self._playing = None

    def run_with_effect(
        self, variant: Variant, reference: Reference | None = None
    ) -> tuple[Any, VariantEffect]:
        """Run the model with the variant applied; return its output and what was changed."""

        def passed(player: Player | None) -> VariantEffect:
            self._playing = player
            try:
                return self.effect(variant, reference)
            finally:
                self._playing = None

        effect = self._one.attempt(variant, passed)
        saved = flops_saved(variant, self._one.model, self._flops, self._one.trace.flops[-1])
        return self._output, replace(effect, flops_saved=saved)

    def _rows_read(self, names: tuple[str, ...]) -> dict[str, Any]:
        # In full, and without a trace of it in what the variant at hand gives.
        playing, output, self._playing = self._playing, self._output, None
        try:
            return super()._rows_read(names)
        finally:
            self._playing, self._output = playing, output

    def _calls(self) -> dict[str, int]:
        """Number the modules that return tensors, in the order in which they first do; the trace tells it."""
        giving = [call for call in self._one.trace.calls if call.has_floats]
        ended = sorted(giving, key=lambda call: call.leave)
        order: dict[str, int] = {}
        for call in ended:
            order.setdefault(call.path, len(order))
        return order

    def _once(self, _model: Any, _batch: Any) -> Any:
        self._output = self._one.once(self._playing)
        return self._output


def replayed_effects(
    one: BatchPass[Any, Any],
    variants: Sequence[Variant],
    reference_of: Callable[[Variant], Reference | None] = lambda _variant: None,
) -> dict[str, VariantEffect]:
    """Measure what variants change in the outputs of what they ablate, on the batch of a pass.

    The same numbers as `dissect_core.torch.EffectProbe` gives, for two passes in full and the replayed ones.

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
    probe = EffectPass(one, variants)
    return {variant.id: probe.run_with_effect(variant, reference_of(variant))[1] for variant in variants}
