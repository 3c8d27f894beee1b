"""A real browser against real servers: JupyterLab and Voila on this machine, Debian's Chromium headless."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from browser_frontends import CHROMIUM, MARK, SERVERS, Frontend, Servers, launched
from toy_detector import QueryDetector
from toy_split import Split, write_split, write_study


class Stored(NamedTuple):
    """What is on disk before a panel is opened."""

    split: Split
    study: Path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            # With several workers, each front end has its own: servers and the browser are started once.
            callspec = getattr(item, "callspec", None)
            group = callspec.params.get("frontend", "none") if callspec else "none"
            if item.get_closest_marker("xdist_group") is None:
                item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        reason = "needs Chromium: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = launched(playwright)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    """Starts servers of Jupyter, each on a free port of this machine, and ends them."""
    with Servers(tmp_path_factory.mktemp("jupyter")) as servers:
        yield servers.start


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Images with their truth, and a study of a detector that tells its queries."""
    root = tmp_path_factory.mktemp("stored")
    split = write_split(root, 10)
    return Stored(split, write_study(split, root / "study", QueryDetector()))


@pytest.fixture(scope="session", params=["lab", "voila"])
def frontend(
    request: pytest.FixtureRequest,
    browser: Any,
    serve: Callable[..., int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Frontend:
    folder = tmp_path_factory.mktemp(request.param)
    return Frontend(request.param, browser, serve(SERVERS[request.param](folder)), folder)


@pytest.fixture
def opened(frontend: Frontend) -> Iterator[Callable[..., Any]]:
    """Opens a page with a panel made by some lines of Python that call it `panel`."""
    pages: list[Any] = []

    def open_page(code: str, **options: Any) -> Any:
        name = f"{len(list(frontend.folder.iterdir()))}.ipynb"
        frontend.write(name, f"{code}\npanel.add_class({MARK!r})\npanel")
        pages.append(frontend.open(name, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.context.close()
