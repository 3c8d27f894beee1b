"""Effects of variants: the dose that counts, and why it may be none."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ...plan import Variant
from ..ablation import applied
from ..activations import Reference, floats_in, without_fast_path
from ..anatomy import rows_read
from ._output_change import no_op_reason, record_outputs, relative_change

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class VariantEffect:
    """The effect of a variant on one batch.

    Attributes
    ----------
    id : str
        The variant.
    masked : int
        Values replaced, of parameters or activations, or left out with layers.
    changed : int
        Those that became other values.
    paths : tuple of str
        Modules whose outputs were compared: the ablated ones, as far as they are called and give tensors, else those
        around them; for parameters that the model itself reads, the module that gives its results.
    output_change : float
        ‖y′ − y‖ / ‖y‖ over all outputs of these modules, 0 or more.
    no_op : str or None
        If nothing changed, neither values nor outputs, or values alone: the likely reason.
    flops_saved : float or None
        Share of a pass's operations that a model without the removed units would not need, see `flops_saved`; None
        where it was not counted or depends on how the model is rewritten.

    Examples
    --------
    >>> effect = VariantEffect("a/head/each/attn:0", 64, 0, ("attn",), 0.0, "every masked value was 0 already")
    >>> effect.is_no_op
    True
    """

    id: str
    masked: int
    changed: int
    paths: tuple[str, ...]
    output_change: float
    no_op: str | None = None
    flops_saved: float | None = None

    @property
    def is_no_op(self) -> bool:
        """Return whether the variant did nothing, so that its results say nothing about robustness."""
        return self.no_op is not None


class EffectProbe(Generic[Batch]):
    """Measures what variants change in the outputs of what they ablate, on one batch.

    Equal shares of units are not equal lesions: results of different components and models are compared by the
    relative change of the ablated module's output beside the dose.

    Parameters
    ----------
    model : torch.nn.Module
    run : callable
        ``run(model, batch)`` runs the model once.
    batch : object
        Whatever `run` takes.

    Examples
    --------
    >>> import torch
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.Flatten())
    >>> _ = model[0].weight.data.copy_(torch.tensor([3.0, 4.0]).view(2, 1, 1, 1))
    >>> channels = {"name": "channels", "target": {"unit": "channel", "components": "conv"}, "select": {"by": "each"}}
    >>> variants = plan(load_spec({"name": "one by one", "ablations": [channels]}), anatomy_of(model))
    >>> probe = EffectProbe(model, lambda model, batch: model(batch), torch.ones(1, 1, 2, 2))
    >>> [(effect.paths, round(effect.output_change, 3)) for effect in map(probe.effect, variants[1:])]
    [(('0',), 0.6), (('0',), 0.8)]
    >>> probe.effect(variants[0]).no_op
    'it is the baseline, or removes no unit.'
    """

    def __init__(self, model: nn.Module, run: Callable[[nn.Module, Batch], Any], batch: Batch) -> None:
        self._model, self._run, self._batch = model, run, batch
        self._order = self._calls()
        self._intact: dict[str, list[Tensor]] = {}
        self._read: dict[str, NDArray[np.bool_] | None] = {}

    def effect(self, variant: Variant, reference: Reference | None = None) -> VariantEffect:
        """Apply a variant, run the batch, and measure what changed. The model is left as it was.

        Raises
        ------
        DissectError
            As `ablated`.
        """
        paths = self.paths(variant)
        self.remember(paths)
        with without_fast_path(), applied(self._model, variant, reference) as report:
            found = self._outputs(paths)
            masked, changed = report.masked, report.changed
        before = [tensor for path in paths for tensor in self._intact[path]]
        after = [tensor for path in paths for tensor in found[path]]
        same_shapes = [x.shape for x in before] == [x.shape for x in after]
        # Another number of proposals, say: the output is not what it was, but no distance tells how much.
        change = relative_change(before, after) if same_shapes else math.inf
        reason = None
        if variant.n_units == 0:
            reason = "it is the baseline, or removes no unit."
        elif changed == 0 or change == 0:
            reason = (self._unread(variant) if changed else None) or no_op_reason(bool(before), report)
        return VariantEffect(variant.id, masked, changed, paths, change, reason)

    def remember(self, paths: Iterable[str]) -> None:
        """Record outputs of modules of the whole model: at once for all variants, it takes a single pass."""
        missing = [path for path in dict.fromkeys(paths) if path not in self._intact]
        if missing:
            with without_fast_path():
                self._intact.update(self._outputs(missing))

    def paths(self, variant: Variant) -> tuple[str, ...]:
        """List the modules that a variant ablates; for one that is not called itself, the module around it."""
        if (layer := variant.readout()) is not None:
            candidates = [layer.rpartition(".")[0].rpartition(".")[0]]
        elif variant.space == "weight":
            candidates = self._last_of_parts(variant)
        else:
            candidates = [site.path for site in variant.sites()] or list(variant.bypassed())
        return tuple(dict.fromkeys(self._called(path) for path in candidates))

    def _unread(self, variant: Variant) -> str | None:
        """Say so if a variant edits only rows that the model does not read."""
        edits = {edit.parameter: edit.mask for edit in variant.edits() if edit.mask.any()}
        if missing := tuple(name for name in edits if name not in self._read):
            self._read |= self._rows_read(missing)
        for name, mask in edits.items():
            read = self._read[name]
            if read is None or mask[read].any():
                return None
        return f"the model reads none of the rows of {', '.join(edits)} that it edits." if edits else None

    def _rows_read(self, names: tuple[str, ...]) -> dict[str, NDArray[np.bool_] | None]:
        with without_fast_path():
            return rows_read(self._model, lambda: self._run(self._model, self._batch), names)

    def _last_of_parts(self, variant: Variant) -> list[str]:
        """List, for each part of the pool, the one that is called last of the modules whose parameters are edited."""
        found = []
        for part, _ in variant.pool.by_part(variant.units()):
            slices = part.group.slices if part.group else ()
            names = [s.parameter for s in slices] or [c.name for c in part.components]
            # Logits of levels and points go to -10,000: what their block gives tells how much that is, not they.
            names += [name for name, _ in part.group.exhausted] if part.group else []
            owners = [self._called(name.rpartition(".")[0]) for name in names]
            found.append(max(owners, key=lambda path: self._order.get(path, 0)))
        return found

    def _called(self, path: str) -> str:
        """Return the path itself if it is called, else of the module around it that is, else of the last one called."""
        while path and path not in self._order:
            path = path.rpartition(".")[0]
        if path not in self._order and self._order:
            return max(self._order, key=lambda each: self._order[each])
        return path

    def _calls(self) -> dict[str, int]:
        """Number the modules that return tensors, in the order in which they first do."""
        order: dict[str, int] = {}
        with ExitStack() as stack:
            stack.enter_context(without_fast_path())
            for path, module in self._model.named_modules():

                def note(_module: nn.Module, _args: Any, output: Any, path: str = path) -> None:
                    if any(True for _ in floats_in(output)):
                        order.setdefault(path, len(order))

                stack.callback(module.register_forward_hook(note).remove)
            record_outputs(self._model, {}, self._run, self._batch)
        return order

    def _outputs(self, paths: Sequence[str]) -> dict[str, list[Tensor]]:
        modules = {path: self._model.get_submodule(path) for path in paths}
        return record_outputs(self._model, modules, self._run, self._batch)
