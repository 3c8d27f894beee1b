"""Inside a package imports go one way: neither files nor rooms (folders) import one another in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PACKAGES = (
    "deep_dissect",
    "dissect_core",
    "dissect_eval",
    "dissect_mmdet",
    "dissect_transformers",
    "dissect_widgets",
)

Graph = dict[str, set[str]]


def modules_of(source: Path, package: str) -> dict[str, Path]:
    """Return the files of a package by the name of their module."""
    found = {}
    for file in sorted((source / package).rglob("*.py")):
        parts = file.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports_of(modules: Mapping[str, Path]) -> Graph:
    """Return which modules of a package each of them imports, also in functions and for types alone.

    The file of a folder, `__init__.py`, is a module like any other: who imports a name from there depends on it.
    """
    graph: Graph = {}
    for module, file in modules.items():
        folder = module if file.name == "__init__.py" else module.rpartition(".")[0]
        graph[module] = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                graph[module] |= {name.name for name in node.names} & modules.keys()
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = folder.split(".")[: len(folder.split(".")) - node.level + 1]
                    base = ".".join([*above, *([node.module] if node.module else [])])
                for name in node.names:
                    full = f"{base}.{name.name}"
                    graph[module] |= {full if full in modules else base} & modules.keys()
        graph[module].discard(module)
    return graph


def rooms_of(modules: Mapping[str, Path]) -> dict[str, str]:
    """Return the room that each module is in: its folder, or the outer one if that has files of its own.

    A file at the top of a package is a room by itself. So is the package's `__init__.py`, which shows names of all.
    """
    folders = {
        module: module if file.name == "__init__.py" else module.rpartition(".")[0]
        for module, file in modules.items()
    }
    with_files = {folder for module, folder in folders.items() if folder != module}
    rooms = {}
    for module, folder in folders.items():
        parts = folder.split(".")
        if len(parts) == 1:
            rooms[module] = module
            continue
        outer = [".".join(parts[:n]) for n in range(2, len(parts) + 1)]
        rooms[module] = next((room for room in outer if room in with_files), folder)
    return rooms


def graph_of_rooms(modules: Mapping[str, Path], imports: Graph) -> Graph:
    """Return which rooms each room imports from; a room that only shows others' names imports from none."""
    rooms = rooms_of(modules)
    graph: Graph = {room: set() for room in rooms.values()}
    for module, imported in imports.items():
        graph[rooms[module]] |= {
            rooms[one] for one in imported if not rooms[one].startswith(f"{rooms[module]}.")
        } - {rooms[module]}
    return graph


def circle_in(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the nodes of a circle, each imported by the next one; none if the graph has no circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def source_of(package: str) -> Path:
    """Return the folder that a package lies in; a folder that only old bytecode is left of is not one."""
    (file,) = ROOT.glob(f"packages/*/src/{package}/__init__.py")
    return file.parents[1]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_files_import_one_another_in_a_circle(package: str) -> None:
    modules = modules_of(source_of(package), package)
    assert len(modules) > 10
    assert not circle_in(imports_of(modules))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_rooms_import_one_another_in_a_circle(package: str) -> None:
    modules = modules_of(source_of(package), package)
    graph = graph_of_rooms(modules, imports_of(modules))
    assert len(graph) > 3
    assert not circle_in(graph)


def test_circles_would_be_seen(tmp_path: Path) -> None:
    files = {
        "own/__init__.py": "from .low import base\nfrom .high import top\n",
        "own/low/__init__.py": "from ._base import base\n",
        "own/low/_base.py": "base = 1\n",
        "own/low/_late.py": "def late():\n    from ..high._top import top\n",
        "own/high/__init__.py": "from ._top import top\n",
        "own/high/_top.py": "from ..low import base\nfrom . import _beside\n",
        "own/high/_beside.py": "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from ._top import top\n",
        "own/high/inner/__init__.py": "import own.high._top\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    modules = modules_of(tmp_path, "own")
    imports = imports_of(modules)
    assert set(circle_in(imports)) == {"own.high._beside", "own.high._top"}
    assert imports["own.high.inner"] == {"own.high._top"}
    rooms = graph_of_rooms(modules, imports)
    assert rooms == {
        "own": set(),
        "own.low": {"own.high"},
        "own.high": {"own.low"},
    }
    assert set(circle_in(rooms)) == {"own.high", "own.low"}
