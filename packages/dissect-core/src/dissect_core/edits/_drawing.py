"""Random draws that are the same on every machine and in every order: streams of variants, shares, units."""

import hashlib
from math import isfinite
from operator import index
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DoseError, SeedError


def variant_rng(seed: int, variant_id: str) -> np.random.Generator:
    """Return the random generator of one variant of a study.

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


def fraction_to_count(
    n_units: int, fraction: float, *, rounding: Literal["floor", "nearest"] = "floor"
) -> int:
    """Turn a share of units into a number of them.

    Parameters
    ----------
    n_units : int
        How many units there are.
    fraction : float
        Share of them, in [0, 1].
    rounding : {"floor", "nearest"}, default "floor"
        ``"floor"`` is ``int(n_units * fraction)``; ``"nearest"`` is ``round(n_units * fraction)``, halves to
        the even count. Both work on the product in double precision.

    Returns
    -------
    int
        From 0 to `n_units`.

    Raises
    ------
    DoseError
        If `fraction` is not within [0, 1], `n_units` is negative or `rounding` is neither.

    Notes
    -----
    Many decimal shares have no exact double: 0.29 is slightly less than 29 hundredths, so ``"floor"`` takes
    28 of 100 units. Deep Dissect 1.0 floors too, but multiplies by a percentage
    (``int(100 * 29 / 100)`` is 29): whoever needs its very counts computes them that way and draws by count.

    Examples
    --------
    >>> fraction_to_count(25600, 0.05)
    1280
    >>> fraction_to_count(100, 0.29), fraction_to_count(100, 0.29, rounding="nearest")
    (28, 29)
    """
    if n_units < 0:
        raise DoseError(f"`n_units` must be 0 or more, got {n_units}.")
    if not (isfinite(fraction) and 0 <= fraction <= 1):
        percent = f" For {fraction:g} % pass {fraction / 100:g}." if 1 < fraction <= 100 else ""
        raise DoseError(f"`fraction` must be within [0, 1], got {fraction}.{percent}")
    if rounding not in ("floor", "nearest"):
        raise DoseError(f"`rounding` must be 'floor' or 'nearest', got {rounding!r}.")
    return int(n_units * fraction) if rounding == "floor" else round(n_units * float(fraction))


def sample_units(
    n_units: int,
    rng: np.random.Generator,
    *,
    fraction: float | None = None,
    count: int | None = None,
    rounding: Literal["floor", "nearest"] = "floor",
) -> NDArray[np.int64]:
    """Draw distinct units at random, all sets of their number being equally likely.

    Parameters
    ----------
    n_units : int
        How many units there are.
    rng : numpy.random.Generator
        Source of randomness, usually from `variant_rng`. Each call takes `n_units` raw draws from it, however
        many units it chooses.
    fraction : float, optional
        Share of units to draw, in [0, 1], made a count by `fraction_to_count`.
    count : int, optional
        Number of units to draw, from 0 to `n_units`. Give either this or `fraction`.
    rounding : {"floor", "nearest"}, default "floor"
        How `fraction` becomes a count.

    Returns
    -------
    ndarray of int64, shape (k,)
        Indices of the drawn units, ascending.

    Raises
    ------
    DoseError
        If both or none of `fraction` and `count` are given, or one is out of range.

    Notes
    -----
    Every unit gets one raw 64-bit draw of the bit generator, and the units with the lowest draws are taken.
    Raw draws are the one thing that NumPy promises never to change (NEP 19). It follows too that samples
    nest: from the same state of `rng`, a larger sample contains every smaller one.

    Examples
    --------
    >>> from dissect_core import variant_rng
    >>> sample_units(10, variant_rng(0, "demo"), fraction=0.3)
    array([...])
    >>> few = sample_units(10, variant_rng(0, "demo"), count=3)
    >>> many = sample_units(10, variant_rng(0, "demo"), count=6)
    >>> set(few) <= set(many)
    True
    """
    if (fraction is None) == (count is None):
        raise DoseError(f"Give either `fraction` or `count`, got fraction={fraction} and count={count}.")
    k = (
        _count(n_units, count)
        if fraction is None
        else fraction_to_count(n_units, fraction, rounding=rounding)
    )
    draws = rng.bit_generator.random_raw(n_units)
    if k == 0:
        return np.empty(0, dtype=np.int64)
    last = np.partition(draws, k - 1)[k - 1]
    below, ties = np.flatnonzero(draws < last), np.flatnonzero(draws == last)
    return np.sort(np.concatenate([below, ties[: k - below.size]])).astype(np.int64)


def _count(n_units: int, count: Any) -> int:
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or not 0 <= count <= n_units:
        raise DoseError(
            f"`count` must be an integer from 0 to {n_units}, the number of units, got {count!r}."
        )
    return int(count)
