"""Execute the notebooks and keep in them what a preview without a kernel can show.

``python tools/run_notebooks.py [NOTEBOOK ...]``: outputs that need a kernel, progress that was told meanwhile, and
times are left out; panels stay as the plain HTML that they are displayed with.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbclient
import nbformat

ROOT = Path(__file__).parents[1]
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path, notebook: Any, timeout: int = 300) -> None:
    """Run a notebook as if its folder were a copy: beside it lie the examples, and what it writes is thrown away."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / path.parent.name
        folder.mkdir()
        shutil.copytree(ROOT / "examples", Path(work) / "examples")
        resources = {"metadata": {"path": str(folder)}}
        client = nbclient.NotebookClient(
            notebook, timeout=timeout, kernel_name="python3", resources=resources, store_widget_state=False
        )
        client.execute()


def clean(notebook: Any) -> None:
    """Leave out what would differ each time, and what needs a kernel."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if is_kept(output)]
            for output in cell.outputs:
                data = output.get("data", {})
                data.pop(WIDGET, None)
                if "text/html" in data or "image/png" in data:
                    data["text/plain"] = str(data.get("text/plain", "")).partition("(")[0]


def is_kept(output: Any) -> bool:
    """Whether an output is no progress, and can be shown without a kernel."""
    if output.output_type == "stream":
        return str(output.name) == "stdout"
    data = output.get("data", {})
    return WIDGET not in data or "text/html" in data


def main(names: list[str]) -> None:
    """Execute the notebooks of these names, or all, and write them back."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for path in [Path(name) for name in names] or sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        execute(path, notebook)
        clean(notebook)
        nbformat.write(notebook, path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
