"""Stand-ins: modules without parameters that do what a layer or sublayer does when it is left out."""

import copy
import inspect
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ...anatomy import AttentionLayout
from ...errors import InterventionError
from ..activations import Forward
from ..anatomy import attention_layouts
from ..structure import projection_of, same_values, silent

_LAYERS = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
# MMCV's name for the argument that a block adds as its residual; if a call does not give it, the first one is added.
_RESIDUAL = "identity"


@dataclass(frozen=True)
class Answer:
    """What a module returns when it is left out.

    Attributes
    ----------
    arguments : tuple of str
        The first of these arguments that a call gives; empty for zeros.
    width : int or None
        Last dimension of zeros; None for that of the stream.
    n_more : int or None
        How many ``None`` follow in a tuple; None where a bare tensor is returned.
    """

    arguments: tuple[str, ...]
    width: int | None = None
    n_more: int | None = None


class StandIn(nn.Module):
    """Module in the place of a layer or sublayer, with the numbers and flags that others read from that.

    Examples
    --------
    >>> linear = nn.Linear(4, 2)
    >>> stand_in = StandIn(linear, Answer((), width=2))
    >>> stand_in(torch.ones(3, 4)).tolist(), stand_in.out_features
    ([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], 2)
    """

    def __init__(self, module: nn.Module, answer: Answer) -> None:
        super().__init__()
        self.__dict__.update(vars(_facts(module)))
        self._answer = answer
        self._names = tuple(inspect.signature(module.forward).parameters)
        self._stood_for = type(module).__name__
        self.train(module.training)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the argument that the module would pass through, or zeros of its shape."""
        given = given_arguments(self._names, args, kwargs)
        if self._answer.arguments:
            tensor = next(given[name] for name in self._answer.arguments if given.get(name) is not None)
        else:
            like = given[stream_name(self._names, given)]
            shape = like.shape if self._answer.width is None else (*like.shape[:-1], self._answer.width)
            tensor = like.new_zeros(shape)
        return tensor if self._answer.n_more is None else (tensor, *[None] * self._answer.n_more)

    def extra_repr(self) -> str:
        """Describe the module that was here."""
        returns = " or ".join(self._answer.arguments) or "zeros"
        return f"instead of {self._stood_for}: returns {returns}"


def _facts(module: nn.Module) -> SimpleNamespace:
    """Collect the numbers and flags of a module and of those in it; parameters are None.

    ``TransformerEncoder`` for instance reads ``layers[0].self_attn.batch_first``.
    """
    facts: dict[str, Any] = dict.fromkeys(name for name in module._parameters)
    facts |= {
        k: v for k, v in vars(module).items() if k != "training" and isinstance(v, (bool, int, float, str))
    }
    facts |= {name: _facts(child) for name, child in module._modules.items() if child is not None}
    return SimpleNamespace(**facts)


def given_arguments(names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name."""
    return dict(zip(names, args, strict=False)) | kwargs


def stream_name(names: tuple[str, ...], given: dict[str, Any]) -> str:
    """Return the name of the argument that carries the stream of features: the first one, as in `bypassed`."""
    return next((name for name in (*names[:1], "query", "hidden_states", "x") if name in given), "")


def known_answer(path: str, module: nn.Module, layer: bool) -> Answer | None:
    """Return what a module returns when it is left out, if that can be known without a run of the model.

    Torch's own modules are known. Another sublayer is tried, as a copy, on a small random input; None where it
    needs more than that, or is a layer.
    """
    names = tuple(inspect.signature(module.forward).parameters)
    if layer:
        return Answer(names[:1]) if isinstance(module, _LAYERS) else None
    if isinstance(module, nn.MultiheadAttention):
        return Answer((), n_more=1)
    if isinstance(module, nn.Linear):
        return Answer((), width=module.out_features)
    trial = copy.deepcopy(module).eval()
    projection = projection_of(path, trial)
    weight = next(projection.parameters())
    layouts: list[AttentionLayout] = list(attention_layouts(trial).values())
    width = layouts[0].embed_dims if layouts else weight.shape[0]
    draws = torch.randn(2, 3, width, generator=torch.Generator().manual_seed(0))
    x = draws.to(weight.device, weight.dtype)
    with silent(projection), torch.no_grad():
        try:
            output = trial(x)
        except Exception:  # a block of unknown kind may need more than one input
            return None
        return seen_answers(path, module, (x,), {}, output, layer=False)[0]


def seen_answers(
    path: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any, layer: bool
) -> tuple[Answer, ...]:
    """Return all answers that agree with what a module returned in one call while it was left out, likeliest first.

    One call may agree with several: DETR's decoder starts from zeros, so that its input and zeros are the same.

    Raises
    ------
    InterventionError
        If the result is neither one of the arguments nor zeros, or comes with others that only the module can make.
    """
    many = isinstance(output, (tuple, list)) and len(output) > 0
    first, more = (output[0], output[1:]) if many else (output, ())
    # The attention weights of a block that was removed are not needed; other tensors may be.
    made = any(item is not None for item in more) and not isinstance(module, nn.MultiheadAttention)
    if not isinstance(first, Tensor) or made:
        raise InterventionError(
            f"{path!r}, a {type(module).__name__}, returns more than its features, which only it can make: it "
            "cannot be removed. Leave it out with `bypassed`, or remove the blocks inside it."
        )
    n_more = len(more) if many else None
    names = tuple(inspect.signature(module.forward).parameters)
    given = given_arguments(names, args, kwargs)
    stream = stream_name(names, given)
    choices: list[tuple[str, ...]] = [(stream,)]
    if not layer:
        choices = [(_RESIDUAL, stream)] * (_RESIDUAL in names) + choices + [(name,) for name in given]
    found = []
    for arguments in choices:
        value = next((given[name] for name in arguments if given.get(name) is not None), None)
        if isinstance(value, Tensor) and value.shape == first.shape and same_values(value, first):
            found.append(Answer(arguments, None, n_more))
    like = given.get(stream)
    if (
        not layer
        and isinstance(like, Tensor)
        and like.shape[:-1] == first.shape[:-1]
        and not bool(first.any())
    ):
        found.append(Answer((), first.shape[-1], n_more))
    if not found:
        raise InterventionError(
            f"{path!r}, a {type(module).__name__}, returns neither its input nor zeros when it is left out. Remove "
            "a block inside it."
        )
    return tuple(dict.fromkeys(found))


class Witness:
    """Watches the calls of a bypassed module, for `wrapped_forward`; `answers` are those that agree with all calls."""

    def __init__(self, path: str, module: nn.Module, layer: bool) -> None:
        self.path, self.module, self.layer = path, module, layer
        self.answers: tuple[Answer, ...] | None = None

    def __call__(self, forward: Forward, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call, and drop the answers that it rules out."""
        output = forward(*args, **kwargs)
        seen = seen_answers(self.path, self.module, args, kwargs, output, self.layer)
        self.answers = seen if self.answers is None else tuple(a for a in self.answers if a in seen)
        if not self.answers:
            raise InterventionError(
                f"{self.path!r}, a {type(self.module).__name__}, returns one thing in one call and another in the "
                "next when it is left out: no stand-in does that. Leave it out with `bypassed`."
            )
        return output
