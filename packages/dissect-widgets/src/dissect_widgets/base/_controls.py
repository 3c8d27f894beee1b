"""Widgets that all panels make alike, and the looks that they share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ipywidgets import (
    BoundedFloatText,
    Button,
    ButtonStyle,
    Combobox,
    Dropdown,
    HBox,
    Layout,
    RadioButtons,
    Widget,
)
from ipywidgets.widgets.widget_bool import CheckboxStyle
from ipywidgets.widgets.widget_string import HTMLStyle

_INDENT_REM = 1
_MAX_INDENT = 10  # levels; a phone's width is left to the text beyond them

Control = TypeVar("Control", bound=Widget)


class Looks:
    """Layouts and styles that many widgets of one panel share: each is a model in the browser.

    Examples
    --------
    >>> looks = Looks()
    >>> looks.row(2) is looks.row(2)
    True
    >>> looks.close()
    """

    def __init__(self) -> None:
        self.button = ButtonStyle()
        self.checkbox = CheckboxStyle(description_width="initial")
        self.html = HTMLStyle()
        self.control = Layout(width="auto", max_width="100%")
        self.text = Layout(min_width="0", max_width="100%")
        self._rows: dict[int, Layout] = {}

    def row(self, depth: int) -> Layout:
        """Return the layout of a row, which wraps where the page is narrow.

        Parameters
        ----------
        depth : int
            How far to indent.

        Returns
        -------
        Layout
            One and the same for all rows of a depth.
        """
        depth = min(depth, _MAX_INDENT)
        if depth not in self._rows:
            padding = f"0 0 0 {depth * _INDENT_REM}rem"
            self._rows[depth] = Layout(flex_flow="row wrap", align_items="center", padding=padding)
        return self._rows[depth]

    def close(self) -> None:
        """Close all layouts and styles, once no widget uses them any more."""
        for look in self.all():
            look.close()

    def all(self) -> tuple[Widget, ...]:
        """Return every layout and style that widgets share."""
        return self.button, self.checkbox, self.html, self.control, self.text, *self._rows.values()

    def make_button(self, description: str = "") -> Button:
        """Make a button that has these looks.

        Parameters
        ----------
        description : str, optional
            Text on the button.

        Returns
        -------
        Button
            The button.
        """
        return Button(description=description, layout=self.control, style=self.button)

    def make_steps(self, noun: str) -> tuple[Button, Button]:
        """Make the two buttons that lead to the previous and to the next one of something.

        Parameters
        ----------
        noun : str
            What they step through, in the singular.

        Returns
        -------
        previous, next : Button
        """
        return self.make_button(f"Previous {noun}"), self.make_button(f"Next {noun}")


def labelled(
    kind: type[Control], description: str, *, max_width: str | None = None, **options: Any
) -> Control:
    """Make a control as wide as its description and content need.

    Parameters
    ----------
    kind : type
        Class of the control, such as `ipywidgets.Text`.
    description : str
        What it is for.
    max_width : str, optional
        As in CSS.
    **options
        Further arguments of the class.

    Returns
    -------
    Widget
        With a layout and a style of its own.

    Examples
    --------
    >>> from ipywidgets import Text
    >>> control = labelled(Text, "Search", value="encoder")
    >>> control.style.description_width
    'initial'
    >>> close_all(control)
    """
    layout = Layout(width="auto") if max_width is None else Layout(width="auto", max_width=max_width)
    control: Control = kind(description=description, layout=layout, **options)
    control.style.description_width = "initial"
    return control


def choice_box(description: str, options: Mapping[str, str]) -> Dropdown:
    """Make a list to choose from.

    Parameters
    ----------
    description : str
        What is chosen.
    options : mapping of str to str
        Text for people by value.

    Returns
    -------
    Dropdown

    Examples
    --------
    >>> box = choice_box("Page", {"light": "light page", "dark": "dark page"})
    >>> box.value, box.label
    ('light', 'light page')
    >>> close_all(box)
    """
    return labelled(Dropdown, description, options=[(text, value) for value, text in options.items()])


def share_box(description: str) -> BoundedFloatText:
    """Make a field for a number in [0, 1].

    Examples
    --------
    >>> box = share_box("Opacity")
    >>> box.min, box.max
    (0.0, 1.0)
    >>> close_all(box)
    """
    return labelled(BoundedFloatText, description, min=0, max=1, step=0.05, continuous_update=False)


def variant_box(variants: Sequence[str]) -> Combobox:
    """Make a field for a variant, which is found by a part of its id.

    Examples
    --------
    >>> box = variant_box(["baseline", "heads/0"])
    >>> box.options
    ('baseline', 'heads/0')
    >>> close_all(box)
    """
    return labelled(
        Combobox,
        "Ablated variant",
        max_width="40rem",
        options=list(variants),
        ensure_option=False,
        continuous_update=False,
    )


def line(*widgets: Widget) -> HBox:
    """Put widgets in a line that wraps where the page is narrow.

    Examples
    --------
    >>> row = line(Button(), Button())
    >>> len(row.children)
    2
    >>> close_all(row)
    """
    return HBox(widgets, layout=Layout(flex_flow="row wrap", align_items="center"))


def segments(description: str, options: Mapping[str, str], **more: Any) -> RadioButtons:
    """Make a row of options of which one is chosen, for a choice that should be seen without opening a list.

    Parameters
    ----------
    description : str
        What is chosen.
    options : mapping of str to str
        Text for people by value.
    **more
        Further arguments of `ipywidgets.RadioButtons`.

    Examples
    --------
    >>> box = segments("Remove", {"head": "heads", "row": "rows"})
    >>> box.value, box.label
    ('head', 'heads')
    >>> close_all(box)
    """
    pairs = [(text, value) for value, text in options.items()]
    return labelled(RadioButtons, description, options=pairs, **more).add_class("dd-segments")


def holds(widget: Widget, part: Widget) -> bool:
    """Return whether a widget is another one, or holds it at any depth."""
    return widget is part or any(holds(child, part) for child in getattr(widget, "children", ()))


def close_all(widget: Widget, keep: Iterable[Widget] = ()) -> None:
    """Close a widget with its children, layouts and styles.

    Parameters
    ----------
    widget : Widget
        A widget none of whose parts is used elsewhere, but for `keep`. Closing it again does no harm.
    keep : iterable of Widget, optional
        Layouts and styles that other widgets go on using.
    """
    kept = tuple(keep)
    for child in getattr(widget, "children", ()):
        close_all(child, kept)
    parts = [getattr(widget, name, None) for name in ("layout", "style")]
    widget.close()
    for part in parts:
        if part is not None and not any(part is each for each in kept):
            part.close()
