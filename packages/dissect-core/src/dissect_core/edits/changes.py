"""What an ablation did to a model's values: the guard against ablations that did nothing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ComponentChange:
    """What an ablation did to one component.

    Attributes
    ----------
    name : str
        The component. Of tied components, which share their values, the first name that was given.
    size : int
        Values in the component.
    masked : int
        Values that the mask selects.
    changed : int
        Masked values that really became other values: a weight that was 0 already is not changed by zero.
    """

    name: str
    size: int
    masked: int
    changed: int


@dataclass(frozen=True)
class AblationReport:
    """What an ablation did, component by component.

    Attributes
    ----------
    components : tuple of ComponentChange
        In the order of the masks.

    Examples
    --------
    >>> report = AblationReport((ComponentChange("norm.bias", size=4, masked=2, changed=0),))
    >>> report.masked, report.changed, report.is_no_op
    (2, 0, True)
    """

    components: tuple[ComponentChange, ...]

    @property
    def masked(self) -> int:
        """Values selected by all masks together."""
        return sum(component.masked for component in self.components)

    @property
    def changed(self) -> int:
        """Values that became other values, in all components together."""
        return sum(component.changed for component in self.components)

    @property
    def is_no_op(self) -> bool:
        """Whether the model is left as it was, so that its results say nothing about robustness."""
        return self.changed == 0
