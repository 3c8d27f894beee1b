"""Make the pictures of the README: ``python docs/pictures.py`` (some minutes: it runs the demo)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dissect_mmdet.demo import CLASS_NAMES, draw_scene

IMAGES = Path(__file__).parent / "images"
SCENES = (1, 2, 4, 5, 8, 10, 13, 17)


def scenes() -> Figure:
    """Draw some test scenes with their true boxes, a crowd dashed."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, number in zip(figure.subplots(2, 4).flat, SCENES, strict=True):
        scene = draw_scene("test", number)
        axes.imshow(scene.image)
        for (x, y, w, h), label, crowd in zip(scene.boxes_xywh, scene.labels, scene.crowd, strict=True):
            style = "--" if crowd else "-"
            axes.add_patch(
                Rectangle((x, y), w, h, fill=False, edgecolor="white", linewidth=1.2, linestyle=style)
            )
            name = CLASS_NAMES[label] + (" (crowd)" if crowd else "")
            box = {"facecolor": "black", "alpha": 0.6, "pad": 1, "linewidth": 0}
            axes.text(x + 1, y + 1, name, color="white", fontsize=7, va="top", bbox=box)
        axes.set_axis_off()
    return figure


def main() -> None:
    """Write every picture into ``docs/images``."""
    IMAGES.mkdir(exist_ok=True)
    scenes().savefig(IMAGES / "scenes.png", dpi=110)
    with tempfile.TemporaryDirectory() as folder:
        command = "from deep_dissect.cli import main; main()"
        subprocess.run([sys.executable, "-c", command, "demo", "--out", folder], check=True)
        for name in ("dose_response.png", "dose_response_giou.png"):
            shutil.copyfile(Path(folder) / name, IMAGES / name)


if __name__ == "__main__":
    main()
