"""A base class for detectors of adapters: one or many images of any kind, ablation by names, and a `repr`."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from ..anatomy import Anatomy, Mask
from ..arguments import check_value
from ..edits import Intervention
from ..errors import ImageTypeError, PlanError, SelectionError
from ..text import quoted
from ._named import NamedUnits, applied_together, named_variant, weight_intervention
from ._pictures import Picture, is_one_picture, pixels_of, write_png
from ._protocol import ChangeReport, ImageDetections

if TYPE_CHECKING:
    from ..plan import Variant

__all__ = ["BaseDetector"]


class BaseDetector(ABC):
    """A base class for the detectors of adapters: it satisfies `Detector`, and adds what people want at a prompt.

    A subclass sets `class_names`, and defines `anatomy`, `prepare`, `predict_batch` and `apply_variant`. It gets
    `predict`, which takes paths, arrays and Pillow images, one or many; `ablated`, which also takes units by name; and
    a ``repr`` that says what it is.

    Attributes
    ----------
    adapter : str
        Name of the entry point that opens it, such as ``"mmdet"``.
    class_names : tuple of str
        One unique name for each label.

    Examples
    --------
    >>> from contextlib import contextmanager
    >>> from dissect_core import Component, edit_arrays
    >>> class Brightest(BaseDetector):
    ...     adapter = "brightest"
    ...     class_names = ("bright",)
    ...     anatomy = Anatomy((Component("gain.weight", (1, 3), "float64"),))
    ...
    ...     def __init__(self):
    ...         self.arrays = {"gain.weight": np.ones((1, 3))}
    ...
    ...     def prepare(self, images, batch_size=1):
    ...         for start in range(0, len(images), batch_size):
    ...             yield [np.load(path) for path in images[start : start + batch_size]]
    ...
    ...     def predict_batch(self, batch):
    ...         return [self._predict(image) for image in batch]
    ...
    ...     @contextmanager
    ...     def apply_variant(self, variant, *, reference=None):
    ...         edited, report = edit_arrays(self.arrays, variant.as_edits(), seed=variant.seed, variant=variant.id)
    ...         before, self.arrays = self.arrays, edited
    ...         try:
    ...             yield report
    ...         finally:
    ...             self.arrays = before
    ...
    ...     def write_picture(self, pixels, path):
    ...         np.save(path.with_suffix(".npy"), pixels)
    ...         return path.with_suffix(".npy")
    ...
    ...     def _predict(self, image):
    ...         y, x = np.argwhere(image @ self.arrays["gain.weight"][0] > 100).T
    ...         if not len(x):
    ...             return ImageDetections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))
    ...         box = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], dtype=np.float64)
    ...         return ImageDetections(box, np.ones(1), np.zeros(1, dtype=np.int64))
    >>> detector = Brightest()
    >>> detector
    <brightest detector Brightest: 1 class (bright), 3 parameters>
    >>> image = np.zeros((8, 8, 3), dtype=np.uint8)
    >>> image[2:4, 3:6] = 200
    >>> detector.predict(image).boxes.tolist()
    [[3.0, 2.0, 6.0, 4.0]]
    >>> with detector.ablated(components="gain.weight") as report:
    ...     report.changed, len(detector.predict(image).boxes)
    (3, 0)
    """

    adapter: ClassVar[str] = ""
    class_names: tuple[str, ...]

    @property
    @abstractmethod
    def anatomy(self) -> Anatomy:
        """Components, blocks and units that a study can aim at; see `Detector.anatomy`."""

    @abstractmethod
    def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Any]:
        """Read images as batches for `predict_batch`; see `Detector.prepare`."""

    @abstractmethod
    def predict_batch(self, batch: Any, /) -> list[ImageDetections]:
        """Detect objects in one batch of `prepare`; see `Detector.predict_batch`."""

    @abstractmethod
    def apply_variant(
        self, variant: "Variant", /, *, reference: Any = None
    ) -> AbstractContextManager[ChangeReport]:
        """Apply a variant for the length of a ``with`` block; see `Detector.ablated`, which calls this.

        For a torch model it is ``return dissect_core.torch.ablated(self.model, variant, reference=reference)``.
        """

    def apply_masks(
        self, masks: Mapping[str, Mask], intervention: Intervention, /
    ) -> AbstractContextManager[ChangeReport]:
        """Apply masks of parameters for the length of a ``with`` block, where the adapter can; here it is refused.

        For a torch model it is ``return dissect_core.torch.ablated(self.model, masks, intervention)``.
        """
        raise PlanError(
            f"{type(self).__name__} takes no masks, got some of {', '.join(list(masks)[:3])}: name units, as in "
            "`ablated(components=[...])`, or give a variant of a plan."
        )

    def write_picture(self, pixels: NDArray[np.uint8], path: Path) -> Path:
        """Write an image that `predict` was given in memory to a file that `prepare` reads without loss.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (height, width, 3)
            In RGB.
        path : Path
            Name of the file to write, without an ending.

        Returns
        -------
        Path
            The file; a PNG, unless an adapter that reads none overrides this method.
        """
        path = path.with_name(f"{path.name}.png")
        write_png(path, pixels)
        return path

    @overload
    def predict(  # type: ignore[overload-overlap]  # a text is a path, never a sequence of them
        self, images: Picture, batch_size: int = 1
    ) -> ImageDetections: ...

    @overload
    def predict(self, images: Iterable[Picture], batch_size: int = 1) -> list[ImageDetections]: ...

    def predict(
        self, images: "Picture | Iterable[Picture]", batch_size: int = 1
    ) -> ImageDetections | list[ImageDetections]:
        """Detect objects in one image, or in many.

        Parameters
        ----------
        images : path, ndarray or PIL.Image.Image, or an iterable of these
            Files; pixels in RGB (OpenCV reads BGR: turn it by ``image[..., ::-1]``), uint8 of shape
            (height, width, 3); or Pillow images. Images in memory give what their file gives, if that keeps all
            of their pixels, as PNG does.
        batch_size : int, default 1
            Images that pass through the model together.

        Returns
        -------
        ImageDetections, or list of them
            Boxes in pixels of the image, as it was given.

        Raises
        ------
        ImageTypeError
            If an image in memory is of another kind; the message says how to convert it.
        DissectError
            The detector's own, if a file is missing or cannot be decoded. An image in memory is called by a
            temporary name that ends with its number.
        """
        found = list(self.predict_each(images, batch_size))
        return found[0] if is_one_picture(images) else found

    def predict_each(
        self, images: "Picture | Iterable[Picture]", batch_size: int = 1
    ) -> Iterator[ImageDetections]:
        """Yield what is found in each image, in input order, as soon as its batch is done; see `predict`."""
        if not isinstance(batch_size, int) or batch_size < 1:
            raise SelectionError(f"`batch_size` must be 1 or more, got {quoted(batch_size)}.")
        if is_one_picture(images):
            images = [cast("Picture", images)]
        if isinstance(images, Mapping) or not isinstance(images, Iterable):
            raise ImageTypeError(
                f"`images` must be a path, an array of uint8 in RGB, a Pillow image, or several of these, got "
                f"{quoted(images)}."
            )
        numbered = enumerate(images)
        while some := list(islice(numbered, min(batch_size, sys.maxsize))):
            with TemporaryDirectory() as folder:
                paths = [self._file_of(image, f"images[{number}]", Path(folder)) for number, image in some]
                for batch in self.prepare(paths, batch_size):
                    yield from self.predict_named(batch)

    def _file_of(self, image: Picture, name: str, folder: Path) -> Path:
        if isinstance(image, (str, Path)):
            return Path(check_value(name, image, Path | str))
        return self.write_picture(pixels_of(image, name), folder / name)

    def predict_named(self, batch: Any, /) -> list[ImageDetections]:
        """Detect objects in one batch of `prepare`; an adapter may let its errors name the image at which it stops."""
        return self.predict_batch(batch)

    def ablated(
        self,
        variant: "Variant | Mapping[str, Mask] | None" = None,
        /,
        *,
        heads: NamedUnits | None = None,
        neurons: NamedUnits | None = None,
        channels: NamedUnits | None = None,
        queries: NamedUnits | None = None,
        layers: NamedUnits | None = None,
        components: NamedUnits | None = None,
        intervention: Any = "zero",
        reference: Any = None,
    ) -> AbstractContextManager[ChangeReport]:
        """Ablate for the length of a ``with`` block; every value is restored after it, also after an error.

        Parameters
        ----------
        variant : Variant, or mapping of str to ndarray of bool, optional
            A variant of a plan, with its own intervention and seed; or masks of parameters by name, True where ablated.
        heads, neurons, channels, queries : mapping of str to int or sequence of int, or names, optional
            Numbers of units, from 0, by block: ``heads={"encoder.layers.0.self_attn.attn": [3]}``. Names alone, one or
            several, mean all units there. A name is a role, a path or a glob.
        layers, components : str or sequence of str, optional
            Names of layers, which are bypassed, and of parameters or blocks.
        intervention : str, mapping or Intervention, default "zero"
            What takes the place of what is named or masked: ``"mean"``, ``{"kind": "noise"}`` and so on, as in a study.
        reference : optional
            Mean or sampled activations, for what needs them.

        Returns
        -------
        context manager of ChangeReport
            With `masked`, `changed` and `is_no_op`.

        Raises
        ------
        UnknownComponentError
            If a name matches nothing; near matches are named.
        UnitError
            If a number is out of range; the range is named.
        SelectionError
            If nothing is named, or beside a variant something is.
        DissectError
            If the detector cannot do what is asked.
        """
        named = {
            "heads": heads,
            "neurons": neurons,
            "channels": channels,
            "queries": queries,
            "layers": layers,
            "components": components,
        }
        asked = {keyword: units for keyword, units in named.items() if units is not None}
        if (variant is None) == (not asked):
            raise SelectionError(
                f"`ablated` takes either a variant or masks, or units by name ({', '.join(named)}), got "
                f"{'neither' if variant is None else 'both'}."
            )
        if not (variant is None or isinstance(variant, Mapping) or hasattr(variant, "draw")):
            raise SelectionError(
                f"`variant` must be one of a plan, such as plan[3], or masks by name, got {quoted(variant)}. Units are "
                "named by keyword: ablated(heads={...})."
            )
        if variant is None:
            variants = [
                named_variant(self.anatomy, keyword, units, intervention) for keyword, units in asked.items()
            ]
            return applied_together([self.apply_variant(one, reference=reference) for one in variants])
        if isinstance(variant, Mapping):
            return self.apply_masks(variant, weight_intervention(intervention))
        if intervention != "zero":
            raise SelectionError(
                f"The variant {variant.id!r} brings its own intervention: leave `intervention` out."
            )
        return self.apply_variant(variant, reference=reference)

    @property
    def model_class(self) -> str:
        """What `repr` calls the model: the name of its class."""
        return type(self).__name__

    @property
    def n_parameters(self) -> int:
        """Values in all parameters."""
        return sum(component.n_parameters for component in self.anatomy.components)

    @property
    def device(self) -> str:
        """Device that it runs on; empty if unknown."""
        return ""

    @property
    def checkpoint(self) -> str:
        """File that its weights are from; empty if unknown."""
        return ""

    def __repr__(self) -> str:
        names = self.class_names
        listed = ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:3])}, …, {names[-1]}"
        facts = [
            f"{len(names)} class{'' if len(names) == 1 else 'es'} ({listed})",
            f"{self.n_parameters:,} parameters",
            *([f"on {self.device}"] if self.device else []),
            *([f"weights of {self.checkpoint}"] if self.checkpoint else []),
        ]
        return (
            f"<{f'{self.adapter} ' if self.adapter else ''}detector {self.model_class}: {', '.join(facts)}>"
        )
