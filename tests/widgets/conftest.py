from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

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
def split(tmp_path_factory: pytest.TempPathFactory) -> Any:
    pytest.importorskip("pyarrow")
    from toy_split import write_split

    return write_split(tmp_path_factory.mktemp("split"), N_IMAGES)


@pytest.fixture(scope="session")
def folder(split: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measured study: single channels, and growing doses of two interventions."""
    from toy_split import write_study

    return write_study(split, tmp_path_factory.mktemp("study") / "out", name="<b>toy</b>")
