"""`deep-dissect app STUDY` as a browser sees it."""

from collections.abc import Callable
from typing import Any

import pytest

from browser_frontends import foreign_requests
from dissect_widgets.app import STUDY, command


@pytest.mark.xdist_group("voila")
def test_the_app_opens_a_study(browser: Any, serve: Callable[..., int], stored: Any) -> None:
    arguments = [each for each in command(1, open_browser=False)[2:] if not each.startswith("--port")]
    port = serve(arguments, **{STUDY: str(stored.study)})
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"http://127.0.0.1:{port}/")
    page.get_by_text("15 variants, 10 images").first.wait_for()
    assert page.title() == "Deep Dissect"
    page.get_by_role("button", name="Images", exact=True).click()
    page.get_by_text("Image 1 of 10").first.wait_for()
    assert [url for url in foreign_requests(requests) if "fontawesome" not in url] == []
    page.close()
