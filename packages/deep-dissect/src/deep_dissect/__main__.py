"""``python -m deep_dissect``: the command ``deep-dissect``."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
