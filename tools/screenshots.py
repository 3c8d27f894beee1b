"""Take pictures of the panels in JupyterLab and Voila, on a study of the bundled DINO.

``python tools/screenshots.py OUT [--frontend lab] [--panel NAME]``; needs Chromium. Those of JupyterLab also become
``OUT/docs/panel-NAME.png``, cut and smaller, which docs/images has: look at each before it replaces one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from PIL import Image  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from browser_frontends import MARK, SERVERS, Frontend, Servers, launched  # noqa: E402
from deep_dissect import CocoSplit  # noqa: E402
from dissect_core.detectors import open_detector  # noqa: E402
from dissect_core.spec import load_spec  # noqa: E402
from dissect_mmdet.demo import write_split  # noqa: E402
from dissect_widgets import RunModel, StudyRunner  # noqa: E402

WIDTH = 1000
WIDE = ("start", "model", "builder", "results", "images")
"""Panels of two columns, which need a wide page."""
HEADS = {"unit": "head", "components": ["encoder.self_attn", "decoder.self_attn", "decoder.cross_attn"]}
VALUES = {"unit": "element", "components": ["query_embedding.weight"]}
STUDY = {
    "name": "heads and queries",
    "ablations": [
        {
            "name": "single heads",
            "target": HEADS,
            "select": {"by": "each"},
            "control": {"match": "parameters"},
        },
        {
            "name": "shares of heads",
            "target": HEADS,
            "select": {"by": "fraction", "fractions": [0.1, 0.3, 0.5, 0.7, 0.9], "repeats": 5},
        },
        {
            "name": "query values",
            "target": VALUES,
            "select": {"by": "fraction", "fractions": [0.1, 0.3, 0.5, 0.7, 0.9], "repeats": 5},
        },
    ],
}
OPEN = """
import warnings; warnings.filterwarnings("ignore")
from dissect_core.detectors import open_detector
from dissect_core.spec import load_spec
from deep_dissect import CocoSplit
from dissect_widgets import *
from dissect_widgets.detector import first_image
folder, images, annotations, work = {folder!r}, {images!r}, {annotations!r}, {work!r}
def detr(): return open_detector("mmdet", checkpoint="demo:dino")
"""
PANELS = {
    "model": """
detector = detr()
panel = ComponentBrowser(detector.anatomy, weights=weights_of(detector))
panel.tree.do("toggle", "decoder.layers.0")
panel.tree.do("dot", "decoder.layers.0.cross_attn", "decoder.layers.0.cross_attn:1")
panel.tree.do("check", "encoder.layers.1")
""",
    "start": """
import os, pathlib, shutil, tempfile
here = pathlib.Path(tempfile.mkdtemp())
shutil.copytree(folder, here / "runs" / "heads-and-queries")
os.environ["DEEP_DISSECT_STATE"] = str(here / "state")
os.chdir(here)
panel = Workbench()
start = panel.panels["start"]
start.detectors["demo:dino"].click()
panel.detector.wait()
start.questions["heads"].click()
""",
    "builder": """
model = DetectorModel(detr())
inputs = RunInputsModel(model, images=images, annotations=annotations)
inputs.limit = 24
model.time_pass(first_image(images))
model.wait()
study = SpecModel(anatomy=model.detector.anatomy)
panel = StudyBuilder(study, run=lambda: None, chosen=lambda: ((), {}), detector=model, inputs=inputs)
study.ask("heads")
""",
    "run": """
data = CocoSplit(annotations, images)
panel = RunPanel(load_spec(folder + "/spec.yaml"), StudyRunner(data, work, detr(), batch_size=4))
panel.model.start()
""",
    "results": """
panel = ResultsExplorer(folder, images=images)
panel.metric.value = "AP50"
panel.model.choose(panel.model.points()[0].variant)
""",
    "doses": """
panel = ResultsExplorer(folder, images=images)
panel.view.value = "doses"
panel.model.choose(panel.model.points()[0].variant)
""",
    "images": """
panel = ImageBrowser(folder, images=images)
panel.model.look_at("single heads/head/each/decoder.layers.2.self_attn.attn:1")
panel.figure.choose(panel.figure.marks[0].id)
""",
    "queries": "panel = QueryPanel(folder)",
    "displacement": """
panel = QueryPanel(folder)
panel.variant.value = "query values/element/0.5/0"
panel.show.value = "displacement"
""",
    "detector": "panel = DetectorPanel()",
    "workbench": """
panel = Workbench(folder, detector=detr(), images=images, annotations=annotations, out=work)
panel.show("model")
panel.panels["model"].browser.search.value = "decoder*cross_attn*weight"
""",
}


CUTS = {
    "start": (0, 1300),
    "model": (0, 1400),
    "builder": (0, 1400),
    "run": (0, 400),
    "results": (0, 1420),
    "doses": (0, 1300),
    "images": (0, 1750),
    "queries": (0, 1250),
}
"""First and last row of what the documents show of a panel, in pixels."""


def cut(picture: Path, name: str) -> None:
    """Keep a part of a picture for the documents."""
    first, last = CUTS[name]
    whole = Image.open(picture).convert("RGB")
    part = whole.crop((0, first, whole.width, min(last, whole.height)))
    width = WIDTH * 7 // 5 if name in WIDE else WIDTH
    small = part.resize((width, round(part.height * width / part.width)), Image.Resampling.LANCZOS)
    docs = picture.parent / "docs"
    docs.mkdir(exist_ok=True)
    small.save(docs / f"panel-{name}.png", optimize=True)


def shoot(frontend: Frontend, name: str, places: dict[str, str], out: Path) -> None:
    """Open a panel, wait until it is at rest, and take its picture."""
    code = OPEN.format(**places, work=f"{places['folder']}-{frontend.name}-{name}") + PANELS[name]
    frontend.write(f"{name}.ipynb", f"{code}\npanel.add_class({MARK!r})\npanel")
    wide = 400 if name in WIDE else 0
    width = (1340 if frontend.name == "lab" else 980) + wide
    page: Any = frontend.open(f"{name}.ipynb", width=width, height=4200, scale=1.5)
    if name == "run":  # on its way
        page.panel.get_by_text("remaining").first.wait_for()
        page.wait_for_timeout(1500)
    else:
        page.wait_for_timeout(1000)
    page.panel.screenshot(path=out / f"{frontend.name}-{name}.png")
    page.context.close()
    if frontend.name == "lab" and name in CUTS:
        cut(out / f"{frontend.name}-{name}.png", name)


def main() -> None:
    """Run the study, then take all pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--frontend", action="append", choices=tuple(SERVERS))
    parser.add_argument("--panel", action="append", choices=tuple(PANELS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as root, sync_playwright() as playwright:
        work = Path(root)
        images, annotations = write_split(work / "scenes", "test", 60)
        detector = open_detector("mmdet", checkpoint="demo:dino")
        data = CocoSplit(annotations, images)
        runner = StudyRunner(data, work / "heads-and-queries", detector, batch_size=10)
        model = RunModel(load_spec(STUDY), runner)
        model.start()
        if model.wait() != "done":
            raise SystemExit(model.details)
        places = {"folder": model.folder, "images": str(images), "annotations": str(annotations)}
        (work / "servers").mkdir()
        with Servers(work / "servers") as servers:
            browser = launched(playwright)
            for kind in options.frontend or SERVERS:
                folder = work / kind
                folder.mkdir()
                frontend = Frontend(kind, browser, servers.start(SERVERS[kind](folder)), folder)
                for name in options.panel or PANELS:
                    shoot(frontend, name, places, options.out)
                    print(f"{kind}-{name}.png", flush=True)
            browser.close()


if __name__ == "__main__":
    main()
