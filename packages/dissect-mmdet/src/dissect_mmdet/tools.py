"""What programs ask of MMDetection's files beyond an open detector: entry point ``mmdet`` of ``dissect.tools``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dissect_core import Anatomy, Component
from dissect_core.detectors import AdapterTools, Detector, DetectorContents, DetectorRequest, options_of
from dissect_core.torch import save_checkpoint
from dissect_core.torch.checkpoints import with_state

from .bundled import real_checkpoint
from .configs import import_modules
from .detector import MMDetDetector, fitted_model, resolve_config
from .errors import ConfigError
from .weights import (
    Fit,
    FoundWeights,
    find_weights,
    load_mmdet_checkpoint,
    require_finite,
    share_tied,
)
from .zoo import given_files

__all__ = ["MMDetCheckpoint", "MMDetTools"]

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
HEADS_UNKNOWN = (
    "Attention heads are not shown: their number is not in the weights. Give the model's --config."
)


@dataclass(frozen=True)
class MMDetCheckpoint:
    """A checkpoint of MMDetection, of which copies with other weights can be written.

    Attributes
    ----------
    path : Path
    content : dict
        The whole checkpoint.
    found : FoundWeights
        Which weights of it.
    anatomy : Anatomy
        What there is to ablate; without a model, components alone.
    fit : Fit or None
        How the weights match the model, where one was built.
    prefix : str
        The option ``weights_prefix``.
    """

    path: Path
    content: dict[str, Any]
    found: FoundWeights
    anatomy: Anatomy
    fit: Fit | None = None
    prefix: str = ""
    origin: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        missing = {"missing_weights": self.fit.record()} if self.fit is not None and self.fit.warning else {}
        origin = {
            "source": self.path.name,
            "source_sha256": sha256(self.path.read_bytes()).hexdigest() if self.path.is_file() else "",
            "version": version("dissect-mmdet"),
            **({"weights_prefix": self.prefix} if self.prefix else {}),
            **missing,
        }
        object.__setattr__(self, "origin", origin)

    @property
    def weights(self) -> Mapping[str, Any]:
        """Weights by the model's names."""
        return self.found.state

    @property
    def told(self) -> str:
        """Which weights of the file these are, as one line; empty where there is only one choice."""
        parts = [f"`{self.found.prefix}` taken off every name"] * bool(self.found.prefix)
        parts += [self.found.note] * bool(self.found.note)
        return f"{self.path}: {'; '.join(parts)}" if parts else ""

    @property
    def loaded(self) -> str:
        """What was loaded into a model, and how much of it fitted, as one line; empty without a model."""
        return said_of(self.fit)

    def write(self, weights: Mapping[str, Any], record: Mapping[str, Any], target: Path) -> None:
        """Write the checkpoint with other weights in it, under the names that it has for them, and a record."""
        whole = self.found.written(self.content, weights)
        made = with_state(self.content, whole, record, self.found.place)
        save_checkpoint(made, target)


class MMDetTools(AdapterTools):
    """What the command and Deep Dissect 1.0's functions ask of MMDetection's files.

    Examples
    --------
    >>> from dissect_core.detectors import adapter_tools
    >>> from dissect_core.spec import DetectorSpec
    >>> request = DetectorRequest(DetectorSpec(adapter="mmdet"), {"checkpoint": "demo:detr"})
    >>> contents = MMDetTools("mmdet").contents(request)
    >>> len(contents.anatomy.components), contents.anatomy.roles[:2]
    (148, ('backbone', 'backbone.conv'))
    """

    def contents(self, request: DetectorRequest) -> DetectorContents:
        """Return what a detector is made of: of its model where the config is known, else of the weights alone."""
        read = self._read(options_of(request))
        notes = list(read.anatomy.notes)
        if read.fit is None:
            notes = [f"These are {read.found.note}."] * bool(read.found.note)
            notes += [f"`{read.found.prefix}` is taken off every name."] * bool(read.found.prefix)
            notes.append(HEADS_UNKNOWN)
        warning = "" if read.fit is None else read.fit.warning
        missing = read.fit.record() if read.fit is not None and warning else {}
        return DetectorContents(read.anatomy, read.loaded, warning, missing, " ".join(notes))

    def checkpoint(
        self, request: DetectorRequest, *, detector: Detector | None = None, with_model: bool = False
    ) -> MMDetCheckpoint:
        """Read a checkpoint of which copies with other weights are to be written.

        Raises
        ------
        ConfigError
            With `with_model`, if no config is known.
        """
        options = options_of(request)
        if isinstance(detector, MMDetDetector):
            return self._of(detector, options)
        read = self._read(options) if with_model else self._weights(options)
        if with_model and read.fit is None:
            raise ConfigError(
                "the number of heads is not in the weights and the checkpoint holds no config: give the model's "
                "--config."
            )
        return read

    def load_checkpoint(self, path: Path | str, *, trust: bool = False) -> dict[str, Any]:
        """Return the content of a checkpoint, without letting it run code unless `trust`."""
        return load_mmdet_checkpoint(real_checkpoint(path), trust=trust)

    def read_predictions(self, path: Path | str) -> list[Any]:
        """Return the samples of a file of predictions, without letting it run code."""
        from .samples import load_samples

        return list(load_samples(path))

    def train(
        self,
        name: str,
        out: Path,
        *,
        data: Path | None = None,
        device: str = "cpu",
        iterations: int | None = None,
        resume: bool = False,
        progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
    ) -> Path:
        """Train a bundled detector from nothing, and return the file of its weights."""
        from ._runtime import require_mmdet
        from .demo import train_demo

        require_mmdet()
        return train_demo(
            name,
            out,
            data=data or out.parent / "demo-data",
            device=device,
            max_iters=iterations,
            resume=resume,
            progress=progress,
        )

    def _weights(self, options: Mapping[str, Any], content: dict[str, Any] | None = None) -> MMDetCheckpoint:
        """Read weights as the file names them."""
        path = _files(options)[0]
        if content is None:
            content = load_mmdet_checkpoint(path, trust=options.get("trust", False))
        prefix = options.get("weights_prefix", "")
        found = find_weights(content, prefix=prefix, source=str(path))
        require_finite(found.state, str(path))
        return MMDetCheckpoint(
            path, content, found, Anatomy(components_of_weights(found.state)), prefix=prefix
        )

    def _read(self, options: Mapping[str, Any]) -> MMDetCheckpoint:
        """Read weights, and the model that they are of if its config is known."""
        (path, given), trust = _files(options), options.get("trust", False)
        imports = options.get("custom_imports", ())
        content = load_mmdet_checkpoint(path, trust=trust)
        import_modules(imports)
        config, source = resolve_config(content, given, trust=trust, custom_imports=imports)
        if config is None:
            return self._weights(options, content)
        prefix = options.get("weights_prefix", "")
        model, fit, found = fitted_model(
            config,
            content,
            checkpoint=path,
            source=source,
            allow_missing=options.get("allow_missing", False),
            weights_prefix=prefix,
        )
        # Names of classes do not matter to what is read of it.
        anatomy = MMDetDetector(model.eval(), config, (), fit).anatomy
        return MMDetCheckpoint(path, content, found, anatomy, fit, prefix)

    def _of(self, detector: MMDetDetector, options: Mapping[str, Any]) -> MMDetCheckpoint:
        """Read the weights that an open detector has, with the numbers of its model where the file has none."""
        path, prefix = _files(options)[0], options.get("weights_prefix", "")
        content = load_mmdet_checkpoint(path, trust=options.get("trust", False))
        own = detector.model.state_dict()
        found = find_weights(content, own, prefix, source=str(path))
        share_tied(own, found.state)
        return MMDetCheckpoint(path, content, found, detector.anatomy, detector.fit, prefix)


def _files(options: Mapping[str, Any]) -> tuple[Path, Any]:
    """Return the checkpoint and the config that options name."""
    return given_files(options.get("checkpoint"), options.get("config"), options.get("model"))


def components_of_weights(weights: Mapping[str, Any]) -> tuple[Component, ...]:
    """Return the components of a state dict, for want of a live model: names, shapes and types, no heads.

    Only parameters are components. A state dict also holds the statistics of batch norms: they are left out,
    because a glob over a backbone would else zero variances, which removes nothing and breaks everything.

    Examples
    --------
    >>> import torch
    >>> weights = {"norm.weight": torch.ones(2), "norm.running_var": torch.ones(2)}
    >>> [component.name for component in components_of_weights(weights)]
    ['norm.weight']
    """
    return tuple(
        Component(name, tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for name, value in weights.items()
        if name.rsplit(".", 1)[-1] not in STATISTICS
    )


def said_of(fit: Fit | None) -> str:
    """Say in one line what was loaded from which file, and how much of it fitted."""
    return "" if fit is None else f"{fit.checkpoint}: {fit.describe()}"
