"""Paths in a live model: what lies in what."""

from collections.abc import Iterator, Mapping

from torch import nn

CONTAINERS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)
"""Modules that only hold others."""


def joined(path: str, name: str) -> str:
    """Path of a child; the model's own path is empty."""
    return f"{path}.{name}" if path else name


def parent(path: str) -> str:
    """Path of the module that directly holds another one, or a parameter."""
    return path.rpartition(".")[0]


def upwards(path: str) -> Iterator[str]:
    """A path, its parent's and so on; the last one is the model's own."""
    while path:
        yield path
        path = parent(path)
    yield ""


def owner(path: str, modules: Mapping[str, nn.Module]) -> str:
    """Path of the nearest module around another one that does more than hold others; else the model's own."""
    around = parent(path)
    while around and isinstance(modules.get(around), CONTAINERS):
        around = parent(around)
    return around
