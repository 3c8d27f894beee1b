"""Pictures to detect in; all of these tests need Transformers, which needs Python 3.11."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

_found = find_spec("transformers")
# This folder bears the same name: it is found where the package is missing, and has no file of its own.
collect_ignore_glob = [] if _found is not None and _found.origin is not None else ["*.py"]

SHAPES = ((60, 80), (80, 60), (70, 70))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write three pictures of different shapes: bright noise, dark stripes, and a plain square on grey."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    paths = []
    for number, shape in enumerate(SHAPES):
        pixels = rng.integers(100, 256, (*shape, 3), dtype=np.uint8)
        if number == 1:
            pixels //= 8
            pixels[::10] = (0, 90, 200)
        if number == 2:
            pixels[:] = 40
            pixels[20:50, 15:45] = (200, 60, 90)
        paths.append(folder / f"{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths
