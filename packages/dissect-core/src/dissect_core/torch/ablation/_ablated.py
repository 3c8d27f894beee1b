"""Ablation of a live model, by masks or by a variant of any kind, for the length of a `with` block."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

from torch import nn

from ...anatomy import Mask
from ...edits import AblationReport, ActivationReport, ActivationSite, Edit, Intervention, Zero
from ...errors import InterventionError
from ...plan import Variant
from ..activations import Reference, intervened
from ..structure import bypassed, read_out
from ..weights import edited

_ZERO = Zero()


@dataclass(frozen=True)
class StructureReport:
    """Reports what was left out of a model, in the same terms as an ablation of weights.

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
        """Return the same number: what is left out changes as a whole."""
        return self.masked

    @property
    def is_no_op(self) -> bool:
        """Return whether nothing was left out."""
        return not self.paths


VariantReport: TypeAlias = AblationReport | ActivationReport | StructureReport


@overload
def ablated(
    model: nn.Module, what: Variant, *, reference: Reference | None = None
) -> AbstractContextManager[VariantReport]: ...


@overload
def ablated(
    model: nn.Module,
    what: Mapping[str, Mask],
    intervention: Intervention = _ZERO,
    *,
    seed: int = 0,
    variant: str = "",
) -> AbstractContextManager[AblationReport]: ...


def ablated(
    model: nn.Module,
    what: Variant | Mapping[str, Mask],
    intervention: Intervention = _ZERO,
    *,
    reference: Reference | None = None,
    seed: int = 0,
    variant: str = "",
) -> AbstractContextManager[Any]:
    """Ablate a model in place; on leaving the block, also by an error, every value is restored bit for bit.

    Parameters
    ----------
    model : torch.nn.Module
        The model, on any device, with parameters of any types. Everything is checked before its first value
        is touched.
    what : Variant, or mapping of str to ndarray of bool
        A variant of a `dissect_core.plan`, with its own intervention, seed and id: on weights, on activations, or
        by leaving out layers. Or masks: for each parameter to ablate, by any of its names, one of its shape, True
        where ablated. Masks for tied parameters, which share their values, are joined.
    intervention : Zero, Constant, Mean, Shuffle, Noise, Scale or Quantize, default Zero()
        For masks: what to put in the place of masked values.
    reference : Reference, optional
        For a variant on activations that are not just zeroed: from `gather_reference` at its `sites`.
    seed : int, default 0
        For masks: seed of the study, for `Shuffle` and `Noise`.
    variant : str, default ""
        For masks: stable id of the variant; with the seed and the component's name it decides what is drawn.

    Returns
    -------
    context manager of AblationReport, ActivationReport or StructureReport
        How many values are masked and how many really changed. Of activations it counts while the model runs.

    Raises
    ------
    UnknownComponentError
        If the model has no such parameter or module; near matches are named.
    MaskError
        If a mask is not of bool, or not of its parameter's shape.
    InterventionError
        If a parameter cannot hold the replacement, a reference is missing, or, on leaving the block, what was to be
        replaced or left out never ran.

    Notes
    -----
    Blocks may be nested, and must then be left in the reverse order. Only the masked values are kept for
    restoring: an optimizer's step inside the block is undone for these and stays for the rest. The model is
    changed for every thread that uses it.

    Examples
    --------
    >>> from dissect_core import head_masks
    >>> from dissect_core.torch import attention_layouts
    >>> layer = nn.TransformerEncoderLayer(16, 4)
    >>> masks = head_masks(attention_layouts(layer)["self_attn"], heads=2)
    >>> with ablated(layer, masks) as report:
    ...     print(report.masked, layer.self_attn.out_proj.weight[:, 8:12].abs().sum().item())
    64 0.0

    The same, planned:

    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of
    >>> heads = {"name": "heads", "target": {"unit": "head", "components": "*"}, "select": {"by": "each"}}
    >>> for one in plan(load_spec({"name": "single heads", "ablations": [heads]}), anatomy_of(layer)):
    ...     with ablated(layer, one) as report:
    ...         print(one.id, report.masked)
    baseline 0
    heads/head/each/self_attn:0 64
    heads/head/each/self_attn:1 64
    heads/head/each/self_attn:2 64
    heads/head/each/self_attn:3 64
    """
    if isinstance(what, Variant):
        if intervention != _ZERO or seed or variant:
            raise InterventionError(
                f"The variant {what.id!r} brings its own intervention, seed and id: leave `intervention`, `seed` and "
                "`variant` out."
            )
        return applied(model, what, reference)
    edits = [Edit(name, mask, intervention) for name, mask in what.items()]
    return edited(model, edits, seed=seed, variant=variant)


@contextmanager
def applied(
    model: nn.Module, variant: Variant, reference: Reference | None = None
) -> Iterator[VariantReport]:
    """Apply a variant for the length of a block; see `ablated`."""
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
            kind = "layer" if "layer" in variant.pool.kind.blocks else "sublayer"
            layer = variant.readout()
            for path in variant.bypassed():
                stack.enter_context(bypassed(model, path, kind))  # type: ignore[arg-type]  # one of its kinds
            if layer is not None:
                stack.enter_context(read_out(model, layer))
            yield StructureReport((layer,) if layer is not None else variant.bypassed(), variant.n_parameters)


def reference_sites(variants: Sequence[Variant]) -> tuple[ActivationSite, ...]:
    """List the sites whose activations some variants need, for one pass of `gather_reference`.

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
    sites = {(part.path, pool.unit): None for pool in pools.values() for part in pool.parts}
    return tuple(ActivationSite(path, unit) for path, unit in sites)  # type: ignore[arg-type]  # as planned
