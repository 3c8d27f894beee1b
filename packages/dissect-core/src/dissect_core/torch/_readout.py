"""Reading the predictions of a decoder layer before the last, without retraining."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ..errors import InterventionError
from ._forward import map_tensors, module_at


@contextmanager
def read_out(model: nn.Module, path: str) -> Iterator[None]:
    """Let a detector predict from one of its decoder layers, as auxiliary losses trained it to.

    A detection transformer's decoder hands the results of all its layers, stacked as (layers, ..., queries,
    features), to the head, which reads the last of them. Inside the block the stack ends with the layer at `path`.
    A model with branches for each layer (Deformable DETR, DINO) so uses this layer's own, and its reference boxes.

    Parameters
    ----------
    model : torch.nn.Module
        The model, on any device.
    path : str
        Path of the decoder layer, an item of a `torch.nn.ModuleList` that the decoder holds.

    Raises
    ------
    UnknownComponentError
        If the model has no such module.
    InterventionError
        If the layer is not in a list of a decoder, or the decoder returns the result of its last layer only; on
        leaving the block, if the decoder never ran.

    References
    ----------
    Al-Rfou et al., AAAI 2019, arXiv:1808.04444, and Carion et al., ECCV 2020, arXiv:2005.12872, section 3.2, for the
    losses of all layers; the decoder's predictions layer by layer are figure 4 there.

    Examples
    --------
    >>> import torch
    >>> class Decoder(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(4)])
    ...
    ...     def forward(self, queries):
    ...         found = []
    ...         for layer in self.layers:
    ...             queries = layer(queries)
    ...             found.append(queries)
    ...         return torch.stack(found)
    >>> decoder, queries = Decoder(), torch.randn(2, 5, 3)
    >>> with read_out(decoder, "layers.1"):
    ...     last = decoder(queries)[-1]
    >>> torch.equal(last, decoder.layers[1](decoder.layers[0](queries)))
    True
    """
    module_at(model, path)
    above, _, name = path.rpartition(".")
    stack = model.get_submodule(above)
    if not isinstance(stack, nn.ModuleList):
        raise InterventionError(
            f"`path` must lead to a layer in a list of layers to be read out, got {path!r} in a "
            f"{type(stack).__name__}. Give a decoder's layer, such as 'decoder.layers.0'."
        )
    n_layers, n_read = len(stack), int(name) + 1
    decoder_path = above.rpartition(".")[0]
    decoder = model.get_submodule(decoder_path)
    runs = 0

    def end_earlier(_module: nn.Module, _args: Any, output: Any) -> Any:
        nonlocal runs
        runs += 1
        cut = 0

        def upto(tensor: Tensor) -> Tensor:
            nonlocal cut
            # (layers, images, queries, features), or with images and queries the other way round. Reference
            # boxes may come with those before the first layer, one entry more: the head counts from the front.
            if tensor.ndim == 4 and len(tensor) == n_layers:
                cut += 1
                return tensor[:n_read]
            return tensor

        shorter = map_tensors(upto, output)
        if not cut:
            raise InterventionError(
                f"{decoder_path!r} must return the results of all its {n_layers} layers to be read out at "
                f"{path!r}, but returns no (layers, ..., queries, features). Build it to return intermediate results."
            )
        return shorter

    handle = decoder.register_forward_hook(end_earlier)
    try:
        yield
    finally:
        handle.remove()
    if not runs:
        raise InterventionError(
            f"The decoder of {path!r} never ran inside the block, so that nothing was read out. Run the model there."
        )
