"""One random stream per variant, the same on every machine and in every order."""

import hashlib
from operator import index

import numpy as np
from numpy.typing import NDArray

from ..errors import SeedError


def variant_rng(seed: int, variant_id: str) -> np.random.Generator:
    """Random generator of one variant of a study.

    The stream depends on the study seed and the variant's stable id and on nothing else: not on the other
    variants, the order in which they run, the platform, or ``PYTHONHASHSEED``.

    Parameters
    ----------
    seed : int
        Seed of the study, 0 or greater, of any size.
    variant_id : str
        Stable id of the variant. Ids that differ in one character give unrelated streams.

    Returns
    -------
    numpy.random.Generator
        A fresh PCG64 generator, at the start of the variant's stream.

    Raises
    ------
    SeedError
        If `seed` is negative or not an integer.

    Notes
    -----
    The generator is ``PCG64(SeedSequence(seed, spawn_key=words))``, where *words* are the eight big-endian
    32-bit words of the SHA-256 digest of the id in UTF-8. NumPy guarantees the raw output of a seeded bit
    generator for all time, but not that of methods such as ``Generator.choice`` (NEP 19).
    `dissect_core.sample_units` therefore draws from the raw output.

    References
    ----------
    NEP 19, Random number generator policy, https://numpy.org/neps/nep-0019-rng-policy.html.

    Examples
    --------
    >>> rng = variant_rng(0, "query_embedding.weight/row/0.05/0")
    >>> int(rng.bit_generator.random_raw()) == int(
    ...     variant_rng(0, "query_embedding.weight/row/0.05/0").bit_generator.random_raw()
    ... )
    True
    """
    try:
        entropy = index(seed)
    except TypeError:
        entropy = -1
    if entropy < 0 or isinstance(seed, bool):
        raise SeedError(f"`seed` must be an integer of 0 or more, got {seed!r}. Pass for instance seed=0.")
    digest = hashlib.sha256(variant_id.encode("utf-8")).digest()
    words = tuple(int.from_bytes(digest[i : i + 4], "big") for i in range(0, len(digest), 4))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=words)))


def gaussian(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Draw standard normal values from the raw output, which NumPy never changes (see `variant_rng`).

    Box and Muller, Ann. Math. Statist. 29, 1958. Equal on every machine up to the last bit of log and cosine.

    Examples
    --------
    >>> bool(abs(gaussian(variant_rng(0, "a"), 10_000).std() - 1) < 0.02)
    True
    """
    raw = np.asarray(rng.bit_generator.random_raw(2 * n), dtype=np.uint64)
    uniform = ((raw >> np.uint64(11)) + 1) * 2.0**-53  # in (0, 1]
    radius = np.sqrt(-2 * np.log(uniform[:n]))
    values: NDArray[np.float64] = radius * np.cos(2 * np.pi * uniform[n:])
    return values
