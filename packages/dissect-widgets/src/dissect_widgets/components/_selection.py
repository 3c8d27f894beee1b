"""Which components of a model are selected: plain traits, no widgets in here."""

from collections.abc import Iterable, Mapping
from typing import Any

from traitlets import Tuple, validate

from dissect_core import Component, UnknownComponentError, select_components, unknown_component

from ..base import PanelModel
from ..errors import UnknownNameError
from ._tree import component_tree


class SelectionModel(PanelModel):
    """A model's components, and which of them are selected.

    Parameters
    ----------
    components : iterable of Component
        Components of one model.
    selection : iterable of str, optional
        Names of the components that are selected at first.

    Attributes
    ----------
    selection : tuple of str
        Names of the selected components, a trait. Whatever is assigned is put in the model's order, each name
        once, aliases replaced by names; a name that no component has is refused.
    components : tuple of Component
        All components.
    tree : ComponentNode
        All components, as a tree.

    Raises
    ------
    TreeError
        If a component has no name, or the name of another one.
    UnknownNameError
        If `selection` names a component that is not there.

    Examples
    --------
    >>> names = ["encoder.0.weight", "encoder.0.bias", "query.weight"]
    >>> model = SelectionModel(Component(name, (4,), "float32") for name in names)
    >>> model.observe(lambda change: print(change["new"]), "selection")
    >>> model.add("*.weight")
    ('encoder.0.weight', 'query.weight')
    >>> model.remove("query.weight")
    ('encoder.0.weight',)
    """

    selection = Tuple(help="Names of the selected components, in the model's order.")

    def __init__(self, components: Iterable[Component], *, selection: Iterable[str] = ()) -> None:
        self.components = tuple(components)
        self.tree = component_tree(self.components)
        self._by_name = {c.name: c for c in self.components}
        aliases = {alias: c.name for c in self.components for alias in c.aliases}
        self._names = aliases | {name: name for name in self._by_name}
        self._order = {name: i for i, name in enumerate(self._by_name)}
        super().__init__(selection=tuple(selection))

    @validate("selection")
    def _known_and_in_order(self, proposal: Mapping[str, Any]) -> tuple[str, ...]:
        chosen = set()
        for name in proposal["value"]:
            if not isinstance(name, str):
                raise UnknownNameError(f"`selection` must hold names of components, got {name!r}.")
            if name not in self._names:
                raise UnknownNameError(str(unknown_component(name, self._names)))
            chosen.add(self._names[name])
        return tuple(sorted(chosen, key=self._order.__getitem__))

    def add(self, patterns: str | Iterable[str]) -> None:
        """Select components by name or glob, besides those that are selected.

        Parameters
        ----------
        patterns : str or iterable of str
            Names or globs, as for `dissect_core.select_components`.

        Raises
        ------
        UnknownNameError
            If a pattern matches no component; nothing is selected then.
        """
        with self.lock:
            self.selection = (*self.selection, *self._chosen(patterns))

    def remove(self, patterns: str | Iterable[str]) -> None:
        """Take components out of the selection by name or glob.

        Parameters
        ----------
        patterns : str or iterable of str
            Names or globs. A component that is not selected is no error.

        Raises
        ------
        UnknownNameError
            If a pattern matches no component; the selection stays as it is then.
        """
        with self.lock:
            gone = set(self._chosen(patterns))
            self.selection = tuple(name for name in self.selection if name not in gone)

    def clear(self) -> None:
        """Select nothing."""
        self.selection = ()

    def n_selected_parameters(self) -> int:
        """Count the values in the selected components.

        Returns
        -------
        int
            Their sum.
        """
        return sum(self._by_name[name].n_parameters for name in self.selection)

    def _chosen(self, patterns: str | Iterable[str]) -> tuple[str, ...]:
        try:
            return tuple(c.name for c in select_components(self.components, patterns))
        except UnknownComponentError as error:
            raise UnknownNameError(str(error)) from None
