"""What a study asks of a detector, and what a detector may offer beyond that."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ..detections import ImageDetections

if TYPE_CHECKING:
    from ..anatomy import Anatomy
    from ..plan import Variant

__all__ = [
    "ChangeReport",
    "Detector",
    "ImageDetections",
    "LossDetector",
    "TorchDetector",
    "model_of",
    "offered",
]


class ChangeReport(Protocol):
    """What a variant did to a detector: `dissect_core.AblationReport`, or anything with these three."""

    @property
    def masked(self) -> int:
        """Values that the variant aims at."""
        ...

    @property
    def changed(self) -> int:
        """Values among these that really became others."""
        ...

    @property
    def is_no_op(self) -> bool:
        """True if the detector is left as it was, so that its results say nothing about robustness."""
        ...


@runtime_checkable
class Detector(Protocol):
    """A trained detector whose parts can be removed for a while: all that a study needs.

    Nothing need be inherited; `BaseDetector` adds what people want at a prompt. `check_detector` tells whether an
    object keeps what is promised here; `isinstance` only looks for the names. A package offers its detector as an
    entry point of the group ``dissect.detectors``: a function with keyword arguments that gives one.

    A detector that can run the same batch alone and beside others with the same result, up to rounding, need not
    say so. One that cannot, because images are padded to a common size for instance, says
    ``batch_invariant = False``: it is no fault, as a study compares variants on the same batches.

    A detector may have `facts`, a mapping of plain data: what else, beside class names and a torch model's weights,
    must be the same for a study that was stopped to go on, such as versions of libraries. It may have a method
    `image_sizes`, which gives the width and height in pixels of each image of a batch as it was read, or None: a study
    then refuses images of another size than the annotated ones. It may have a `title`: what it is called in reports.

    Examples
    --------
    With weights in a dict of arrays, `ablated` is no more than this:

    >>> from contextlib import contextmanager
    >>> import numpy as np
    >>> from dissect_core import Anatomy, Component, edit_arrays
    >>> class Brightest:
    ...     class_names = ("bright",)
    ...     anatomy = Anatomy((Component("gain", (3,), "float64"),))
    ...     arrays = {"gain": np.ones(3)}
    ...
    ...     def prepare(self, images, batch_size=1):
    ...         for start in range(0, len(images), batch_size):
    ...             yield [np.load(path) for path in images[start : start + batch_size]]
    ...
    ...     def predict_batch(self, batch):
    ...         return [self._predict(image) for image in batch]
    ...
    ...     @contextmanager
    ...     def ablated(self, variant, *, reference=None):
    ...         edits = variant.as_edits()  # an error where weights cannot do what the variant asks
    ...         edited, report = edit_arrays(self.arrays, edits, seed=variant.seed, variant=variant.id)
    ...         before, self.arrays = self.arrays, edited
    ...         try:
    ...             yield report
    ...         finally:
    ...             self.arrays = before
    ...
    ...     def _predict(self, image):
    ...         y, x = np.argwhere(image @ self.arrays["gain"] > 1).T
    ...         if not len(x):
    ...             return ImageDetections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))
    ...         box = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], dtype=np.float64)
    ...         return ImageDetections(box, np.ones(1), np.zeros(1, dtype=np.int64))
    >>> isinstance(Brightest(), Detector)
    True
    """

    @property
    def class_names(self) -> tuple[str, ...]:
        """One unique name for each label."""
        ...

    @property
    def anatomy(self) -> Anatomy:
        """Components, blocks and units that a study can aim at: the same, in the same order, every time."""
        ...

    def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Any]:
        """Read images as batches for `predict_batch`: all of them, in order, each when its batch is asked for.

        What a batch is, is the detector's own business. The last one may be smaller. An image that is missing or
        cannot be decoded raises an error that names its file.
        """
        ...

    def predict_batch(self, batch: Any, /) -> list[ImageDetections]:
        """Detect objects: one entry for each image of the batch, in order.

        The batch is left as it is: it serves every variant of a study. The same weights and batch give the same
        detections, bit for bit, in arrays that nobody else holds.
        """
        ...

    def ablated(self, variant: Variant, /, *, reference: Any = None) -> AbstractContextManager[ChangeReport]:
        """Apply a variant for the length of a ``with`` block; afterwards, also after an error, nothing is left of it.

        Blocks can be nested. A variant that the detector cannot apply is refused with a `DissectError`, never
        skipped silently: an unknown component, a mask of another shape, or a space (activations, structure) that
        the detector does not reach. `reference` holds mean or sampled activations, for variants that need them.
        """
        ...


@runtime_checkable
class LossDetector(Detector, Protocol):
    """A detector that can also say how wrong it is: what scores by gradients and fitted constants need."""

    def prepare_with_truth(
        self,
        images: Sequence[Path | str],
        truth: Any,
        batch_size: int = 1,
        *,
        class_map: Mapping[str, str | None] | None = None,
    ) -> Iterator[Any]:
        """Read images like `prepare`, with the true boxes and labels of each image in the batch.

        `class_map` gives the truth's names for names of the detector where these differ. It is passed only if a study
        has one.
        """
        ...

    def loss(self, batch: Any, /) -> Any:
        """Return the training loss on a batch of `prepare_with_truth`: a scalar with a gradient, always the same."""
        ...


@runtime_checkable
class TorchDetector(Detector, Protocol):
    """A detector that is a live torch model inside: what activations and prefix replay need."""

    @property
    def model(self) -> Any:
        """The ``torch.nn.Module`` that `predict_batch` runs, and whose parameters the anatomy names."""
        ...


def offered(detector: object, name: str, default: Any = None) -> Any:
    """Return a member that a detector may have beside those of `Detector`; the default where it has none.

    Such members are `facts`, `former_facts`, `image_sizes`, `model`, `title`, `turns_by_exif`, `chooses_queries` (True
    where object queries are chosen from each image, as two-stage detectors do) and others that `Detector` names. Ask
    for them by this function, never by the class of a detector.

    Examples
    --------
    >>> offered("no detector", "facts", {})
    {}
    """
    return getattr(detector, name, default)


def model_of(detector: object) -> Any:
    """Return the torch model of a detector that has one; else None.

    Examples
    --------
    >>> model_of("no detector") is None
    True
    """
    return offered(detector, "model")


METHODS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "prepare": ((["image.png"],), {"batch_size": 2}),
    "predict_batch": ((None,), {}),
    "ablated": ((None,), {"reference": None}),
}
"""Methods of a detector, each with a call that it must take."""

MEMBERS = ("class_names", "anatomy", *METHODS)
"""All that a detector must have."""


def missing_members(detector: object) -> list[str]:
    """Return the members that an object lacks, in the order of the protocol.

    Examples
    --------
    >>> missing_members("a detector?")
    ['class_names', 'anatomy', 'prepare', 'predict_batch', 'ablated']
    """
    absent = object()
    # Statically first: reading a property may be long work, such as the anatomy of a large model.
    return [
        name
        for name in MEMBERS
        if inspect.getattr_static(detector, name, absent) is absent and not hasattr(detector, name)
    ]


def wrong_signatures(detector: object) -> list[str]:
    """Return the methods that cannot be called as the protocol calls them, each with the reason."""
    wrong = []
    for name, (args, kwargs) in METHODS.items():
        method = getattr(detector, name)
        if not callable(method):
            wrong.append(f"{name} is a {type(method).__name__}, not a method")
            continue
        try:
            inspect.signature(method).bind(*args, **kwargs)
        except TypeError as error:
            wrong.append(f"{name}{inspect.signature(method)}: {error}")
        except ValueError:
            continue  # no signature to look at
    return wrong
