"""One guard around every handler: whatever fails is shown beside the control, and nothing fails in silence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ipywidgets import HTML, Button, HBox, Text

from dissect_core import DissectError
from dissect_widgets.base import OneOf, Panel, PanelModel, Selection
from dissect_widgets.base._panel import ModelPanel


class Faulty(Panel):
    """A button in a row, a field, and a line of text; both controls can be made to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = ValueError("max < min in detection 4,711 <b>")
        self.button, self.field, self.last = Button(description="Go"), Text(), HTML("last")
        self.row = HBox((self.button,))
        self._on_click(self.button, self._act)
        self._follow(self.field, self._act, "value")
        self._assemble(self.row, self.field, self.last)

    def _act(self, _: object) -> None:
        if self.error:
            raise self.error


@pytest.fixture
def panel() -> Iterator[Faulty]:
    made = Faulty()
    yield made
    made.close()


def shown(panel: Panel) -> list[str]:
    """What the panel's parts are, in order; a problem by its text."""
    return [one.value if one is panel._trouble else type(one).__name__ for one in panel.children]


def test_an_error_stands_below_the_row_of_its_button(panel: Faulty) -> None:
    panel.button.click()
    names = shown(panel)
    assert names[:2] == ["HTML", "HBox"]
    assert names[3:] == ["Text", "HTML"]
    assert "ValueError: max &lt; min in detection 4,711 &lt;b&gt;" in names[2]
    assert "<summary>Traceback</summary>" in names[2]
    assert 'role="alert"' in names[2]


def test_an_error_of_a_field_stands_below_the_field(panel: Faulty) -> None:
    panel.error = DissectError("`threshold` must be in [0, 1], got 2.")
    panel.field.value = "2"
    names = shown(panel)
    assert names[2] == "Text"
    assert "must be in [0, 1], got 2." in names[3]
    assert "Traceback" not in names[3]  # what the user can mend needs none


def test_the_next_action_takes_the_error_away(panel: Faulty) -> None:
    panel.button.click()
    panel.error = None
    panel.button.click()
    assert panel._trouble not in panel.children
    panel.error = ValueError("again")
    panel.button.click()
    panel.field.value = "x"  # fails too, and its error takes the other's place
    assert sum(one is panel._trouble for one in panel.children) == 1


class State(PanelModel):
    colour = OneOf(("red", "blue", "broken"), "red")


class Shows(ModelPanel):
    _fields = ("colour",)

    def __init__(self, model: State) -> None:
        super().__init__(model)
        self.colour = Text(value="red")
        self.page = HTML()
        self._assemble(self.colour, self.page)

    def _show(self) -> None:
        if self.model.colour == "broken":
            raise RuntimeError("a picture failed")
        self.page.value = self.model.colour


def test_an_error_while_the_panel_is_refreshed_stands_beside_the_control_that_caused_it() -> None:
    panel = Shows(State())
    panel.colour.value = "broken"
    assert shown(panel)[1] == "Text"
    assert "a picture failed" in shown(panel)[2]
    panel.colour.value = "blue"
    assert panel.page.value == "blue"
    assert panel._trouble not in panel.children
    panel.close()


def test_an_error_caused_from_python_stands_at_the_top() -> None:
    panel = Shows(State())
    panel.model.colour = "broken"
    assert "a picture failed" in shown(panel)[1]
    panel.close()


def test_a_selection_tells_all_its_changes_together() -> None:
    selection, seen = Selection(), []
    selection.observe(lambda change: seen.append((change["name"], selection.variant, selection.image)))
    selection.choose(variant="heads/0", image=3)
    assert sorted(seen) == [("image", "heads/0", 3), ("variant", "heads/0", 3)]
