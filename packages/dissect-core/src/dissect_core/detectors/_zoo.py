"""Trained models that an adapter opens by name: what there is to choose from, without opening any."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from ..errors import DetectorUnavailableError
from ..text import quoted
from ._installed import as_installed, entries_of, loaded, unavailable

__all__ = ["ZooModel", "zoo_models"]

ZOO = "dissect.zoo"
"""Entry point group in which a package offers a function that gives a `ZooModel` for each trained model it knows."""


@dataclass(frozen=True)
class ZooModel:
    """A trained model that an adapter opens by its name: ``open_detector(adapter, model=name)``.

    Attributes
    ----------
    name : str
    family : str
        What its makers call the architecture.
    data : str
        What it was trained for, such as ``"COCO"``.
    box_ap : float or None
        Published AP of its boxes, in percent.
    aliases : tuple of str
        Other names that stand for it.
    is_here : bool
        Whether its weights are on this machine already.
    """

    name: str
    family: str = ""
    data: str = ""
    box_ap: float | None = None
    aliases: tuple[str, ...] = ()
    is_here: bool = False


def zoo_models(adapter: str = "") -> dict[str, tuple[ZooModel, ...]]:
    """List the trained models that installed adapters open by name; nothing is opened or downloaded.

    Parameters
    ----------
    adapter : str
        Those of one adapter; left out, of all that have any.

    Returns
    -------
    dict of str to tuple of ZooModel
        By the name of the adapter.

    Raises
    ------
    DetectorUnavailableError
        If no such adapter has models by name, or its package cannot be imported or gives something else.

    Notes
    -----
    Errors of the package's own, of a list that cannot be read for instance, come through as they are.

    Examples
    --------
    >>> zoo_models("yolo-in-fortran")
    Traceback (most recent call last):
    dissect_core.errors.DetectorUnavailableError: The adapter 'yolo-in-fortran' has no models by name...
    """
    entries = entries_of(ZOO)
    if (adapter and adapter not in entries) or not entries:
        known = (
            f"those that have are {', '.join(map(quoted, sorted(entries)))}" if entries else "none here has"
        )
        raise DetectorUnavailableError(
            f"The adapter {quoted(adapter)} has no models by name: {known}."
            if adapter
            else "No installed adapter has models by name; the package dissect-mmdet brings those of MMDetection."
        )
    return {name: _models(name) for name in ([adapter] if adapter else sorted(entries))}


def _models(adapter: str) -> tuple[ZooModel, ...]:
    entries = entries_of(ZOO)[adapter]
    installed, what = as_installed(adapter, entries), f"The zoo of the adapter {quoted(adapter)}"
    function = loaded(what, installed, entries[0])
    try:
        found = tuple(cast("Iterable[object]", function()))
    except ImportError as error:
        raise unavailable(what, installed, error) from error
    wrong = [type(one).__name__ for one in found if not isinstance(one, ZooModel)]
    if wrong:
        raise DetectorUnavailableError(
            f"{what} must hold objects of type ZooModel, got one of type {wrong[0]}. Report it to the makers of "
            "its package."
        )
    return cast("tuple[ZooModel, ...]", found)
