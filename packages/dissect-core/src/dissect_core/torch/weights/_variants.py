"""One variant of a plan on a live model: its edits, activations, bypasses or readout."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from torch import nn

from ...edits import AblationReport, ActivationReport, ActivationSite
from ...plan import Variant
from ..activations._intervened import intervened
from ..activations._reference import Reference
from ..structure._bypass import bypassed
from ..structure._readout import read_out
from ._edits import edited


@dataclass(frozen=True)
class StructureReport:
    """What leaving out layers took from a model.

    Attributes
    ----------
    paths : tuple of str
        Layers and sublayers left out, or the decoder layer that was read out.
    masked : int
        Values of their parameters; for a readout, of the parameters of the layers behind.

    Examples
    --------
    >>> StructureReport(("encoder.layers.0",), 1_000).is_no_op
    False
    """

    paths: tuple[str, ...]
    masked: int

    @property
    def changed(self) -> int:
        """All of these: they take no part."""
        return self.masked

    @property
    def is_no_op(self) -> bool:
        """Whether nothing was left out."""
        return not self.paths


VariantReport: TypeAlias = AblationReport | ActivationReport | StructureReport


@contextmanager
def applied(
    model: nn.Module, variant: Variant, reference: Reference | None = None
) -> Iterator[VariantReport]:
    """Apply a variant for the length of a block; `ablated` says the rest."""
    if variant.space == "activation":
        with intervened(
            model,
            variant.sites(),
            variant.intervention,  # type: ignore[arg-type]  # the space says so
            reference,
            seed=variant.seed,
            variant=variant.id,
        ) as activity:
            yield activity
    elif variant.space == "weight":
        with edited(model, variant.edits(), seed=variant.seed, variant=variant.id) as report:
            yield report
    else:
        with ExitStack() as stack:
            kind = "layer" if variant.pool.unit == "layer" else "sublayer"
            layer = variant.readout()
            for path in variant.bypassed():
                stack.enter_context(bypassed(model, path, kind))  # type: ignore[arg-type]  # one of its kinds
            if layer is not None:
                stack.enter_context(read_out(model, layer))
            yield StructureReport((layer,) if layer is not None else variant.bypassed(), variant.n_parameters)


def reference_sites(variants: Sequence[Variant]) -> tuple[ActivationSite, ...]:
    """Sites whose activations variants need, for one pass of `gather_reference`.

    Examples
    --------
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of
    >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 2)
    >>> ablation = {
    ...     "name": "heads",
    ...     "target": {"unit": "head", "components": "*"},
    ...     "select": {"by": "each"},
    ...     "interventions": {"space": "activation", "kind": "mean"},
    ... }
    >>> variants = plan(load_spec({"name": "means", "ablations": [ablation]}), anatomy_of(model))
    >>> len(variants), [site.path for site in reference_sites(variants)]
    (5, ['layers.0.self_attn', 'layers.1.self_attn'])
    """
    needing = (v for v in variants if v.space == "activation" and v.intervention.kind != "zero")
    # Variants share their pools: units are not drawn for this.
    pools = {id(variant.pool): variant.pool for variant in needing}
    places = {(place.path, pool.unit): None for pool in pools.values() for place in pool.parts}
    return tuple(ActivationSite(path, unit) for path, unit in places)  # type: ignore[arg-type]  # as planned
