"""Interventions on activations, and the sites where they act, as plain data: planned without torch.

`dissect_core.torch.intervened` carries them out on a live model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import ConfigDict, Field

from ..anatomy import unit_kind
from ..errors import UnitError
from ._interventions import Intervention, Spec

ActivationUnit: TypeAlias = Literal["head", "neuron", "channel", "query", "component"]


@dataclass(frozen=True)
class ActivationSite:
    """Units of one module whose activations are replaced.

    Attributes
    ----------
    path : str
        Path of the module in the model:

        - ``"head"``: an attention block, or what wraps it. The activation is the heads' output before it is
          mixed by the output projection.
        - ``"neuron"``: a feed-forward block, or its second linear layer. The activation is this layer's input.
        - ``"channel"``: a convolution, or its norm. The activation is the output behind the norm.
        - ``"query"``: a decoder or one of its layers, or an embedding of queries. The activation is the
          argument named by `argument`, or the embedding's output; units are its rows.
        - ``"component"``: any module. The activation is its whole output, all its tensors.
    unit : {"head", "neuron", "channel", "query", "component"}
        What `indices` count.
    indices : tuple of int or None
        Distinct units, from 0; None for all of them, as a component, which has no units, requires.
    argument : str or None
        For ``"query"``: the argument of the module's ``forward`` (``"query_pos"``); None for its first.
        In DETR ``query`` starts at zero and ``query_pos`` tells the queries apart.
    batch_axis : int or None
        Axis of the images. None: 0, or 1 where attention in or around the module says ``batch_first=False``.

    Raises
    ------
    UnitError
        If the unit is unknown, an index is negative or given twice, a component has indices, or another unit
        than a query has an `argument`.

    Examples
    --------
    >>> ActivationSite("encoder.layers.0.self_attn", "head", (3,))
    ActivationSite(path='encoder.layers.0.self_attn', unit='head', indices=(3,), argument=None, batch_axis=None)
    """

    path: str
    unit: ActivationUnit
    indices: tuple[int, ...] | None = None
    argument: str | None = None
    batch_axis: int | None = None

    def __post_init__(self) -> None:
        if self.unit not in get_args(ActivationUnit):
            known = ", ".join(get_args(ActivationUnit))
            raise UnitError(f"`unit` must be one of {known}, got {self.unit!r}.")
        acts_on = unit_kind(self.unit).activation
        if acts_on == "whole" and self.indices is not None:
            raise UnitError(
                f"`indices` of the {self.unit} {self.path!r} must be None, as it has no units, got {self.indices}. "
                "Leave them out, or choose a unit that the module has."
            )
        if self.argument is not None and acts_on != "rows":
            raise UnitError(
                f"`argument` is for the unit 'query' only, got {self.argument!r} for {self.unit!r}. Leave it out."
            )
        indices = self.indices or ()
        if min(indices, default=0) < 0 or len(set(indices)) != len(indices):
            raise UnitError(f"`indices` must be distinct and 0 or more, got {indices}. Count units from 0.")

    @property
    def key(self) -> tuple[str, str, str | None]:
        """Key of the activation, whatever units of it are chosen."""
        return self.path, self.unit, self.argument

    def __str__(self) -> str:
        units = "" if self.indices is None else f" {', '.join(map(str, self.indices))}"
        return f"{self.unit}{units} of {self.path!r}"


def _space_required(schema: dict[str, Any]) -> None:
    """Require `space` in the JSON Schema: weights have interventions of the same names, which are meant without it."""
    schema["required"] = [*schema.get("required", []), "space"]


class _ActivationSpec(Spec):
    """An intervention on activations; those on weights have the same names, and no `space`."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_space_required)

    space: Literal["activation"] = Field(
        default="activation", description="Replaces what a module computes, not its weights."
    )


class ZeroActivation(_ActivationSpec):
    """Put 0 in the place of the activation.

    Examples
    --------
    >>> ZeroActivation().model_dump()
    {'space': 'activation', 'kind': 'zero'}
    """

    kind: Literal["zero"] = "zero"


class MeanActivation(_ActivationSpec):
    """Put the activation's mean over a reference set there: what all images share stays, what differs goes.

    Examples
    --------
    >>> MeanActivation(over="position").over
    'position'
    """

    kind: Literal["mean"] = "mean"
    over: Literal["position", "global"] = Field(
        default="global",
        description="One mean for each feature and position, over images (of equal shapes), or one for each "
        "feature, over images and positions.",
    )


class ResampleActivation(_ActivationSpec):
    """Put the activation of another image there: one of the reference set, drawn for the variant.

    Examples
    --------
    >>> ResampleActivation().kind
    'resample'
    """

    kind: Literal["resample"] = "resample"


class NoiseActivation(_ActivationSpec):
    """Put Gaussian noise there, with each feature's mean and standard deviation in the reference set.

    The same noise for every image: it depends on the variant and the site alone, not on the order of images.

    Examples
    --------
    >>> NoiseActivation().kind
    'noise'
    """

    kind: Literal["noise"] = "noise"


class OptimalActivation(_ActivationSpec):
    """Put the constant there that does the least damage: one vector for a head, one number for a neuron or channel.

    The same for all images and positions, fitted to a loss by `dissect_core.torch.fit_optimal`, for all units of a
    variant together: it takes the information away, and does as little harm of its own as a constant can (Li and
    Janson 2024, arXiv:2409.09951).

    Examples
    --------
    >>> OptimalActivation(steps=20).learning_rate
    0.3
    """

    kind: Literal["optimal"] = "optimal"
    steps: int = Field(default=50, ge=0, description="Steps of the fit, each over the whole reference set.")
    learning_rate: float = Field(
        default=0.3,
        gt=0,
        allow_inf_nan=False,
        description="Of Adam, in standard deviations of each feature; it falls to 0 along half a cosine.",
    )


ActivationIntervention: TypeAlias = Annotated[
    ZeroActivation | MeanActivation | ResampleActivation | NoiseActivation | OptimalActivation,
    Field(discriminator="kind"),
]


def is_activation(intervention: object) -> bool:
    """Return whether an intervention replaces activations, not weights."""
    return getattr(intervention, "space", "weight") == "activation"


def intervention_label(intervention: Intervention | ActivationIntervention, space: str = " ") -> str:
    """Return the kind of an intervention, with ``activation`` before it where it acts there."""
    return f"activation{space}{intervention.kind}" if is_activation(intervention) else intervention.kind


@dataclass(frozen=True)
class SiteActivity:
    """Counts of what an intervention replaced at one site.

    Attributes
    ----------
    site : ActivationSite
    fired : int
        Times that the activation was there to be replaced.
    masked : int
        Values replaced, in all these times together.
    changed : int
        Replaced values that really became other values.
    """

    site: ActivationSite
    fired: int
    masked: int
    changed: int


class ActivationReport:
    """Counts of what an intervention replaced, site by site, as the model runs.

    Parameters
    ----------
    read : callable
        Gives the counts so far, one for each site.

    Examples
    --------
    >>> site = ActivationSite("ffn", "neuron", (0,))
    >>> ActivationReport(lambda: (SiteActivity(site, fired=2, masked=6, changed=0),)).is_no_op
    True
    """

    def __init__(self, read: Callable[[], tuple[SiteActivity, ...]]) -> None:
        self._read = read

    @property
    def sites(self) -> tuple[SiteActivity, ...]:
        """Counts so far."""
        return self._read()

    @property
    def masked(self) -> int:
        """Values replaced at all sites together."""
        return sum(site.masked for site in self.sites)

    @property
    def changed(self) -> int:
        """Replaced values that became other values."""
        return sum(site.changed for site in self.sites)

    @property
    def is_no_op(self) -> bool:
        """Whether every activation was left as it was, so that the results say nothing about robustness."""
        return self.changed == 0
