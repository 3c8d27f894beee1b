import gc
import threading
import weakref
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from ipywidgets import HTML, Button, Checkbox, DOMWidget, Text, Widget
from ipywidgets.widgets.widget import _instances

from dissect_core import Component
from dissect_widgets import BrowserModel, ComponentBrowser, TreeError, UnknownNameError
from dissect_widgets.components._rows import MAX_ROWS, PAGE_SIZE

OpenBrowser = Callable[..., ComponentBrowser]
HOSTILE = [
    "<script>alert(1)</script>.weight",
    "a\"'><img src=x onerror=alert(1)>.w",
    "x&lt;b&gt;.\u202etxt\n\x00\ud800",
    "javascript:alert(1)",
]


def widgets_in(widget: Widget) -> list[Widget]:
    return [widget, *(each for child in getattr(widget, "children", ()) for each in widgets_in(child))]


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def cells(browser: ComponentBrowser, row: str) -> dict[str, Any]:
    """What a row of the tree shows, by column."""
    keys = [column.key for column in browser.tree.columns]
    found = next(one for one in browser.tree.rows if one.id == row)
    return dict(zip(keys, found.cells, strict=True))


def test_clicks_open_and_close_blocks(components: list[Component], open_browser: OpenBrowser) -> None:
    browser = open_browser(components)
    browser.tree.do("toggle", "encoder.layers.0")
    browser.tree.do("open", "encoder.layers.0.self_attn")  # a double click
    row = next(one for one in browser.tree.rows if one.id == "encoder.layers.0.self_attn.in_proj_weight")
    assert (row.depth, row.open) == (4, None)
    told = cells(browser, row.id)
    assert told["name"] == {"text": "in_proj_weight", "note": "96 × 32", "title": row.id}
    assert told["parameters"]["text"] == "3,072"
    browser.tree.choose(row.id)
    assert browser.model.chosen == row.id
    assert "8 heads" in browser.chosen.value
    browser.tree.do("toggle", "encoder.layers.0")
    with pytest.raises(UnknownNameError, match="must be the id of one of"):
        browser.tree.do("check", "embedding.weight")


def test_clicks_select(components: list[Component], open_browser: OpenBrowser) -> None:
    browser = open_browser(components)
    browser.tree.do("toggle", "query_embedding")
    browser.tree.do("check", "query_embedding.weight")
    assert browser.model.selection == ("query_embedding.weight",)
    assert "Selected: 1 component, 3,200 parameters" in browser.status.value
    browser.tree.do("check", "encoder")
    assert len(browser.model.selection) == 7
    assert cells(browser, "encoder")["check"] == {"on": True, "label": "Select encoder"}
    browser.tree.do("toggle", "encoder.layers.0")
    browser.tree.do("check", "encoder.layers.0.ffn")
    assert cells(browser, "encoder")["check"]["on"] is None, "some of it"
    browser.tree.do("check", "encoder")
    browser.tree.do("check", "encoder")
    browser.tree.do("open", "query_embedding.weight")
    assert browser.model.selection == ()
    assert browser.clear_selection.disabled


def test_the_panel_follows_its_model(components: list[Component], open_browser: OpenBrowser) -> None:
    model = BrowserModel(components, selection=["query_embedding.weight"])
    browser, other = open_browser(model), open_browser(model)
    model.search("query*")
    assert browser.search.value == other.search.value == "query*"
    browser.tree.do("toggle", "query_embedding")
    assert cells(other, "query_embedding.weight")["check"]["on"] is True
    browser.clear_selection.click()
    assert cells(other, "query_embedding.weight")["check"]["on"] is False


def test_search_and_clear(components: list[Component], open_browser: OpenBrowser) -> None:
    browser = open_browser(components)
    assert browser.clear_search.disabled
    browser.search.value = "feed-forward encoder"
    assert "2 of 14 components" in browser.status.value
    browser.tree.do("check", "encoder.layers.1.ffn.layers.0.weight")
    browser.search.value = "query.weight"
    assert "No component matches" in browser.status.value
    assert "query_embedding.weight" in browser.status.value, "a near match"
    assert browser.tree.rows == []
    browser.clear_search.click()
    assert browser.search.value == browser.model.view.search == ""
    assert cells(browser, "encoder")
    assert browser.model.selection == ("encoder.layers.1.ffn.layers.0.weight",)


def test_a_component_with_others_below_it_is_selected_alone(open_browser: OpenBrowser) -> None:
    browser = open_browser([Component("a", (2,), "float32"), Component("a.b", (3,), "float32")])
    assert browser.model.expanded == {"a"}
    assert [row.id for row in browser.tree.rows] == ["a", "=a", "a.b"], "the block and the component"
    browser.tree.do("check", "a.b")
    assert cells(browser, "=a")["check"]["on"] is False
    assert cells(browser, "a")["name"]["note"] == "1 of 2 selected"
    browser.tree.do("check", "=a")
    assert browser.model.selection == ("a", "a.b")


def test_pages(open_browser: OpenBrowser) -> None:
    n = 2 * PAGE_SIZE + 7
    browser = open_browser(Component(f"c{i}", (1,), "float32") for i in range(n))
    told = f"Show {PAGE_SIZE} more of {n - PAGE_SIZE} left at the top level"
    assert cells(browser, "+")["name"]["text"] == told
    browser.tree.do("toggle", "+")
    assert cells(browser, "+")["name"]["text"] == "Show 7 more of 7 left at the top level"
    assert "7 more at the top level are not shown" in browser.snapshot()
    browser.tree.choose("+")  # a click on the row does as well
    assert cells(browser, f"c{n - 1}")
    assert browser.tree.chosen == ""


@pytest.mark.parametrize("pattern", ["", "weight", "*7*", "c"])
def test_ten_thousand_components_make_few_widgets(pattern: str, open_browser: OpenBrowser) -> None:
    before = len(_instances)
    components = [
        Component(f"stack{i}.layers.{k}.{name}.weight", (4, 4), "float32")
        for i in range(10)
        for k in range(100)
        for name in "abcdefghij"
    ]
    browser = open_browser(components)
    browser.search.value = pattern
    assert len(browser.tree.rows) <= MAX_ROWS
    assert len(_instances) - before <= 100
    n_hidden = browser.model.rows()[1]
    if n_hidden:
        assert f"of {n_hidden:,} further rows" in browser.more_rows.description
        assert f"{n_hidden:,} further rows are not shown" in browser.snapshot()
        browser.more_rows.click()
        assert len(browser.tree.rows) > MAX_ROWS
    browser.tree.do("check", "stack0")
    browser.model.add_block("stack1")  # its row may not be shown
    n_left = len(browser.model.selection) - 200
    assert f"and {n_left:,} more, not listed here" in browser.selected.value
    assert browser.snapshot().count("<li>") == len(browser.model.selection)


@pytest.mark.parametrize("n", [0, 1])
def test_models_with_hardly_anything(n: int, open_browser: OpenBrowser) -> None:
    browser = open_browser([Component("w", (), "float32")] * n)
    assert f"{n} component{'' if n else 's'}, {n} parameter" in browser.status.value
    assert len(browser.tree.rows) == n


def test_hostile_names_are_shown_and_do_nothing(open_browser: OpenBrowser) -> None:
    components = [Component(n, (2,), "<i>f</i>", role="<u>", aliases=(f"{n}<s>",)) for n in HOSTILE]
    browser = open_browser(components)
    browser.model.view = type(browser.model.view)(expanded=frozenset(browser.model._blocks))
    browser.model.selection = HOSTILE
    pages = [
        each.value for each in widgets_in(browser) if isinstance(each, HTML) and each is not browser._look
    ]
    browser.search.value = "<q>\u202e"
    pages += [browser.status.value, browser.snapshot()]
    browser.search.value = "alert"
    pages += [browser.status.value, browser.snapshot()]
    seen = Tags("".join(pages))
    ours = {"section", "table", "caption", "thead", "tbody", "tr", "th", "td", "p", "div", "span", "h3", "h4"}
    assert seen.tags <= ours | {"details", "summary", "ul", "li"}
    assert seen.attributes <= {"style", "role", "aria-label", "scope", "colspan", "class"}
    assert "<script>alert(1)</script>.weight" in seen.text
    for text in (seen.text, *(w.description for w in widgets_in(browser) if hasattr(w, "description"))):
        assert not {"\u202e", "\x00", "\ud800"} & set(text)
    assert r"\u202etxt\n\x00\ud800" in seen.text
    browser.search.value = ""
    shown = "".join(str([row.label, row.cells]) for row in browser.tree.rows)
    assert not {"\u202e", "\x00", "\ud800"} & set(shown)
    assert browser.model.selection == tuple(HOSTILE)


def test_every_control_has_a_name_in_words(components: list[Component], open_browser: OpenBrowser) -> None:
    browser = open_browser([*components, *(Component(f"z{i}", (1,), "float32") for i in range(60))])
    controls = [each for each in widgets_in(browser) if isinstance(each, Button | Checkbox | Text)]
    assert len(controls) == 5
    for control in controls:
        assert any(letter.isalpha() for letter in control.description)
        if isinstance(control, Button):
            assert control.icon == control.button_style == ""
        assert isinstance(control, DOMWidget)
        assert control.tabbable is not False
    assert '<div role="status"' in browser.status.value


def test_the_snapshot_says_what_the_panel_shows(
    components: list[Component], open_browser: OpenBrowser
) -> None:
    browser = open_browser(components)
    browser.tree.do("toggle", "query_embedding")
    browser.tree.do("check", "query_embedding.weight")
    text = Tags(browser.snapshot()).text
    assert "100 × 32, float32, 3,200 parameters, also named tied.queries" in text
    assert "encoder.layers0 of 66 components" in text
    assert "1 component selected" in text


def test_opening_and_closing_leaves_nothing_behind(components: list[Component]) -> None:
    model = BrowserModel(components)
    before = set(_instances)
    threads = threading.active_count()
    gone = []
    for _ in range(50):
        browser = ComponentBrowser(model)
        browser.shows.value = "tree"
        browser.search.value = "attn"
        browser.clear_search.click()
        browser.tree.do("toggle", "encoder.layers.0")
        browser.shows.value = "roles"
        gone.append(weakref.ref(browser))
        browser.close()
        browser.close()
        assert set(_instances) == before
    del browser
    gc.collect()
    assert [ref for ref in gone if ref() is not None] == []
    assert not any(by_type["change"] for by_type in model._trait_notifiers.values())
    assert threading.active_count() == threads
    model.add("query*")
    assert model.selection == ("query_embedding.weight",)


def test_a_panel_that_cannot_open_leaves_nothing_behind() -> None:
    with pytest.raises(TreeError):
        ComponentBrowser([Component("a", (1,), "float32")] * 2)


def test_actions_on_several_threads_lose_nothing(
    components: list[Component], open_browser: OpenBrowser
) -> None:
    browser = open_browser(components)
    names = [c.name for c in components]
    threads = [threading.Thread(target=browser.model.add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert browser.model.selection == tuple(names)
