"""Cards to choose one of: a title, a line about it, and a tick on the chosen one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ipywidgets import Button, HBox, Layout

from dissect_core.text import visible

from ..base import Panel

__all__ = ["Cards"]

CHOSEN = "Chosen ✓"


class Cards(Panel):
    """A row of cards, of which one can be chosen by a click.

    Parameters
    ----------
    choose : callable
        Called with the key of a card that was clicked.

    Attributes
    ----------
    cards : dict of str to Button

    Examples
    --------
    >>> cards = Cards(lambda key: cards.show(texts, key))
    >>> texts = {"detr": ("DETR", "72 heads"), "own": ("Your own …", "")}
    >>> cards.show(texts)
    >>> cards.cards["detr"].click()
    >>> cards.cards["detr"].description.splitlines()
    ['DETR', '72 heads', 'Chosen ✓']
    >>> cards.close()
    """

    _title, _pages = "Cards", ()

    def __init__(self, choose: Callable[[str], object]) -> None:
        super().__init__()
        self._choose = choose
        self.cards: dict[str, Button] = {}
        self._row = HBox(layout=Layout(overflow="visible")).add_class("dd-cards")
        self._assemble(self._row)

    def show(
        self, texts: Mapping[str, tuple[str, str]], chosen: str = "", refused: Mapping[str, str] | None = None
    ) -> None:
        """Show cards with these titles and lines; refused ones cannot be chosen, and say why.

        Parameters
        ----------
        texts : mapping of str to (str, str)
            Title and line by key.
        chosen : str
            A key, or empty.
        refused : mapping of str to str, optional
            Reasons by key.
        """
        refused = refused or {}
        for key in [key for key in self.cards if key not in texts]:
            self.cards.pop(key).close()
        for key, (title, about) in texts.items():
            if key not in self.cards:
                self.cards[key] = Button().add_class("dd-card")
                self._on_click(self.cards[key], self._clicked(key))
            card, is_chosen = self.cards[key], key == chosen
            lines = [title, refused.get(key, about), CHOSEN if is_chosen else ""]
            card.description = "\n".join(visible(one) for one in lines if one)
            card.disabled = key in refused
            (card.add_class if is_chosen else card.remove_class)("dd-chosen")
        shown = tuple(self.cards[key] for key in texts)
        if self._row.children != shown:
            self._row.children = shown

    def _clicked(self, key: str) -> Callable[[Any], object]:
        return lambda _: self._choose(key)
