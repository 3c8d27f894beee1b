"""Targets: which components, and what an ablation of them counts in."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from ..edits import Spec
from ._fields import Patterns


class _Target(Spec):
    components: Patterns = Field(
        description="Roles (encoder.self_attn), exact names, or globs in which * matches dots too."
    )
    expect: int | None = Field(
        default=None,
        ge=1,
        description="How many components or blocks must be selected: a guard against typing errors.",
    )
    pool: bool = Field(
        default=True,
        description="Draw from the units of all selected components or blocks together; false makes variants for each "
        "of them apart.",
    )


class ParameterTarget(_Target):
    """Elements, rows or columns of parameters."""

    unit: Literal["element", "row", "column"] = Field(description="Unit that is ablated.")


class SegmentTarget(_Target):
    """Equal parts of each row of a matrix, as in Deep Dissect 1.0."""

    unit: Literal["segment"] = Field(description="Unit that is ablated.")
    segments_per_row: int = Field(default=8, ge=1, description="Into how many parts each row is cut.")


class HeadTarget(_Target):
    """Attention heads, by the layout of their block."""

    unit: Literal["head"] = Field(description="Unit that is ablated.")
    part: Literal["output", "value", "query", "key", "all"] = Field(
        default="output",
        description="Part of a head: output, value or all removes it exactly, query or key flattens its attention.",
    )


class GroupTarget(_Target):
    """Units that lie in several parameters: FFN neurons, channels, queries, deformable levels and points."""

    unit: Literal["neuron", "channel", "query", "level", "point"] = Field(description="Unit that is ablated.")


class ComponentTarget(_Target):
    """Whole parameters, or all parameters of a block."""

    unit: Literal["component"] = Field(description="Unit that is ablated.")
    bias: Literal["keep", "remove"] = Field(
        default="keep",
        description="Whether the biases beside selected weights go too; a block that keeps them gives a constant.",
    )


class BlockTarget(_Target):
    """Whole layers or sublayers (attention or FFN), bypassed with the residual kept, or predictions read earlier.

    A readout takes the predictions of a decoder layer before the last: the layers behind it have no effect. Models
    with a box and class branch for each decoder layer use that layer's.
    """

    unit: Literal["layer", "sublayer", "readout"] = Field(description="Unit that is ablated.")


Target: TypeAlias = Annotated[
    ParameterTarget | SegmentTarget | HeadTarget | GroupTarget | ComponentTarget | BlockTarget,
    Field(discriminator="unit"),
]
