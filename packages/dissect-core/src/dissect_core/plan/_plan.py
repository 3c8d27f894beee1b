"""A plan: the variants of a study on one model, what each of them removes, and what running them costs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args, get_type_hints, overload

from ..anatomy import Selector
from ..arguments import checked_arguments
from ..edits import intervention_label
from ..errors import MissingDependencyError, PlanError, VariantNumberError
from ..names import unknown_component
from ..spec import StudySpec
from ..text import quoted
from ._variant import Variant

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Plan", "PlanCost", "PlanRow"]


@dataclass(frozen=True)
class PlanRow:
    """One variant of a plan.

    Attributes
    ----------
    id, ablation, kind, unit, intervention : str
    n_units, n_available : int
        Units removed, and units in the pool.
    dose : float
        Share of the pool's units that are removed, in [0, 1].
    n_parameters : int or None
        Values masked; None where a draw over parts of different sizes decides.
    share : float or None
        Share of all the model's parameters, in [0, 1].
    n_merged : int
        Number of variants that were merged into this one.
    """

    id: str
    ablation: str
    kind: str
    unit: str
    intervention: str
    n_units: int
    n_available: int
    dose: float
    n_parameters: int | None
    share: float | None
    n_merged: int

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain data, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class PlanCost:
    """The cost of running a plan; it prints as a sentence.

    Attributes
    ----------
    passes : int
        Variants, the baseline included: without prefix replay, passes of the model over every image.
    units : int
        Units that all variants remove, added up.
    controls : int
        How many of the passes are controls.
    repeats_of_baseline : int
        How many of the passes run the baseline again.

    Examples
    --------
    >>> print(PlanCost(passes=19, units=240, controls=6))
    19 passes over each image (1 baseline, 12 ablations, 6 controls), which remove 240 units in all.
    """

    passes: int
    units: int
    controls: int = 0
    repeats_of_baseline: int = 0

    def __str__(self) -> str:
        baselines = 1 + self.repeats_of_baseline
        numbers = (
            (baselines, "baseline"),
            (self.passes - baselines - self.controls, "ablation"),
            (self.controls, "control"),
        )
        parts = ", ".join(f"{n:,} {what}{'' if n == 1 else 's'}" for n, what in numbers if n)
        passes = f"{self.passes:,} pass{'' if self.passes == 1 else 'es'} over each image ({parts})"
        return f"{passes}, which remove {self.units:,} unit{'' if self.units == 1 else 's'} in all."


class Plan(Sequence[Variant]):
    """The variants of a study on one model, the baseline first.

    `plan` makes one. It does not change; `plan[0]` is the baseline, `plan["heads/head/0.5/0"]` the variant of that id.
    The id of a variant that was merged into another gives this other one. Two plans are equal if their variants have
    the same ids, pools, draws and interventions.

    Parameters
    ----------
    spec : StudySpec
        The study.
    variants : sequence of Variant
        The baseline first.
    notes : sequence of str
        Sentences for the user: why controls are missing, or why the baseline runs again.
    model_parameters : int
        Values in all parameters of the model.

    Examples
    --------
    >>> from dissect_core import Anatomy, Component
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> anatomy = Anatomy((Component("query_embedding.weight", (100, 256), "float32"),))
    >>> target = {"unit": "row", "components": "query_embedding.*"}
    >>> select = {"by": "fraction", "fractions": [0.05, 0.5], "repeats": 2}
    >>> ablation = {"name": "queries", "target": target, "select": select}
    >>> queries = plan(load_spec({"name": "queries", "ablations": [ablation]}), anatomy)
    >>> len(queries), queries["queries/row/0.05/1"].n_units
    (5, 5)
    >>> print(queries.cost)
    5 passes over each image (1 baseline, 4 ablations), which remove 110 units in all.
    >>> queries["queries/row/0.05/2"]
    Traceback (most recent call last):
    dissect_core.errors.UnknownComponentError: No variant matches 'queries/row/0.05/2'. Near matches: ...
    """

    def __init__(
        self,
        spec: StudySpec,
        variants: Sequence[Variant],
        notes: Sequence[str] = (),
        model_parameters: int = 0,
    ) -> None:
        self.spec = spec
        self.notes = tuple(notes)
        self._variants = tuple(variants)
        self._model_parameters = model_parameters

    def __len__(self) -> int:
        return len(self._variants)

    def __iter__(self) -> Iterator[Variant]:
        return iter(self._variants)

    @overload
    def __getitem__(self, key: int | str) -> Variant: ...

    @overload
    def __getitem__(self, key: slice) -> list[Variant]: ...

    def __getitem__(self, key: int | str | slice) -> Variant | list[Variant]:
        if isinstance(key, slice):
            return list(self._variants[key])
        if not isinstance(key, str):
            try:
                return self._variants[key]
            except IndexError:
                last = len(self._variants) - 1
                raise VariantNumberError(f"The plan has variants 0 to {last}, got {key}.") from None
            except TypeError:
                raise PlanError(
                    f"A variant of a plan must be given by its number, its id or a slice, got {quoted(key)}."
                ) from None
        if key not in self._numbers:
            raise unknown_component(key, [variant.id for variant in self._variants], what="variant")
        return self._variants[self._numbers[key]]

    def __contains__(self, value: object) -> bool:
        return value in self._numbers if isinstance(value, str) else value in self._variants

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Plan):
            return NotImplemented
        return self._described == other._described

    __hash__ = None  # type: ignore[assignment]  # a hash of the content would cost as much as the plan is long

    def __repr__(self) -> str:
        return f"<Plan of {self.spec.name!r}: {len(self):,} variants>"

    def __str__(self) -> str:
        return f"{self.spec.name}: {self.cost}"

    @checked_arguments()
    def select(self, patterns: str | Iterable[str]) -> list[Variant]:
        """Return the variants with given ids, or with ids that match a glob, in the plan's order.

        Parameters
        ----------
        patterns : str or iterable of str
            Ids of variants, or of those that were merged into them, or globs over ids.

        Raises
        ------
        UnknownComponentError
            If a pattern matches nothing; near matches are named.
        """
        aliases = {name: variant.id for variant in self._variants for name in variant.merged}
        ids = [variant.id for variant in self._variants]
        return [self[name] for name in Selector(ids, aliases=aliases, what="variant").select(patterns)]

    @property
    def cost(self) -> PlanCost:
        """How many passes the plan takes, and how many units they remove."""
        kinds = [variant.kind for variant in self._variants]
        units = sum(variant.n_units for variant in self._variants)
        return PlanCost(len(self), units, kinds.count("control"), kinds.count("again"))

    @cached_property
    def rows(self) -> tuple[PlanRow, ...]:
        """The variants as rows: units, parameters, and shares of them."""
        return tuple(_row(variant, self._model_parameters) for variant in self._variants)

    def table(self) -> "pa.Table":
        """Return `rows` as an Arrow table, which has `to_pandas`.

        Raises
        ------
        MissingDependencyError
            If pyarrow is not installed; ``dissect-core[study]`` brings it.
        """
        try:
            import pyarrow as pa
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                'A plan\'s table needs pyarrow, which is not installed. Run `pip install "dissect-core[study]"`, or '
                "use `plan.rows`.",
                name="pyarrow",
            ) from error
        types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
        kinds = {name: (get_args(kind) or (kind,))[0] for name, kind in get_type_hints(PlanRow).items()}
        schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
        return pa.Table.from_pylist([row.to_dict() for row in self.rows], schema=schema)

    def with_baseline_again(self, repeats: Sequence[Variant], note: str) -> "Plan":
        """Return the plan with further runs of the baseline behind the first one, and a note that says why.

        Examples
        --------
        >>> from dissect_core.plan import baseline_again
        >>> from dissect_core.spec import load_spec
        >>> row = {"name": "a", "target": {"unit": "row", "components": "*"}, "select": {"by": "each"}}
        >>> spec = load_spec({"name": "s", "ablations": [row]})
        >>> once = Plan(spec, baseline_again(0, 1))
        >>> len(once.with_baseline_again(baseline_again(0, 2), "The detector is not deterministic."))
        3
        """
        variants = (*self._variants[:1], *repeats, *self._variants[1:])
        return Plan(self.spec, variants, (*self.notes, note), self._model_parameters)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Number of each variant in the plan, by its id and by the ids of those that were merged into it."""
        merged = {name: i for i, variant in enumerate(self._variants) for name in variant.merged}
        return {**merged, **{variant.id: i for i, variant in enumerate(self._variants)}}

    @property
    def _described(self) -> list[tuple[Any, ...]]:
        return [
            (v.id, v.ablation, v.kind, v.pool.key, v.draw, v.intervention, v.seed, v.control_of, v.singles)
            for v in self._variants
        ]


def _row(variant: Variant, model_parameters: int) -> PlanRow:
    owning = any(part.parameters_per_unit for part in variant.pool.parts)
    known = variant.n_parameters if variant.n_parameters or not variant.n_units or not owning else None
    return PlanRow(
        id=variant.id,
        ablation=variant.ablation,
        kind=variant.kind,
        unit=variant.pool.unit,
        intervention=_label(variant),
        n_units=variant.n_units,
        n_available=variant.pool.n_units,
        dose=variant.dose,
        n_parameters=known,
        share=known / model_parameters if known is not None and model_parameters else None,
        n_merged=len(variant.merged),
    )


def _label(variant: Variant) -> str:
    if variant.space == "structure":
        return "read out" if variant.pool.kind.acts_by == "readout" else "bypass"
    return intervention_label(variant.intervention)
