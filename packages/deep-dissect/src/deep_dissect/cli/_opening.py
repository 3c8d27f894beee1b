"""The options that say which detector to open: the same for all commands that open one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from ._options import TrustOption

if TYPE_CHECKING:
    from dissect_core.detectors import Detector, DetectorRequest
    from dissect_core.spec import DetectorSpec, StudySpec

__all__ = ["CHECKPOINT", "Opening", "opens_detector"]

DEFAULT_ADAPTER = "mmdet"
"""The adapter if neither --adapter nor a study names one, as in version 1.0."""
OTHERS = frozenset({"checkpoint", "model"})
"""Options each of which names a detector: given on the command line, they mean another one than the study's."""
CHECKPOINT = (
    "Checkpoint (.pth, .safetensors) of an MMDetection model, or demo:detr, demo:deformable_detr, demo:dino; with "
    "--adapter, the value of that adapter's first option."
)

# Options whose names are those of MMDetection's adapter; any adapter takes those that it has.
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        "-w",
        help="Checkpoint (.pth, .safetensors) of an MMDetection model, or demo:detr, demo:deformable_detr, demo:dino; "
        "left out, the study's own.",
        show_default=False,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Instead of a checkpoint: the name of a model of MMDetection's zoo (`deep-dissect models` lists them), "
        "whose weights are downloaded once; with --adapter, its option `model`.",
        metavar="NAME",
        show_default=False,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Config that the model was trained with (default: the one stored in the checkpoint). A Python config is a "
        "program, and is run; a YAML or JSON config is only read, and names only what MMDetection registers.",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="cpu, cuda, cuda:0, … (default: as the study says, else cpu; for workers with a GPU, cuda).",
    ),
]
ClassesOption = Annotated[
    str | None,
    typer.Option(
        "--classes",
        help="Names of the detector's classes in order, with commas, instead of those in --config or the checkpoint.",
        metavar="A,B,…",
        show_default=False,
    ),
]
AllowMissingOption = Annotated[
    bool,
    typer.Option(
        "--allow-missing",
        help="Open a checkpoint that does not fit the model: random numbers of a fixed seed stand in for missing "
        "weights, and every result says so.",
    ),
]
WeightsPrefixOption = Annotated[
    str,
    typer.Option(
        "--weights-prefix",
        help="Which weights to take from a checkpoint with several sets: the prefix of their names (teacher.), or "
        "their key (ema.).",
        show_default=False,
    ),
]
CustomImportsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--custom-imports",
        help="Module to import first, which registers classes that the config names; may be repeated. It is a program.",
        metavar="MODULE",
        show_default=False,
    ),
]
DemoOption = Annotated[
    str | None, typer.Option("--demo", help="A bundled detector instead: detr, deformable_detr or dino.")
]
AdapterOption = Annotated[
    str | None,
    typer.Option(
        "--adapter",
        help="Adapter that opens the detector: mmdet, transformers, or another installed one (default: as the study "
        "says, else mmdet).",
        show_default=False,
    ),
]
OptionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        help="Option of the adapter, such as `-o device=cuda:0`; may be repeated. Values are read as YAML.",
        metavar="KEY=VALUE",
        show_default=False,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Opening:
    """The options on the command line that say which detector to open.

    Attributes
    ----------
    adapter : str or None
    option : list of str
        As ``key=value``.
    demo : str or None
        Name of a bundled detector.
    source : Path or None
        Value of the adapter's first option, of commands that take it as an argument.
    checkpoint, model, config, device, classes, allow_missing, weights_prefix, custom_imports
        Options of these names.
    trust : bool
    """

    source: Path | None = None
    checkpoint: CheckpointOption = None
    model: ModelOption = None
    config: ConfigOption = None
    demo: DemoOption = None
    adapter: AdapterOption = None
    option: OptionsOption = field(default_factory=list)
    device: DeviceOption = None
    classes: ClassesOption = None
    allow_missing: AllowMissingOption = False
    weights_prefix: WeightsPrefixOption = ""
    custom_imports: CustomImportsOption = None
    trust: TrustOption = False

    def request(self, spec: StudySpec | None = None, *, device: str = "") -> DetectorRequest:
        """Return how to open the detector that the command asks for, else the one that the study names.

        Options of the command are the user's own choice; what a study names is not. Paths are absolute.

        Parameters
        ----------
        spec : StudySpec, optional
        device : str
            Default device, if neither the user nor the study names one and the adapter has such an option.

        Raises
        ------
        FrontDoorError
            If no detector is named, or an option is given twice.
        DissectError
            If the adapter is not installed, or has no such option.
        """
        from dissect_core.detectors import DetectorRequest, option_names, options_of, with_whole_paths
        from dissect_core.spec import DetectorSpec

        named = None if spec is None else spec.detector
        own = self._own()
        bundled = self._bundled()
        if bundled is not None:
            adapter = bundled.adapter
            own |= bundled.options
            named = None
        else:
            adapter = self.adapter or self._adapter_of(named)
        if named is None and bundled is None and not (own or self.adapter or self.source or self.option):
            raise _missing(spec)
        names = option_names(adapter)
        if self.source is not None:
            self._put(own, {names[0]: str(self.source)}, "the first argument")
        self._put(own, self._read(adapter), "-o")
        if named is not None and (named.adapter != adapter or self.source or OTHERS.intersection(own)):
            named = None  # another detector than the study's
        asked = named or DetectorSpec(adapter=adapter)
        if device and "device" in names and "device" not in {**asked.options, **own}:
            own["device"] = device
        request = with_whole_paths(DetectorRequest(asked, own, trust=self.trust))
        options_of(request)  # refuses wrong options before anything else is read
        return request

    def open(self, spec: StudySpec | None = None) -> Detector:
        """Open the detector; `request` says which one."""
        from dissect_core.detectors import open_detector

        return open_detector(self.request(spec))

    def _own(self) -> dict[str, Any]:
        """Return what the user gave by options of their own name."""
        said = {
            "checkpoint": None if self.checkpoint is None else str(self.checkpoint),
            "model": self.model,
            "config": None if self.config is None else str(self.config),
            "device": self.device,
            "classes": self.classes,
            "allow_missing": self.allow_missing or None,
            "weights_prefix": self.weights_prefix or None,
            "custom_imports": list(self.custom_imports or ()) or None,
        }
        return {name: value for name, value in said.items() if value is not None}

    def _bundled(self) -> DetectorSpec | None:
        name = f"demo:{self.demo}"
        if self.demo is None:
            if self.adapter is None or not self.adapter.startswith("demo:"):
                return None
            name = self.adapter
        from dissect_core.detectors import bundled_detector

        return bundled_detector(name)

    def _adapter_of(self, named: DetectorSpec | None) -> str:
        """Return the study's adapter, unless a checkpoint or a model is given that it has no option for."""
        if named is None or named.adapter == DEFAULT_ADAPTER:
            return DEFAULT_ADAPTER
        from dissect_core.detectors import option_names

        mine = OTHERS.intersection(self._own()) <= {*option_names(named.adapter)}
        return named.adapter if mine else DEFAULT_ADAPTER

    def _read(self, adapter: str) -> dict[str, Any]:
        """Return the options given by ``-o``, of the types that the adapter has for them."""
        from dissect_core.detectors import read_options

        from ..errors import FrontDoorError

        texts: dict[str, str] = {}
        for text in self.option or ():
            name, equals, value = text.partition("=")
            if not name or not equals:
                raise FrontDoorError(
                    f"-o must be KEY=VALUE, such as device=cuda:0, got {text!r}. Files and folders that a command "
                    "writes are named by --out."
                )
            if name in texts:
                raise FrontDoorError(f"-o must name each option once, got {name!r} twice.")
            texts[name.replace("-", "_")] = value
        return read_options(adapter, texts)

    @staticmethod
    def _put(own: dict[str, Any], more: Mapping[str, Any], by: str) -> None:
        from ..errors import FrontDoorError

        for name, value in more.items():
            if name in own:
                flag = "--" + name.replace("_", "-")
                raise FrontDoorError(
                    f"{flag} must be given once, got it by {by} as well: leave one of them out."
                )
            own[name] = value


def _missing(spec: StudySpec | None) -> Exception:
    from ..errors import FrontDoorError

    which = ", or name one in the study" if spec is not None else ""
    return FrontDoorError(
        "a detector is needed: give --checkpoint (and --config), or --model NAME, or --demo detr, or --adapter with "
        f"its options (-o){which}."
    )


def opens_detector(
    *, argument: Literal["", "needed", "optional"] = "", leave_out: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a command: its parameter `opening` becomes all options that say which detector to open.

    Parameters
    ----------
    argument : str
        Whether the detector is the command's argument, needed or optional; otherwise ``--checkpoint`` names it. Where
        it is needed, ``--model`` may stand in for it, and then the command's next argument is the first.
    leave_out : sequence of str
        Options without a use for the command.
    """

    def made(command: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(command, eval_str=True)
        own = _parameters(argument=argument, leave_out=leave_out)
        names = [parameter.name for parameter in own]
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            if parameter.name == "opening":
                parameters += own
            else:
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

        if argument == "needed":
            first = _first_argument(parameters)
            parameters = [_optional(one) if one.name == first else one for one in parameters]

        def called(**given: Any) -> Any:
            if argument == "needed":
                _shift(given, first)
            opening = Opening(**{name: given.pop(name) for name in names})
            return command(opening=opening, **given)

        called.__name__, called.__doc__, called.__module__ = (
            command.__name__,
            command.__doc__,
            command.__module__,
        )
        called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # typer reads it
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return called

    return made


def _parameters(*, argument: str, leave_out: Sequence[str]) -> list[inspect.Parameter]:
    hints = inspect.get_annotations(Opening, eval_str=True)
    left_out = {
        *leave_out,
        *(["checkpoint", "demo"] if argument else ["source"]),
    }
    found = []
    for each in fields(Opening):
        if each.name in left_out:
            continue
        hint, default = hints[each.name], None if each.name == "option" else each.default
        if each.name == "source":
            hint = Annotated[
                Path | None, typer.Argument(help=CHECKPOINT, show_default=False, metavar="CHECKPOINT")
            ]
            default = None
        found.append(
            inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
        )
    return found


def _first_argument(parameters: Sequence[inspect.Parameter]) -> str:
    """Return the name of the command's first argument after the detector."""
    return next(
        one.name
        for one in parameters
        if one.name != "source"
        and any(isinstance(note, typer.models.ArgumentInfo) for note in get_args(one.annotation)[1:])
    )


def _optional(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return a parameter that may be left out: whether it is missing is known once all options are."""
    kind, note, *_ = get_args(parameter.annotation)
    return parameter.replace(annotation=Annotated[kind | None, note], default=None)


def _shift(given: dict[str, Any], first: str) -> None:
    """Take the command's only argument for its own where ``--model`` names the detector; refuse what is missing."""
    if given["model"] is not None and given[first] is None:
        given["source"], given[first] = None, None if given["source"] is None else str(given["source"])
    missing = [
        name for name in (*(["source"] if given["model"] is None else []), first) if given[name] is None
    ]
    if missing:
        from ..errors import FrontDoorError

        words = ["CHECKPOINT" if name == "source" else name.strip("_").upper() for name in missing]
        other = ", or give --model NAME, a model of the zoo," if "source" in missing else ""
        raise FrontDoorError(
            f"Missing {' and '.join(words)}: name the detector{other} and then what is removed (see --help)."
        )
