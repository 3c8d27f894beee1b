"""What a fit of constants reached, and for which units it holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...edits import ActivationSite
from ...errors import InterventionError


@dataclass(frozen=True)
class OptimalFit:
    """What `fit_optimal` reached, as mean losses over the reference batches.

    Attributes
    ----------
    sites : tuple of ActivationSite
        What the constants were fitted for, all together.
    zero, mean, optimal : float
        Loss with zeros, with means and with the fitted constants there; ``optimal <= mean``.
    losses : tuple of float
        Loss before each step, and after the last one.

    Examples
    --------
    >>> OptimalFit((ActivationSite("ffn", "neuron", (3,)),), 1.5, 1.25, 1.0, (1.25, 1.1, 1.0)).optimal
    1.0
    """

    sites: tuple[ActivationSite, ...]
    zero: float
    mean: float
    optimal: float
    losses: tuple[float, ...]


def require_fit(fit: OptimalFit | None, sites: Sequence[ActivationSite]) -> None:
    """Refuse constants that were fitted for other units: what is best for a unit depends on what else is gone.

    Raises
    ------
    InterventionError
        If `fit_optimal` did not fit exactly these sites.
    """
    fitted = fit.sites if fit else ()
    if _keys(fitted) != _keys(sites):
        got = f"a fit for {'; '.join(map(str, fitted))}" if fit else "no fit"
        raise InterventionError(
            f"`reference` must be fitted for {'; '.join(map(str, sites)) or 'no site'}, together, to put optimal "
            f"constants there, got {got}. Call `fit_optimal` with these sites."
        )


def _keys(sites: Iterable[ActivationSite]) -> set[object]:
    """Sites, whatever the order of their indices."""
    return {(s.place, None if s.indices is None else frozenset(s.indices), s.batch_axis) for s in sites}
