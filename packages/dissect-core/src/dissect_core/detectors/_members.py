"""The names that a detector must have, looked for without running any of its code where that can be avoided."""

import inspect
from typing import Any

__all__ = ["MEMBERS", "METHODS", "missing_members", "wrong_signatures"]

METHODS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "prepare": ((["image.png"],), {"batch_size": 2}),
    "predict_batch": ((None,), {}),
    "ablated": ((None,), {"reference": None}),
}
"""Methods of a detector, each with a call that it must take."""

MEMBERS = ("class_names", "anatomy", *METHODS)
"""All that a detector must have."""


def missing_members(detector: object) -> list[str]:
    """Members that an object lacks, in the order of the protocol.

    Examples
    --------
    >>> missing_members("a detector?")
    ['class_names', 'anatomy', 'prepare', 'predict_batch', 'ablated']
    """
    absent = object()
    # Statically first: reading a property may be long work, such as the anatomy of a large model.
    return [
        name
        for name in MEMBERS
        if inspect.getattr_static(detector, name, absent) is absent and not hasattr(detector, name)
    ]


def wrong_signatures(detector: object) -> list[str]:
    """Methods that cannot be called as the protocol calls them, each with the reason."""
    wrong = []
    for name, (args, kwargs) in METHODS.items():
        method = getattr(detector, name)
        if not callable(method):
            wrong.append(f"{name} is a {type(method).__name__}, not a method")
            continue
        try:
            inspect.signature(method).bind(*args, **kwargs)
        except TypeError as error:
            wrong.append(f"{name}{inspect.signature(method)}: {error}")
        except ValueError:
            continue  # no signature to look at
    return wrong
