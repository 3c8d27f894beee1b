"""Read the predictions of a decoder layer before the last, without training anew."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from ...errors import InterventionError
from ..activations import floats_in, module_at, wrapped_forward
from ._bypass import same_values, through
from ._readout_stack import Stacks


@contextmanager
def read_out(model: nn.Module, path: str) -> Iterator[None]:
    """Let a detector predict from one of its decoder layers, as auxiliary losses trained it to.

    A detection transformer's decoder hands the results of all its layers to the head, stacked or in a list, and the
    head reads the last of them. Inside the block they end with the layer at `path`: a model with branches for each
    layer (Deformable DETR, DINO) then uses this layer's branches and reference boxes. Where the decoder also returns
    the last layer's result by itself, or nothing else (DETR of Transformers), this layer's result takes its place, with
    the norm that the decoder has behind its last layer. What else it returns must not depend on the layers behind.

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
        If the layer is not in a list of a decoder, the layers do not run one after the other, or the decoder does not
        return the results of all of them; on leaving the block, if the decoder never ran.

    Notes
    -----
    The results of the layers are never guessed from sizes: entry i must hold what layer i returned in this very pass,
    or what another module of the decoder, such as its norm, made of that.

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
    layers = model.get_submodule(above)
    if not isinstance(layers, nn.ModuleList):
        raise InterventionError(
            f"`path` must lead to a layer in a list of layers to be read out, got {path!r} in a "
            f"{type(layers).__name__}. Give a decoder's layer, such as 'decoder.layers.0'."
        )
    decoder_path = above.rpartition(".")[0]
    decoder = model.get_submodule(decoder_path)
    call = _Call(len(layers))
    index, runs = int(name), 0

    def begin(_module: nn.Module, _args: Any) -> None:
        call.begin()

    def without_later(args: Any, kwargs: Any) -> Any:
        """Run the decoder once more, with the layers behind this one left out."""
        with ExitStack() as later:
            for i in range(index + 1, len(layers)):
                later.enter_context(wrapped_forward(layers[i], through(f"{above}.{i}", layers[i])))
            call.begin()
            return decoder.forward(*args, **kwargs)

    def end_earlier(_module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        nonlocal runs
        runs += 1
        if index == len(layers) - 1:
            return output
        if call.order != list(range(len(layers))):
            raise InterventionError(
                f"The layers of {decoder_path!r} must run one after the other, each once, to be read out at {path!r}; "
                f"got the order {call.order or 'none: they did not run'}. Such a decoder cannot be read out."
            )
        call.complete(index)
        stacks = Stacks(call.given, output)
        ending = stacks.ending_with(index)
        if not stacks.found and not stacks.replaced:
            raise _not_returned(decoder_path, path, len(layers), "it does not")
        if stacks.unknown:  # what is not recognised must not depend on the layers behind
            shorter = without_later(args, kwargs)
            for tensor, instead in zip(floats_in(output), floats_in(shorter), strict=True):
                if any(tensor is one for one in stacks.unknown) and not same(tensor, instead):
                    made = f"it makes a tensor of the shape {tuple(tensor.shape)} of the last alone"
                    raise _not_returned(decoder_path, path, len(layers), made)
        return ending

    with ExitStack() as stack:
        stack.callback(decoder.register_forward_pre_hook(begin).remove)
        inside = {id(module) for module in layers.modules()}
        for i, layer in enumerate(layers):
            stack.callback(layer.register_forward_hook(call.after_layer(i)).remove)
        for module in decoder.modules():
            if module is not decoder and id(module) not in inside:
                stack.callback(module.register_forward_hook(call.after_other).remove)
        stack.callback(decoder.register_forward_hook(end_earlier, with_kwargs=True).remove)
        yield
    if not runs:
        raise InterventionError(
            f"The decoder of {path!r} never ran inside the block, so that nothing was read out. Run the model there."
        )


def _not_returned(decoder: str, path: str, n_layers: int, but: str) -> InterventionError:
    return InterventionError(
        f"{decoder!r} must return the results of all its {n_layers} layers to be read out at {path!r}, but {but}. "
        "Build it to return intermediate results."
    )


def same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are of one shape and hold the same values."""
    return one.shape == other.shape and same_values(one, other)


class _Call:
    """Results of the layers in one call of a decoder, and what its other modules made of them.

    Parameters
    ----------
    n_layers : int

    Attributes
    ----------
    order : list of int
        Layers in the order in which they ended.
    given : list of list of Tensor
        By layer: the tensors that it returned, then what other modules made of one of them.
    """

    def __init__(self, n_layers: int) -> None:
        self._n_layers = n_layers
        self.begin()

    def begin(self) -> None:
        """Forget the previous call."""
        self.order: list[int] = []
        self.given: list[list[Tensor]] = [[] for _ in range(self._n_layers)]
        self._makers: list[list[tuple[nn.Module, int] | None]] = [[] for _ in range(self._n_layers)]

    def after_layer(self, index: int) -> Any:
        """Return a hook that notes what a layer returned."""

        def note(_module: nn.Module, _args: Any, output: Any) -> None:
            self.order.append(index)
            found = list(floats_in(output))
            self.given[index] += found
            self._makers[index] += [None] * len(found)

        return note

    def after_other(self, module: nn.Module, args: Any, output: Any) -> None:
        """Note what a module returned if it was given what the last layer returned, and kept its shape."""
        if not self.order or not isinstance(output, Tensor):
            return
        of_layer = self.given[self.order[-1]]
        for tensor in floats_in(args):
            if tensor.shape != output.shape:
                continue
            source = next((i for i, one in enumerate(of_layer) if tensor is one or same(tensor, one)), None)
            if source is not None:
                of_layer.append(output)
                self._makers[self.order[-1]].append((module, source))
                return

    def complete(self, index: int) -> None:
        """Order what a layer returned as what the last layer returned, and make of it what was made of that: a norm.

        Other modules may have made more of it, for the next layer.
        """
        given, makers = self.given[index], self._makers[index]
        ordered: list[Tensor] = []
        places: list[int] = []
        for k, maker in enumerate(list(self._makers[-1])):
            if maker is None:
                place = k if k < len(given) and makers[k] is None else None
            else:
                module, source = maker
                place = _place(makers, module, places[source])
                if place is None:
                    place = len(given)
                    given.append(module(ordered[source]))
                    makers.append((module, source))
            if place is None:
                return
            places.append(place)
            ordered.append(given[place])
        self.given[index] = ordered + [one for i, one in enumerate(given) if i not in places]


def _place(
    makers: Sequence[tuple[nn.Module, int] | None], module: nn.Module, source: int | None
) -> int | None:
    """Return where a module's result of a source is among the results of a layer."""
    wanted = (module, source)
    return next((i for i, maker in enumerate(makers) if maker is not None and maker == wanted), None)
