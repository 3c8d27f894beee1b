"""The page of rooms is what the folders say of themselves."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def tool() -> ModuleType:
    """Import ``tools/rooms.py``, which is no package."""
    spec = importlib.util.spec_from_file_location("rooms", ROOT / "tools" / "rooms.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    rooms = tool()
    assert rooms.PAGE.read_text(encoding="utf-8") == rooms.page(), "run `python tools/rooms.py`"


def test_every_room_says_what_is_in_it() -> None:
    rooms = tool()
    for door in ROOT.glob("packages/*/src/**/__init__.py"):
        assert len(rooms.described(door.parent)) > 20, f"{door} has no docstring"
