import gc
import threading
import weakref
from collections.abc import Callable
from html.parser import HTMLParser

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


def test_clicks_open_and_close_blocks(components: list[Component], open_browser: OpenBrowser) -> None:
    browser = open_browser(components)
    block = browser.block("encoder.layers.0")
    assert block.toggle.description == "▸ Open 0"
    block.toggle.click()
    browser.block("encoder.layers.0.self_attn").toggle.click()
    assert browser.block("encoder.layers.0") is block, "a row that stays keeps its widgets, and the focus"
    assert (block.toggle.description, block.toggle.tooltip) == ("▾ Close 0", "Close encoder.layers.0")
    assert "8 heads" in browser.component("encoder.layers.0.self_attn.in_proj_weight").detail.value
    block.toggle.click()
    browser.block("query_embedding").toggle.click()
    with pytest.raises(
        UnknownNameError, match=r"near matches: .*open the block around it, search for it, or show more"
    ):
        browser.component("embedding.weight")


def test_clicks_select(components: list[Component], open_browser: OpenBrowser) -> None:
    browser = open_browser(components)
    browser.block("query_embedding").toggle.click()
    box = browser.component("query_embedding.weight").choose
    box.value = True
    assert browser.model.selection == ("query_embedding.weight",)
    assert "Selected: 1 component, 3,200 parameters" in browser.status.value
    encoder = browser.block("encoder").choose
    assert encoder.description == "Add all 6"
    encoder.click()
    assert len(browser.model.selection) == 7
    assert encoder.description == "Remove all 6"
    encoder.click()
    box.value = False
    assert browser.model.selection == ()
    assert browser.clear_selection.disabled


def test_the_panel_follows_its_model(components: list[Component], open_browser: OpenBrowser) -> None:
    model = BrowserModel(components, selection=["query_embedding.weight"])
    browser, other = open_browser(model), open_browser(model)
    model.search("query*")
    assert browser.search.value == other.search.value == "query*"
    browser.block("query_embedding").toggle.click()
    box = other.component("query_embedding.weight").choose
    assert box.value is True
    browser.clear_selection.click()
    assert box.value is False


def test_search_and_clear(components: list[Component], open_browser: OpenBrowser) -> None:
    browser = open_browser(components)
    assert browser.clear_search.disabled
    browser.search.value = "encoder.ffn"
    assert "2 of 14 components" in browser.status.value
    browser.component("encoder.layers.1.ffn.layers.0.weight").choose.value = True
    browser.search.value = "query.weight"
    assert "No component matches" in browser.status.value
    assert "query_embedding.weight" in browser.status.value, "a near match"
    assert browser.tree.children == ()
    browser.clear_search.click()
    assert browser.search.value == ""
    assert browser.block("encoder")
    assert browser.model.selection == ("encoder.layers.1.ffn.layers.0.weight",)


def test_a_component_with_others_below_it_is_selected_alone(open_browser: OpenBrowser) -> None:
    browser = open_browser([Component("a", (2,), "float32"), Component("a.b", (3,), "float32")])
    assert browser.model.expanded == {"a"}
    browser.component("a.b").choose.value = True
    assert browser.component("a").choose.value is False
    assert "1 selected" in browser.block("a").detail.value


def test_pages(open_browser: OpenBrowser) -> None:
    n = 2 * PAGE_SIZE + 7
    browser = open_browser(Component(f"c{i}", (1,), "float32") for i in range(n))
    assert (
        browser.more().more.description == f"Show {PAGE_SIZE} more of {n - PAGE_SIZE} left at the top level"
    )
    browser.more().more.click()
    assert browser.more().more.description == "Show 7 more of 7 left at the top level"
    assert "7 more at the top level are not shown" in browser.snapshot()
    browser.more().more.click()
    assert browser.component(f"c{n - 1}")
    with pytest.raises(UnknownNameError, match="No more row for '' is shown now"):
        browser.more()


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
    assert len(browser.tree.children) <= MAX_ROWS + 1
    assert len(_instances) - before <= 4 * (MAX_ROWS + 1) + 40
    n_hidden = browser.model.rows()[1]
    if n_hidden:
        assert f"of {n_hidden:,} further rows" in browser.more_rows.description
        assert f"{n_hidden:,} further rows are not shown" in browser.snapshot()
        browser.more_rows.click()
        assert len(browser.tree.children) > MAX_ROWS + 1
    browser.block("stack0").choose.click()
    browser.model.add_block("stack1")  # its row may not be shown
    n_left = len(browser.model.selection) - 200
    assert f"and {n_left:,} more, not listed here" in browser.selected.value
    assert browser.snapshot().count("<li>") == len(browser.model.selection)


@pytest.mark.parametrize("n", [0, 1])
def test_models_with_hardly_anything(n: int, open_browser: OpenBrowser) -> None:
    browser = open_browser([Component("w", (), "float32")] * n)
    assert f"{n} component{'' if n else 's'}, {n} parameter" in browser.status.value
    assert len(browser.tree.children) == n


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
    ours = {"section", "table", "caption", "thead", "tbody", "tr", "th", "td", "p", "div", "span"}
    assert seen.tags <= ours | {"details", "summary", "ul", "li"}
    assert seen.attributes <= {"style", "role", "aria-label", "scope", "colspan"}
    assert "<script>alert(1)</script>.weight" in seen.text
    for text in (seen.text, *(w.description for w in widgets_in(browser) if hasattr(w, "description"))):
        assert not {"\u202e", "\x00", "\ud800"} & set(text)
    assert r"\u202etxt\n\x00\ud800" in seen.text
    browser.search.value = "*.weight"
    assert browser.component(HOSTILE[0]).choose.description_allow_html is False
    assert browser.model.selection == tuple(HOSTILE)


def test_every_control_has_a_name_in_words(components: list[Component], open_browser: OpenBrowser) -> None:
    browser = open_browser([*components, *(Component(f"z{i}", (1,), "float32") for i in range(60))])
    browser.block("query_embedding").toggle.click()
    controls = [each for each in widgets_in(browser) if isinstance(each, Button | Checkbox | Text)]
    assert len(controls) > 20
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
    browser.block("query_embedding").toggle.click()
    browser.component("query_embedding.weight").choose.value = True
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
        browser.search.value = "attn"
        browser.clear_search.click()
        browser.block("encoder.layers.0").toggle.click()
        browser.block("encoder.layers.0").toggle.click()
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
