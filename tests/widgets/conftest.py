import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from ipywidgets.widgets.widget import _instances

from dissect_core import Component
from dissect_widgets import BrowserModel, ComponentBrowser

# A busy machine must not make a property fail.
settings.register_profile("dissect", deadline=None)
settings.load_profile("dissect")

N_IMAGES = 10

OpenBrowser = Callable[[BrowserModel | Iterable[Component]], ComponentBrowser]


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Whatever a test opens is closed by its end, down to the last layout."""
    before = set(_instances)
    yield
    assert set(_instances) == before


@pytest.fixture
def open_browser() -> Iterator[OpenBrowser]:
    opened: list[ComponentBrowser] = []

    def make(components: BrowserModel | Iterable[Component]) -> ComponentBrowser:
        opened.append(ComponentBrowser(components))
        return opened[-1]

    yield make
    for browser in opened:
        browser.close()


def detr(n_layers: int = 2) -> list[Component]:
    """Components as a small DETR has them."""
    components = [Component("backbone.layer1.0.conv1.weight", (64, 64, 1, 1), "float32")]
    for stack in ("encoder", "decoder"):
        for layer in range(n_layers):
            block = f"{stack}.layers.{layer}"
            attn = {"role": f"{stack}.self_attn", "n_heads": 8}
            components += [
                Component(f"{block}.self_attn.in_proj_weight", (96, 32), "float32", **attn),
                Component(f"{block}.self_attn.out_proj.weight", (32, 32), "float32", **attn),
                Component(f"{block}.ffn.layers.0.weight", (64, 32), "float32", role=f"{stack}.ffn"),
            ]
    query = Component("query_embedding.weight", (100, 32), "float32", aliases=("tied.queries",))
    return [*components, query]


@pytest.fixture
def components() -> list[Component]:
    return detr()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measured study: single channels, and growing doses of two interventions."""
    pytest.importorskip("pyarrow")
    import studies
    from dissect_core.spec import load_spec
    from dissect_core.study import ImageRef
    from dissect_eval import GroundTruth
    from dissect_eval.study import Settings, StudyTables, measure, truth_file
    from toy_detector import write_scenes

    root = tmp_path_factory.mktemp("study")
    (root / "images").mkdir()
    scenes = write_scenes(root / "images", N_IMAGES)
    names = ("red", "green", "blue")
    content = {
        "images": [
            {"id": 7 * i, "file_name": s.path.name, "width": 64, "height": 64} for i, s in enumerate(scenes)
        ],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(names)],
        "annotations": [],
    }
    for i, scene in enumerate(scenes):
        for box, label in zip(scene.boxes.tolist(), scene.labels.tolist(), strict=True):
            entry = {"id": len(content["annotations"]) + 1, "image_id": 7 * i, "category_id": label + 1}
            size = [box[2] - box[0], box[3] - box[1]]
            content["annotations"].append(
                {**entry, "bbox": [*box[:2], *size], "area": size[0] * size[1], "iscrowd": 0}
            )
    annotations = root / "truth.json"
    annotations.write_text(json.dumps(content))
    truth = GroundTruth.from_coco(annotations)
    study = studies.run_toy(
        [s.path for s in scenes],
        root / "out",
        spec=load_spec({**studies.SPEC, "name": "<b>toy</b>"}),
        refs=[ImageRef(s.path.name, 7 * i) for i, s in enumerate(scenes)],
        files={"truth.json": truth_file(annotations, truth)},
    )
    tables = StudyTables.of(measure(study, settings=Settings(n_replicates=50)))
    for name, data in tables.files().items():
        (study.path / name).write_bytes(data)
    return study.path
