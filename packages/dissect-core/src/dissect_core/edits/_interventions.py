"""Interventions: what is put in the place of masked values; `replacement_values` does it.

Each one is a frozen spec with a `kind`, so a study file names it and a discriminated union reads it back.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat


class Spec(BaseModel):
    """A frozen part of a specification, which refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Zero(Spec):
    """Put 0 in the place of every masked value.

    Examples
    --------
    >>> import numpy as np
    >>> from dissect_core import intervene
    >>> intervene(np.array([1.0, 2.0]), np.array([True, False]), Zero())
    array([0., 2.])
    """

    kind: Literal["zero"] = "zero"


class Constant(Spec):
    """Put one given value in the place of every masked value.

    Examples
    --------
    >>> import numpy as np
    >>> from dissect_core import intervene
    >>> intervene(np.array([1.0, 2.0]), np.array([True, False]), Constant(value=0.5))
    array([0.5, 2. ])
    """

    kind: Literal["constant"] = "constant"
    value: FiniteFloat = Field(description="The value, in the unit of the weights.")


class Mean(Spec):
    """Put a mean, masked values included, in the place of every masked value.

    Examples
    --------
    >>> import numpy as np
    >>> from dissect_core import intervene
    >>> intervene(np.array([1.0, 2.0]), np.array([True, False]), Mean())
    array([1.5, 2. ])
    >>> intervene(np.array([[1.0, 3.0], [5.0, 7.0]]), np.array([[True, False]] * 2), Mean(over="row"))
    array([[2., 3.],
           [6., 7.]])
    """

    kind: Literal["mean"] = "mean"
    over: Literal["component", "row", "column"] = Field(
        default="component",
        description="What each mean is taken over: all values, or those of its row or column.",
    )


class Shuffle(Spec):
    """Permute the masked values among themselves: the same values, in the wrong places.

    Examples
    --------
    >>> import numpy as np
    >>> from dissect_core import intervene, variant_rng
    >>> intervene(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True] * 3 + [False]), Shuffle(), rng=variant_rng(0, "a"))
    array([1., 3., 2., 4.])
    """

    kind: Literal["shuffle"] = "shuffle"


class Noise(Spec):
    """Put Gaussian noise with the component's mean and deviation there, or add noise at a signal-to-noise ratio.

    Examples
    --------
    >>> import numpy as np
    >>> from dissect_core import intervene, variant_rng
    >>> weights, mask = np.array([1.0, -1.0] * 500), np.arange(1000) < 900
    >>> added = intervene(weights, mask, Noise(snr_db=20), rng=variant_rng(0, "a")) - weights
    >>> round(float(added[mask].std()), 1), float(abs(added[~mask]).max())
    (0.1, 0.0)
    """

    kind: Literal["noise"] = "noise"
    snr_db: FiniteFloat | None = Field(
        default=None,
        description="Power of the component over that of the noise added to it, in decibels: 10·log10(mean(w²) / "
        "variance). Left out, noise with the component's mean and standard deviation takes the values' place.",
    )


class Scale(Spec):
    """Multiply every masked value by a factor: 0 removes, 1 changes nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from dissect_core import intervene
    >>> intervene(np.array([1.0, 2.0]), np.array([True, False]), Scale(factor=0.5))
    array([0.5, 2. ])
    """

    kind: Literal["scale"] = "scale"
    factor: FiniteFloat = Field(description="What to multiply with.")


class Quantize(Spec):
    """Round every masked value to the steps that n bits allow over the component's range.

    Steps are even and symmetric about 0, from −max|w| to max|w| (Jacob et al., CVPR 2018, arXiv:1712.05877).

    Examples
    --------
    >>> import numpy as np
    >>> from dissect_core import intervene
    >>> intervene(np.array([0.3, -0.6, 1.0]), np.array([True, True, False]), Quantize(bits=2))
    array([ 0., -1.,  1.])
    """

    kind: Literal["quantize"] = "quantize"
    bits: int = Field(ge=2, le=16, description="Bits a value, its sign included.")


Intervention: TypeAlias = Annotated[
    Zero | Constant | Mean | Shuffle | Noise | Scale | Quantize, Field(discriminator="kind")
]
