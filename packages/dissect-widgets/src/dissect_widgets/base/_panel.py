"""What all panels are: a box of widgets that also shows itself as plain HTML."""

from __future__ import annotations

from typing import Any

from ipywidgets import VBox


class Panel(VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A box whose displayed output also holds `snapshot`, for pages that have no widgets.

    A code host's preview, or a notebook opened without a kernel, cannot show a widget: there the plain HTML stands for
    it, as the panel was when it was displayed.
    """

    _is_live = False

    def snapshot(self) -> str:
        """Show what the panel shows as plain HTML, which survives without a kernel and without widgets."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options) or {}
        return {**bundle, "text/html": self.snapshot()}
