"""Prefix replay: what ran before an ablated part was first used is not run again."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from torch import nn

from ...plan import Variant
from ..activations import without_fast_path
from ._pass import BatchPass
from ._session import ReplayCounts, Session
from ._wrapping import compiled_part

Batch = TypeVar("Batch")
Output = TypeVar("Output")


class PrefixReplay(Generic[Batch, Output]):
    """Runs many variants of a model on the same batches, each from the first use of what it ablates.

    Removing a component changes nothing that ran before its first use. Each batch is run once in full; meanwhile
    the results of modules are recorded. For a variant, every outermost module call that had ended before the
    first use of any of its components is answered with the recorded result, and the rest runs. This needs no
    knowledge of the model, and is exact: bit for bit what a full pass gives on the same device and batch.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    run : callable
        ``run(batch)`` runs the model once and gives its result, the same for the same batch. It must not run under
        `torch.inference_mode`, which hides what changes in place; `torch.no_grad` does as well.
    max_bytes : int, optional
        Record no more than this at a time; what does not fit is run again.
    in_full : bool, default False
        Answer nothing from the record: for a model that gives something else each time, as far as it shows or not.

    Notes
    -----
    First uses are seen by a torch-function mode, so that parameters that are read without a module call (a query
    embedding's) count; operators in C++ that it cannot see are taken to use a module's parameters as soon as the
    module is called. A call is never answered from the record if it is given or returns anything but tensors and
    numbers in plain containers, changes what it is given, keeps something in its module, draws random numbers, ends
    in an exception, or if it has hooks of others inside.

    As Python, NumPy, C++ and threads can do more than such rules see, the record is tried out on the first batch, and
    on each that goes another way through the model: with garbage in parameters until their first use, and with the
    calls answered that variants will have answered, after a pass with garbled weights; every call that is left must
    give what it gave in the baseline. That takes about as many passes as there are different first uses. On all other
    batches quicker trials are made, which run each call once or a few times in all (`quick_sets`). What does not
    stand this, and a variant whose parameters were not seen in use, is run in full, with one warning that says which
    module and why. A pass that does not begin as the baseline's did is run again in full. Compiled models
    (`torch.compile`) and those whose passes differ are run in full altogether.

    Torch's fused transformer layers are off meanwhile, in all passes: they call no submodule.

    Examples
    --------
    >>> import torch
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of
    >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 3).eval()
    >>> heads = {"name": "heads", "target": {"unit": "head", "components": "*"}, "select": {"by": "each"}}
    >>> variants = plan(load_spec({"name": "single heads", "ablations": [heads]}), anatomy_of(model))
    >>> replay = PrefixReplay(model, torch.no_grad()(model))
    >>> image = torch.randn(1, 5, 8)
    >>> with replay.on(image, variants) as images_pass:
    ...     outputs = {variant.id: images_pass.run(variant) for variant in images_pass.order}
    >>> torch.equal(outputs["baseline"], images_pass.baseline), len(outputs), replay.counts.replayed > 0
    (True, 7, True)
    """

    def __init__(
        self,
        model: nn.Module,
        run: Callable[[Batch], Output],
        *,
        max_bytes: int | None = None,
        in_full: bool = False,
    ) -> None:
        self._session = Session(model, run, max_bytes, off=compiled_part(model), in_full=in_full)

    @property
    def counts(self) -> ReplayCounts:
        """Return what replay saved so far."""
        return self._session.counts

    @property
    def is_random(self) -> bool:
        """Return whether two passes over the same batch, with nothing changed, gave different results."""
        return self._session.is_random

    @contextmanager
    def on(self, batch: Batch, variants: Sequence[Variant]) -> Iterator["BatchPass[Batch, Output]"]:
        """Run the baseline on a batch, and keep what the variants need for the length of a block."""
        with without_fast_path(), self._session.watching():
            yield BatchPass(self._session, batch, variants)
