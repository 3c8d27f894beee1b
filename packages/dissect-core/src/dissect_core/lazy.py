"""Names of a package that are imported when they are first used."""

from collections.abc import Callable, Mapping
from importlib import import_module
from sys import modules
from typing import Any

__all__ = ["names_when_used"]


def names_when_used(
    package: str, names_of: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a ``__getattr__`` and a ``__dir__`` for a package that imports its names when they are first used.

    Type checkers do not see what is done here: the package imports the same names once more below
    ``if TYPE_CHECKING:``, and lists them in ``__all__``.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    names_of : mapping of str to str
        Modules of the package, with the names that each defines, separated by spaces.

    Returns
    -------
    tuple of two functions

    Examples
    --------
    >>> get, names = names_when_used("dissect_core", {"text": "cut visible"})
    >>> get("cut").__module__
    'dissect_core.text'
    >>> get("cat")
    Traceback (most recent call last):
    AttributeError: module 'dissect_core' has no attribute 'cat'
    """
    module_of = {name: module for module, names in names_of.items() for name in names.split()}
    folders = {module.partition(".")[0] for module in names_of}

    def get(name: str) -> Any:
        if name in module_of:
            value = getattr(import_module(f"{package}.{module_of[name]}"), name)
            setattr(modules[package], name, value)  # so that the next use does not come here
            return value
        if name in folders:
            return import_module(f"{package}.{name}")
        module = modules.get(package)  # by which Python adds near matches to the message
        raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)

    def names() -> list[str]:
        return sorted({*vars(modules[package]), *module_of})

    return get, names
