"""Write ``docs/rooms.md``: every folder of the packages, with what it says of itself.

Run it after a folder was added, moved or described anew::

    python tools/rooms.py
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "rooms.md"
ORDER = (
    "deep_dissect",
    "dissect_core",
    "dissect_eval",
    "dissect_mmdet",
    "dissect_transformers",
    "dissect_widgets",
)
HEAD = """# Rooms

Every folder of the packages, in its own words (`python tools/rooms.py` writes this page). Imports go one way:
`dissect_core` and `dissect_eval` know no sibling, adapters take from these two, the front door takes from these two and
finds adapters by entry point, and panels take from the front door. Inside a package no two rooms import each other.
"""


def described(folder: Path) -> str:
    """Return the first sentence of a folder's docstring."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


def page() -> str:
    """Return the content of the page."""
    lines = [HEAD]
    for package in ORDER:
        (door,) = ROOT.glob(f"packages/*/src/{package}/__init__.py")
        top = door.parent
        lines.append(f"## `{package}`\n\n{described(top)}\n\n| folder | |\n|---|---|")
        for inner in sorted(top.rglob("__init__.py")):
            folder = inner.parent
            if folder != top:
                name = folder.relative_to(top).as_posix()
                lines.append(f"| `{name}/` | {described(folder)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
