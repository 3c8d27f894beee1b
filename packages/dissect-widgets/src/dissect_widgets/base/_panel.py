"""The base of all panels: it observes a model, refreshes the panel, shows errors and plain HTML, and closes it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import Any, TypeVar

from ipywidgets import HTML, Button, Layout, VBox, Widget
from traitlets import HasTraits

from dissect_core import DissectError

from ..front import look_html
from ._controls import Looks, close_all, holds
from ._text import problem_html

Part = TypeVar("Part", bound=Widget)


class Panel(VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A box of widgets that also shows itself as plain HTML, and leaves nothing behind when it is closed.

    A subclass calls ``super().__init__()``, makes its widgets, and calls `_assemble` with them. What it observes, it
    observes with `_follow`, and clicks with `_on_click`: an error in a handler is shown beside the control, and none is
    lost. Parts that are panels themselves go through `_own`; `close` undoes all of this.

    A code host's preview, or a notebook opened without a kernel, cannot show a widget: there the HTML of `snapshot`
    stands for it, as the panel was when it was displayed.
    """

    _title = "Panel"
    """Accessible name of the HTML that `snapshot` returns."""
    _pages: tuple[str, ...] = ()
    """Names of the HTML widgets that `snapshot` joins."""

    _is_live = False

    def __init__(self) -> None:
        self._lock = RLock()
        self._looks = Looks()
        self._is_refreshing = False
        self._undo: list[Callable[[], object]] = []
        self._acting: Widget | None = None
        super().__init__(layout=Layout(max_width="100%"))
        self.add_class("dd").add_class("dd-panel")
        self._look = HTML(look_html(), layout=Layout(display="none"))
        self._trouble = HTML()
        self._close_all_of(self._look, self._trouble)  # not always among the children

    def snapshot(self) -> str:
        """Return what the panel shows as plain HTML, which needs no kernel and no widgets.

        Returns
        -------
        str
            HTML without scripts; every name in it is escaped.
        """
        pages: list[HTML] = [getattr(self, name) for name in self._pages]
        return f'<section aria-label="{self._title}">{"".join(page.value for page in pages)}</section>'

    def close(self) -> None:
        """Close the panel with all of its widgets, and stop observing; a model that was given stays as it is."""
        if self._is_live:
            self._is_live = False  # a refresh that begins on another thread from now on ends at once
            for undo in reversed(self._undo):
                undo()
            with self._lock:  # a refresh that is at work is waited for
                close_all(self)
                self._looks.close()
        super().close()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options) or {}
        return {**bundle, "text/html": self.snapshot()}

    def _assemble(self, *parts: Widget) -> None:
        """Show the widgets, once all of them are made."""
        self.children = (self._look, *parts)
        self._is_live = True

    def _follow(self, observed: HasTraits, handler: Callable[..., object], names: Any) -> None:
        """Call `handler` when one of the traits changes, until the panel is closed."""
        guarded = self._guarded(handler, observed if isinstance(observed, Widget) else None)
        observed.observe(guarded, names)
        self._undo.append(lambda: observed.unobserve(guarded, names))

    def _on_click(self, button: Button, handler: Callable[..., object]) -> None:
        """Call `handler` with the button when it is clicked."""
        button.on_click(self._guarded(handler, button))

    def _guarded(self, handler: Callable[..., object], control: Widget | None) -> Callable[..., None]:
        """Return the handler with every error shown beside the control: front ends say nothing of errors."""

        def guarded(*arguments: Any) -> None:
            outer = self._acting
            self._acting = outer or control
            try:
                if outer is None and control is not None:
                    self._show_trouble("", "", None)
                handler(*arguments)
            except DissectError as error:
                self._show_trouble(str(error), "", self._acting)
            except Exception as error:
                details = "".join(traceback.format_exception(error))
                self._show_trouble(f"{type(error).__name__}: {error}", details, self._acting)
            finally:
                self._acting = outer

        return guarded

    def _show_trouble(self, error: str, details: str, control: Widget | None) -> None:
        """Show an error below the row that holds the control, or at the top; an empty one is taken away."""
        parts = [part for part in self.children if part is not self._trouble]
        self._trouble.value = f'<div class="dd-problem">{problem_html(error, details)}</div>' if error else ""
        if error:
            place = next((i for i, part in enumerate(parts) if control and holds(part, control)), 0)
            parts.insert(place + 1, self._trouble)
        if len(parts) != len(self.children) or error:
            self.children = tuple(parts)

    def _close_all_of(self, *parts: Widget) -> None:
        """Close widgets with the panel that are not always among its children; shared looks are left to the end."""
        for part in parts:
            self._undo.append(partial(close_all, part, self._looks.all()))

    def _own(self, part: Part) -> Part:
        """Close a part with the panel, and before the panel's other widgets; returns it."""
        self._undo.append(part.close)
        if isinstance(part, Panel):  # the style sheet is needed once
            part.children = tuple(one for one in part.children if one is not part._look)
        return part

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Within the block, let controls change without counting as the user's entries."""
        self._is_refreshing = True
        try:
            yield
        finally:
            self._is_refreshing = False


class ModelPanel(Panel):
    """A panel that shows a model, a `PanelModel`, and passes on to it what the user enters.

    A control whose name is in `_fields` shows the trait of that name and sets it. `_show` fills in everything else; it
    runs when the panel is assembled, and whenever one of the traits in `_fields` and `_shown` changes.
    """

    _fields: tuple[str, ...] = ()
    """Names of controls, and of the model's traits that they show and set."""
    _shown: tuple[str, ...] = ()
    """Further traits that are shown."""
    _restarts: Mapping[str, str] = {}
    """Names of numeric traits by the field that sets them back to 0, such as the page by the order."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._said = ""
        super().__init__()
        self._lock = model.lock

    def _assemble(self, *parts: Widget) -> None:
        super()._assemble(*parts)
        for name in self._fields:
            self._follow(getattr(self, name), self._on_field, "value")
        self._follow(self.model, self._refresh, [*self._fields, *self._shown])
        self._refresh()

    def _refresh(self, _: Mapping[str, Any] | None = None) -> None:
        """Show the model's state; may be called on any thread."""
        with self._lock:
            if self._is_live:
                with self._quietly():
                    self._show_fields()
                    self._show()

    def _show_fields(self) -> None:
        for name in self._fields:
            getattr(self, name).value = getattr(self.model, name)

    def _show(self) -> None:
        """Fill in the widgets that are no fields."""
        raise NotImplementedError

    def _set_field(self, name: str, value: Any) -> None:
        setattr(self.model, name, value)

    def _on_field(self, change: Mapping[str, Any]) -> None:
        if self._is_refreshing:
            return
        name = next(name for name in self._fields if getattr(self, name) is change["owner"])
        self._said = ""
        try:
            with self._lock, self.model.hold_trait_notifications():
                if name in self._restarts:
                    setattr(self.model, self._restarts[name], 0)
                self._set_field(name, change["new"])
        except DissectError as error:  # the model keeps what it had, and the control shows that again
            self._said = f" {error}"
            self._refresh()

    def _attempt(self, action: Callable[[], str | None], failure: str = "") -> bool:
        """Do what a click asks for, and keep in `_said` how it ended; returns whether it succeeded.

        Parameters
        ----------
        action : callable
            Returns what to say, or None for nothing.
        failure : str, optional
            What to say before the message of an error.
        """
        self._said = ""
        try:
            done = action()
        except DissectError as error:
            self._said, succeeded = f" {failure}{error}", False
        else:
            self._said, succeeded = f" {done}" if done else "", True
        self._refresh()
        return succeeded
