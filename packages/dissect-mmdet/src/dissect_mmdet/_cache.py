"""The folder for what is drawn or downloaded once, and used again."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

CACHE = "DEEP_DISSECT_CACHE"
"""Environment variable that names another folder than the user's folder for caches."""


def cache_folder() -> Path:
    """Return the folder, which need not be there."""
    named = os.environ.get(CACHE)
    return Path(named).absolute() if named else user_cache_path("deep-dissect", appauthor=False)
