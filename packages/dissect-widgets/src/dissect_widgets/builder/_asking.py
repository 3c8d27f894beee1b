"""What to ask about the parts that are selected in a model's tree, and a button that adds it to the study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipywidgets import HTML

from dissect_core.text import visible

from ..base import Panel, segments, status_html
from ._ablation_form import Chosen
from ._model import SpecModel
from ._proposals import Proposal

__all__ = ["AskPanel"]


class AskPanel(Panel):
    """Asks what the study is to remove of what is selected: heads of these blocks, these heads, all their weights …

    Parameters
    ----------
    model : SpecModel
        The study.
    chosen : callable
        Returns what is selected: names of components, and heads by block.

    Attributes
    ----------
    what : RadioButtons
        The proposals, by key.
    add : Button
    said : HTML
    proposals : tuple of Proposal

    Examples
    --------
    >>> from dissect_core import Anatomy, Component
    >>> anatomy = Anatomy((Component("query_embedding.weight", (100, 256), "float32"),))
    >>> panel = AskPanel(SpecModel(anatomy=anatomy), lambda: (["query_embedding.weight"], {}))
    >>> panel.show()
    >>> panel.what.value = "component"
    >>> panel.add.click()
    >>> panel.model.spec.ablations[0].target.unit
    'component'
    >>> panel.close()
    """

    _title, _pages = "What to ask of the study", ("said",)

    def __init__(self, model: SpecModel, chosen: Chosen) -> None:
        super().__init__()
        self.model, self._chosen = model, chosen
        self.proposals: tuple[Proposal, ...] = ()
        self.head, self.said = HTML("<h3>Add to the study</h3>"), HTML()
        self.what = segments("Remove", {"": ""}).add_class("dd-stack")
        self.add = self._looks.make_button("Add to the study").add_class("dd-primary")
        self._on_click(self.add, self._on_add)
        self._follow(self.what, self._on_what, "value")
        self._wanted = ""
        self._assemble(self.head, self.what, self.add, self.said)
        self.show()

    def show(self) -> None:
        """Offer what fits the selection as it is now; an answer that still fits stays."""
        names, heads = self._chosen()
        is_known = self.model.anatomy is not None and bool(names or heads)
        self.proposals = self.model.proposals(names, heads) if is_known else ()
        options = [(visible(one.title), one.key) for one in self.proposals]
        keys = [key for _, key in options]
        with self._quietly():
            if options and list(self.what.options) != options:
                self.what.options = options
            if keys:
                self.what.value = self._wanted if self._wanted in keys else keys[0]
        self.what.layout.display = None if options else "none"
        self.add.disabled = not options
        self.said.value = (
            "" if options else status_html("Nothing is selected. Tick blocks or parameters, or click heads.")
        )

    def _on_what(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing:
            self._wanted = change["new"] or ""

    def _on_add(self, _: Any) -> None:
        proposal = next((one for one in self.proposals if one.key == self.what.value), None)
        if proposal is not None:
            name = self.model.add_proposal(proposal)
            self.said.value = status_html(f"In the study as {visible(name)}: {proposal.title}.")
