"""The images of a study that statistics, scores and constants are taken from."""

import numpy as np
from numpy.typing import NDArray

from ..edits.randomness import variant_rng
from ..edits.sampling import sample_units
from ..spec import StudySpec

__all__ = ["reference_images"]


def reference_images(spec: StudySpec, n_images: int) -> NDArray[np.int64]:
    """Draw a study's reference images: the same ones on every machine.

    Parameters
    ----------
    spec : StudySpec
        Its `reference` says how many, its `seed` which.
    n_images : int
        Images that the study runs over.

    Returns
    -------
    ndarray of int64
        Their numbers, ascending; all of them if there are no more than asked for.

    Examples
    --------
    >>> from dissect_core.spec import load_spec
    >>> heads = {"name": "a", "target": {"unit": "head", "components": "*"}, "select": {"by": "each"}}
    >>> spec = load_spec({"name": "heads", "reference": {"images": 3}, "ablations": [heads]})
    >>> reference_images(spec, 100).tolist(), reference_images(spec, 2).tolist()
    ([16, 20, 81], [0, 1])
    """
    rng = variant_rng(spec.seed, "reference")
    return sample_units(n_images, rng, count=min(spec.reference.images, n_images))
